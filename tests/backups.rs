//! Backups: any commit is restored exactly, and a damaged or foreign backup is refused.
//!
//! The oracle is the model of `upkeep`: the content of the memory after each commit, recorded when it was acknowledged.

use std::collections::BTreeMap;
use std::time::Duration;

use dhakira::engine::backup::{self, BackupDirectory, BackupError, Target};
use dhakira::engine::{Cancel, EngineError};
use dhakira::store::Sequence;

use crate::upkeep::{
    Dice, Model, add_part, assert_whole, content, create_memory, held, name, open, write,
};

#[test]
fn any_commit_of_a_backup_can_be_restored() {
    let directory = tempfile::tempdir().unwrap();
    let (data, saved) = (directory.path().join("data"), directory.path().join("backup"));
    let engine = open(&data);
    create_memory(&engine, &name());
    let (mut model, mut dice) = (Model::new(), Dice(7));
    let mut states: BTreeMap<u64, Model> = BTreeMap::new();
    let mut first_saved = None;
    for step in 0..60 {
        if step == 33 {
            // The history is truncated after it was backed up.
            add_part(&engine, &saved, false).unwrap();
            engine.compact(Duration::ZERO, &Cancel::default(), &|_| ()).unwrap();
            assert_whole(&engine, "after a compaction");
        }
        write(&engine, &mut model, &mut dice);
        let sequence = engine.watch_sequence().borrow().0;
        states.insert(sequence, model.clone());
        if step % 11 == 5 {
            add_part(&engine, &saved, step == 49).unwrap();
            first_saved.get_or_insert(sequence);
        }
    }
    add_part(&engine, &saved, false).unwrap();
    assert!(!add_part(&engine, &saved, false).unwrap(), "nothing new");
    let checked = backup::verify(&saved, &|_| ()).unwrap();
    let (first, last) = checked.reach.unwrap();
    assert_eq!((first.sequence.0, checked.units_missing), (first_saved.unwrap(), 0));
    assert_eq!(Some(&last.sequence.0), states.keys().last());
    let mut restored = 0;
    for (&sequence, expected) in states.range(first.sequence.0..).step_by(3) {
        let target = directory.path().join(format!("restored-{sequence}"));
        let done = backup::restore(&saved, &target, Target::Sequence(Sequence(sequence)), &|_| ())
            .unwrap();
        assert_eq!((done.mark.sequence.0, done.units), (sequence, expected.len() as u64));
        let engine = open(&target);
        assert_eq!(&held(&engine), expected, "as of commit {sequence}");
        assert_whole(&engine, "a restored store");
        // It accepts writes, and reuses no number.
        write(&engine, &mut expected.clone(), &mut dice);
        drop(engine);
        std::fs::remove_dir_all(target).unwrap();
        restored += 1;
    }
    assert!(restored > 10);
    // By time: the moment of a commit, and just before it.
    let target = directory.path().join("by-time");
    let done = backup::restore(&saved, &target, Target::Time(last.time), &|_| ()).unwrap();
    assert_eq!(done.mark.sequence, last.sequence);
    let target = directory.path().join("before");
    let before = dhakira::unit::Timestamp { micros: last.time.micros - 1 };
    let done = backup::restore(&saved, &target, Target::Time(before), &|_| ()).unwrap();
    assert_eq!(done.mark.sequence.0, last.sequence.0 - 1);
    // Neither over existing files nor to a commit outside the backup.
    let over = backup::restore(&saved, &data, Target::Latest, &|_| ());
    assert!(matches!(over, Err(BackupError::Occupied(_))));
    let far = Target::Sequence(Sequence(last.sequence.0 + 1));
    let far = backup::restore(&saved, &directory.path().join("far"), far, &|_| ());
    assert!(matches!(far, Err(BackupError::OutOfReach(_))), "{far:?}");
    let old = Target::Sequence(Sequence(first.sequence.0 - 1));
    let old = backup::restore(&saved, &directory.path().join("old"), old, &|_| ());
    assert!(matches!(old, Err(BackupError::OutOfReach(_))), "{old:?}");
}

#[test]
fn a_deleted_memory_comes_back_although_it_was_purged_and_compacted() {
    let directory = tempfile::tempdir().unwrap();
    let (data, saved) = (directory.path().join("data"), directory.path().join("backup"));
    let engine = open(&data);
    create_memory(&engine, &"other".parse().unwrap());
    add_part(&engine, &saved, false).unwrap();
    create_memory(&engine, &name());
    let (mut model, mut dice) = (Model::new(), Dice(3));
    for _ in 0..20 {
        write(&engine, &mut model, &mut dice);
    }
    let before = engine.watch_sequence().borrow().0;
    engine.delete_memory(&name(), true, None, None).unwrap();
    // Its units may or may not be purged yet.
    std::thread::sleep(Duration::from_millis(300));
    engine.compact(Duration::from_secs(3_600), &Cancel::default(), &|_| ()).unwrap();
    add_part(&engine, &saved, false).unwrap();
    assert_eq!(backup::verify(&saved, &|_| ()).unwrap().units_missing, 0);
    let target = directory.path().join("restored");
    backup::restore(&saved, &target, Target::Sequence(Sequence(before)), &|_| ()).unwrap();
    assert_eq!(held(&open(&target)), model);
    let target = directory.path().join("latest");
    backup::restore(&saved, &target, Target::Latest, &|_| ()).unwrap();
    let latest = open(&target);
    assert!(latest.memory(&name()).is_err());
    assert_whole(&latest, "restored with a deleted memory");
}

#[test]
fn an_increment_of_another_store_or_of_a_truncated_log_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let saved = directory.path().join("backup");
    let (one, other) = (open(&directory.path().join("1")), open(&directory.path().join("2")));
    for engine in [&one, &other] {
        create_memory(engine, &name());
    }
    add_part(&one, &saved, false).unwrap();
    let error = add_part(&other, &saved, false).unwrap_err();
    assert!(matches!(error, EngineError::InvalidArgument { .. }), "{error}");
    one.create_units(&name(), vec![content("\u{646}", "n")], None, |_| String::new()).unwrap();
    one.compact(Duration::ZERO, &Cancel::default(), &|_| ()).unwrap();
    let error = add_part(&one, &saved, false).unwrap_err();
    assert!(matches!(error, EngineError::LogTruncated { oldest: Sequence(2), .. }), "{error}");
    let error = add_part(&one, &saved, true).unwrap_err();
    assert!(matches!(error, EngineError::LogTruncated { .. }), "{error}");
    // Something else is in the way.
    let foreign = directory.path().join("photos");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("cat.jpg"), "x").unwrap();
    assert!(BackupDirectory::create(&foreign).is_err());
    assert!(matches!(BackupDirectory::open(&foreign), Err(BackupError::NoBackup(_))));
}

#[test]
fn a_damaged_backup_is_refused_with_the_file_that_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let saved = directory.path().join("backup");
    let engine = open(&directory.path().join("data"));
    create_memory(&engine, &name());
    let (mut model, mut dice) = (Model::new(), Dice(5));
    for _ in 0..2 {
        for _ in 0..5 {
            write(&engine, &mut model, &mut dice);
        }
        add_part(&engine, &saved, false).unwrap();
    }
    let mut files = 0;
    for entry in std::fs::read_dir(&saved).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap() == "lock" {
            continue;
        }
        files += 1;
        let whole = std::fs::read(&path).unwrap();
        let mut damages: Vec<Vec<u8>> = (0..20)
            .map(|place| {
                let mut damaged = whole.clone();
                damaged[(whole.len() - 1) * place / 19] ^= 0x10;
                damaged
            })
            .collect();
        damages.extend((0..5).map(|tenths| whole[..whole.len() * tenths / 5].to_vec()));
        damages.push(vec![0; whole.len()]);
        for damaged in damages {
            std::fs::write(&path, damaged).unwrap();
            let error = backup::verify(&saved, &|_| ()).unwrap_err();
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
            let target = directory.path().join("target");
            assert!(backup::restore(&saved, &target, Target::Latest, &|_| ()).is_err());
            assert!(!target.exists(), "a refusal leaves nothing");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(backup::verify(&saved, &|_| ()).is_err());
        std::fs::write(&path, whole).unwrap();
    }
    assert_eq!(files, 3);
    backup::verify(&saved, &|_| ()).unwrap();
}

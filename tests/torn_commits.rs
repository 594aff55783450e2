//! Power losses around a commit with large records, which sled keeps in files of their own: the log may be on disk before such a file.
//! The store must open afterwards and hold whole commits, among them every acknowledged one.
//!
//! Some of the syncs in every test run; `DHAKIRA_CRASH_ROUNDS=100` for all.

use std::collections::BTreeSet;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Command;

use dhakira::store::{
    Commit, MemoryRecord, OpenOptions, Sequence, SledStore, Store as _, StoreError, UnitWrite,
};
use dhakira::unit::{Timestamp, UnitId};

use crate::damage::copy;
use crate::disk::{self, Change, Disk};
use crate::store_conformance::{M, memory, open, unit};
use crate::support::log::LogExt as _;
use crate::upkeep::Dice;

/// The directory that the child appends to, and the commits in each append.
const DIRECTORY: &str = "DHAKIRA_TEST_APPEND_TO";
const COMMITS_IN_APPEND: &str = "DHAKIRA_TEST_COMMITS_IN_APPEND";
const COMMITS: u64 = 16;
const UNITS_IN_COMMIT: u64 = 5;

fn text(id: u64) -> String {
    format!("{id} ").repeat(10_000)
}

/// The numbers of the units that a commit creates.
fn ids(sequence: u64) -> RangeInclusive<u64> {
    (sequence - 1) * UNITS_IN_COMMIT + 1..=sequence * UNITS_IN_COMMIT
}

fn commit(sequence: u64) -> Commit {
    let unit_count = sequence * UNITS_IN_COMMIT;
    Commit {
        time: Timestamp { micros: i64::try_from(sequence).unwrap() },
        memories: vec![MemoryRecord { unit_count, next_unit: UnitId(unit_count + 1), ..memory(1) }],
        units: ids(sequence)
            .map(|id| UnitWrite::Create(M, unit(id, 1, &text(id)).into()))
            .collect(),
        ..Commit::default()
    }
}

fn try_open(directory: &Path) -> Result<SledStore, StoreError> {
    let options = OpenOptions { create: false, accept_data_loss: false, purpose: "test".into() };
    SledStore::open(directory, &options)
}

/// Opens a store and checks that it holds whole commits; the last one.
fn check(directory: &Path, what: &str) -> u64 {
    let store = try_open(directory).unwrap_or_else(|error| panic!("{what}: {error}"));
    let last = store.last_sequence().0;
    let units = store.page(M, None, usize::MAX).unwrap();
    let counted = store.memories().unwrap().first().map_or(0, |memory| memory.unit_count);
    assert_eq!(
        (units.len() as u64, counted),
        (last * UNITS_IN_COMMIT, last * UNITS_IN_COMMIT),
        "{what}"
    );
    for (unit_there, id) in units.iter().zip(1..) {
        assert!(*unit_there == unit(id, 1, &text(id)), "{what}: unit {id}");
    }
    assert_eq!(store.commit(&[commit(last + 1)]), Sequence(last + 1), "{what}");
    assert_eq!(store.page(M, None, usize::MAX).unwrap().len() as u64, (last + 1) * UNITS_IN_COMMIT);
    last
}

/// Not a test of its own: the child of others.
#[test]
fn appends_in_a_child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let commits_in_append = std::env::var(COMMITS_IN_APPEND).unwrap().parse().unwrap();
    let store = open(Path::new(&directory));
    let commits: Vec<_> = (1..=COMMITS).map(commit).collect();
    for append in commits.chunks(commits_in_append) {
        println!("acknowledged {}", store.commit(append).0);
    }
}

/// Stops the child before each sync in turn, and checks an image of the disk for each of the chances.
fn stop_at_syncs(
    commits_in_append: usize,
    step: usize,
    chances: &mut [(&str, &mut dyn FnMut(Change) -> bool)],
) {
    let Some(library) = disk::library() else { return };
    let rounds = std::env::var("DHAKIRA_CRASH_ROUNDS").ok().and_then(|it| it.parse().ok());
    let step = if rounds.is_some_and(|rounds: usize| rounds >= 100) { 1 } else { step };
    let mut images = 0;
    for sync in (1..).step_by(step) {
        let place = tempfile::tempdir().unwrap();
        let data = place.path().join("data");
        drop(open(&data));
        let disk = Disk::new(place.path());
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "torn_commits::appends_in_a_child", "--nocapture"])
            .envs(disk.variables(library))
            .env("DHAKIRA_DISK_STOP", sync.to_string())
            .env(DIRECTORY, &data)
            .env(COMMITS_IN_APPEND, commits_in_append.to_string())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        let mut acknowledged = said.lines().filter_map(|it| it.split_once("acknowledged "));
        let acknowledged: u64 = acknowledged.next_back().map_or(0, |it| it.1.parse().unwrap());
        if child.status.success() {
            assert_eq!(acknowledged, COMMITS);
            assert!(images > 0, "the library does not stop it");
            eprintln!("stopped before each {step}. of {sync} syncs: {images} images, 0 torn");
            return;
        }
        for (name, chance) in &mut *chances {
            let out = tempfile::tempdir().unwrap();
            disk.image(out.path(), *chance);
            let what = format!("sync {sync}, {name}");
            let last = check(&out.path().join("data"), &what);
            assert!(last >= acknowledged, "{what}: {last} of {acknowledged}");
            images += 1;
        }
    }
}

#[test]
fn a_power_loss_at_any_sync_leaves_whole_commits() {
    let (mut half, mut most) = (Dice(1), Dice(2));
    stop_at_syncs(
        1,
        7,
        &mut [
            ("no new names", &mut |change| change == Change::Content),
            ("no new content", &mut |change| change == Change::Names),
            ("half", &mut |_| half.below(2) == 0),
            ("most", &mut |_| most.below(64) > 0),
        ],
    );
}

/// Appends that fill several segments of sled's log, which reach the disk before the commits are acknowledged.
#[test]
fn a_power_loss_in_a_long_append_leaves_whole_commits() {
    stop_at_syncs(8, 4, &mut [("no new names", &mut |change: Change| change == Change::Content)]);
}

fn large_records(directory: &Path) -> BTreeSet<std::ffi::OsString> {
    let entries = fs::read_dir(directory.join("sled/blobs")).unwrap();
    entries.map(|entry| entry.unwrap().file_name()).collect()
}

#[test]
fn a_commit_without_a_large_record_is_taken_back_unless_it_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let store = open(&data);
    let mut taken_back = 0;
    for sequence in 1..=20 {
        let before = large_records(&data);
        let acknowledged = fs::read(data.join("acknowledged")).unwrap();
        store.commit(&[commit(sequence)]);
        let new: Vec<_> = large_records(&data).difference(&before).cloned().collect();
        for lost in &new {
            let image = directory.path().join(format!("{sequence}-{}", lost.display()));
            copy(&data, &image);
            let record = image.join("sled/blobs").join(lost);
            // Lost by something else than a crash: nothing is taken back.
            fs::remove_file(&record).unwrap();
            if let Ok(store) = try_open(&image) {
                assert_eq!(store.last_sequence(), Sequence(sequence));
            }
            assert!(!image.join("sled-2").exists(), "commit {sequence}");
            fs::remove_dir_all(&image).unwrap();
            copy(&data, &image);
            fs::remove_file(&record).unwrap();
            fs::write(image.join("acknowledged"), &acknowledged).unwrap();
            assert_eq!(check(&image, &format!("commit {sequence}")), sequence - 1);
            taken_back += 1;
        }
    }
    eprintln!("{taken_back} commits taken back");
    assert!(taken_back >= 5);
}

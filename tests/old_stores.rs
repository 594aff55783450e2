//! Is a store of every version that ever was still read? Whole data directories, kept compressed under `tests/data/stores`.
//!
//! `v1`: records without a history, a commit log that names what changed and nothing more. `v2`, see the module: with uses and
//! penalties, and a backup.

mod v2;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use dhakira::engine::Engine;
use dhakira::store::{
    ChangeKind, Commit, CommitLog as _, MemoryKey, MemoryRecord, OpenOptions, RequestKey,
    RequestRecord, Sequence, SledStore, Store, UnitWrite,
};
use dhakira::unit::{
    Context, InlineTag, Scoring, Segment, TagKind, Timestamp, Unit, UnitContent, UnitId,
};

use crate::support::all_units;

use crate::support::log::LogExt as _;

const STORES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/stores");
const NEWS: MemoryKey = MemoryKey(1);
const GONE: MemoryKey = MemoryKey(2);

fn at(micros: i64) -> Timestamp {
    Timestamp { micros }
}

fn memory(key: MemoryKey, name: &str, unit_count: u64, next_unit: u64) -> MemoryRecord {
    MemoryRecord {
        key,
        name: name.parse().unwrap(),
        display_name: format!("The memory {name}"),
        description: "kept for ever".to_owned(),
        source_lang: "ar".parse().unwrap(),
        target_lang: "en".parse().unwrap(),
        created: at(1_000),
        changed: at(1_000),
        revision: 1,
        unit_count,
        next_unit: UnitId(next_unit),
        deleted: key == GONE && unit_count == 2,
        unfinished_penalty: None,
        scoring: Scoring::default(),
    }
}

fn unit(id: u64, revision: u64, source: &str, target: &str) -> Unit {
    let content = UnitContent {
        source: Segment::plain(source),
        target: Segment::plain(target),
        created: Some(at(2_000)),
        changed: Some(at(2_000 + i64::try_from(revision).unwrap())),
        ..UnitContent::default()
    };
    Unit::new(UnitId(id), revision, content)
}

/// A unit with everything that a unit can have.
fn rich_unit() -> Unit {
    let tag = |offset_bytes, kind, pair| InlineTag {
        offset_bytes,
        kind,
        pair,
        match_id: Some(1),
        label: "bold".to_owned(),
        code: "<b>".to_owned(),
    };
    let mut unit = unit(2, 1, "\u{627}\u{641}\u{62a}\u{62d} {0}", "Open {0}");
    unit.content.source.tags =
        vec![tag(0, TagKind::Open, Some(1)), tag(8, TagKind::Close, Some(1))];
    unit.content.target.tags = vec![tag(4, TagKind::Standalone, None)];
    unit.content.context = Context { previous: Some(7), next: None, ..Context::default() };
    unit.content.document = "a.txt".to_owned();
    unit.content.author = "sara".to_owned();
    unit.content.attributes = [("client".to_owned(), "x".to_owned())].into();
    unit
}

/// A unit in several pieces.
fn long_unit() -> Unit {
    unit(4, 1, &"\u{643}\u{644}\u{645}\u{629} ".repeat(12_000), &"word ".repeat(12_000))
}

fn request() -> (RequestKey, RequestRecord) {
    let record = RequestRecord { time: at(5_000), fingerprint: u128::MAX / 3, outcome: vec![2] };
    (RequestKey(*b"0123456789abcdef"), record)
}

/// What the stores under `tests/data/stores` were made of.
fn commits() -> Vec<Commit> {
    let create = |memory, unit: Unit| UnitWrite::Create(memory, Arc::new(unit));
    vec![
        Commit { time: at(1_000), memories: vec![memory(NEWS, "news", 0, 1)], ..Commit::default() },
        Commit {
            time: at(2_000),
            memories: vec![memory(NEWS, "news", 4, 5)],
            units: vec![
                create(NEWS, unit(1, 1, "\u{62d}\u{641}\u{638}", "Save")),
                create(NEWS, rich_unit()),
                create(NEWS, unit(3, 1, "\u{625}\u{644}\u{63a}\u{627}\u{621}", "Cancel")),
                create(NEWS, long_unit()),
            ],
            ..Commit::default()
        },
        Commit {
            time: at(3_000),
            memories: vec![memory(GONE, "gone", 3, 4)],
            units: (1..=3).map(|id| create(GONE, unit(id, 1, "\u{645}", "m"))).collect(),
            requests: vec![request()],
            ..Commit::default()
        },
        Commit {
            time: at(4_000),
            memories: vec![memory(NEWS, "news", 3, 5)],
            units: vec![
                UnitWrite::Update(NEWS, Arc::new(unit(1, 2, "\u{62d}\u{641}\u{638}", "Save it"))),
                UnitWrite::Delete(NEWS, UnitId(3), 1),
            ],
            ..Commit::default()
        },
        // A memory on its way out.
        Commit {
            time: at(5_000),
            memories: vec![memory(GONE, "gone", 2, 4)],
            units: vec![UnitWrite::Purge(GONE, UnitId(1))],
            ..Commit::default()
        },
    ]
}

/// Unpacks a directory of `tests/data`.
fn unpack(packed: &Path) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let (path, target) = (entry.path(), to.join(entry.file_name()));
            if path.is_dir() {
                copy(&path, &target);
            } else if path.extension().is_some_and(|it| it == "xz") {
                let mut input = liblzma::read::XzDecoder::new(fs::File::open(&path).unwrap());
                let mut out = fs::File::create(target.with_extension("")).unwrap();
                std::io::copy(&mut input, &mut out).unwrap();
            } else {
                fs::copy(&path, &target).unwrap();
            }
        }
    }
    let directory = tempfile::tempdir().unwrap();
    copy(packed, directory.path());
    directory
}

/// Packs a directory away.
fn pack(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            pack(&entry.path(), &to.join(name));
        } else if !["lock", "secret"].contains(&name.as_str()) {
            let out = fs::File::create(to.join(format!("{name}.xz"))).unwrap();
            let mut out = liblzma::write::XzEncoder::new(out, 9);
            std::io::copy(&mut fs::File::open(entry.path()).unwrap(), &mut out).unwrap();
            out.finish().unwrap();
        }
    }
}

/// What the program writes today of the same commits: `DHAKIRA_WRITE_STORE=DIR cargo test stores_are_written`.
#[test]
fn stores_are_written() {
    let Some(packed) = std::env::var_os("DHAKIRA_WRITE_STORE") else { return };
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for commit in commits() {
        store.commit(&[commit]);
    }
    drop(store);
    pack(directory.path(), Path::new(&packed));
}

fn open(directory: &Path) -> SledStore {
    let options = OpenOptions { create: true, accept_data_loss: false, purpose: "test".into() };
    SledStore::open(directory, &options).unwrap()
}

#[test]
fn a_store_of_the_first_version_is_read() {
    let directory = unpack(&Path::new(STORES).join("v1"));
    let store = open(directory.path());
    assert_eq!(store.last_sequence(), Sequence(5));
    assert_eq!(store.memories().unwrap(), [memory(NEWS, "news", 3, 5), memory(GONE, "gone", 2, 4)]);
    let expected = [unit(1, 2, "\u{62d}\u{641}\u{638}", "Save it"), rich_unit(), long_unit()];
    assert_eq!(store.page(NEWS, None, 10).unwrap(), expected);
    assert_eq!(store.page(GONE, None, 10).unwrap().len(), 2);
    assert_eq!(store.request(request().0).unwrap(), Some(request().1));
    let log = store.read(Sequence(0), 10).unwrap();
    let kinds: Vec<Vec<ChangeKind>> =
        log.iter().map(|it| it.changes.iter().map(|change| change.kind).collect()).collect();
    let created = |count| vec![ChangeKind::Created; count];
    let changed = vec![ChangeKind::Updated, ChangeKind::Deleted];
    assert_eq!(kinds, [created(0), created(4), created(3), changed, created(0)]);
    // The engine opens it, and writes after it.
    let engine = Engine::open(Arc::new(store), None, &mut |_| ()).unwrap();
    let name = "news".parse().unwrap();
    assert_eq!(all_units(&engine, &name), expected);
    let content = unit(9, 1, "\u{62c}\u{62f}\u{64a}\u{62f}", "New").content;
    let made = engine.create_units(&name, vec![content], None, |_| String::new()).unwrap();
    assert_eq!(made[0].id, UnitId(5));
    drop(engine);
    assert!(open(directory.path()).last_sequence() > Sequence(5));
}

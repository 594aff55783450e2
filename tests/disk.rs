//! What is on a disk when the power goes? What was synced, and any part of what was not.
//!
//! A library loaded into the child (`tests/data/unsynced.c`, compiled here) keeps what is durable at each fsync; a crash image is
//! made of that and a random subset of the later writes, renames and deletions.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::UNIX_EPOCH;

const PAGE_BYTES: usize = 4_096;

/// The compiled library; says so and gives nothing where there is no C compiler or the file system keeps no birth times.
pub(crate) fn library() -> Option<&'static Path> {
    static LIBRARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let library = LIBRARY.get_or_init(|| {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/unsynced.c");
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("unsynced.so");
        // Put into place as a whole: another run of the tests may be using it.
        let made = library.with_extension(std::process::id().to_string());
        let arguments = ["-shared", "-fPIC", "-O1", "-o"];
        let compiled =
            Command::new("cc").args(arguments).arg(&made).args([source, "-ldl"]).status();
        if !compiled.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: no C compiler, so no loss of unsynced writes and no failing ones");
            return None;
        }
        fs::rename(&made, &library).unwrap();
        if fs::metadata(&library).unwrap().created().is_err() {
            eprintln!("SKIPPED: the file system keeps no birth times of files");
            return None;
        }
        Some(library)
    });
    library.as_deref()
}

/// A kind of change that is lost when it is not synced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Of the entries of a directory.
    Names,
    /// Of a page or the length of a file.
    Content,
}

/// Whether a change that was not synced is there all the same.
type Chance<'a> = &'a mut dyn FnMut(Change) -> bool;

/// A place in which what is durable is kept, of everything below a directory.
pub(crate) struct Disk {
    root: PathBuf,
    shadow: tempfile::TempDir,
}

impl Disk {
    /// What is there now counts as durable.
    pub(crate) fn new(root: &Path) -> Self {
        let disk =
            Self { root: root.canonicalize().unwrap(), shadow: tempfile::tempdir().unwrap() };
        disk.prime(&disk.root);
        disk
    }

    /// What the child must have in its environment.
    pub(crate) fn variables(&self, library: &Path) -> Vec<(&'static str, String)> {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        vec![
            ("LD_PRELOAD", text(library)),
            ("DHAKIRA_DISK_ROOT", text(&self.root)),
            ("DHAKIRA_DISK_SHADOW", text(self.shadow.path())),
        ]
    }

    fn prime(&self, path: &Path) {
        let place = self.shadow.path().join(identity(path));
        if !path.is_dir() {
            fs::copy(path, place).unwrap();
            return;
        }
        let mut lines = String::new();
        for (name, id) in listing(path) {
            lines.push_str(&format!("{id} {name}\n"));
            self.prime(&path.join(name));
        }
        fs::write(place, lines).unwrap();
    }

    /// A directory as it may be after the power went.
    pub(crate) fn image(&self, out: &Path, chance: Chance<'_>) {
        self.directory(Some(&self.root), &identity(&self.root), out, chance);
    }

    fn directory(&self, live: Option<&Path>, id: &str, out: &Path, chance: Chance<'_>) {
        fs::create_dir_all(out).unwrap();
        let lines = fs::read_to_string(self.shadow.path().join(id)).unwrap_or_default();
        let durable: BTreeMap<String, String> = lines
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(id, name)| (name.to_owned(), id.to_owned()))
            .collect();
        let now = live.map(listing).unwrap_or_default();
        let mut names: Vec<&String> = durable.keys().chain(now.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            let path = live.map(|live| live.join(name));
            let (id, path) = match (durable.get(name), now.get(name)) {
                (Some(one), Some(other)) if one == other => (one, path),
                (one, Some(other)) if chance(Change::Names) => {
                    let _ = one;
                    (other, path)
                }
                (Some(one), Some(_)) => (one, None),
                (None, _) => continue,
                // Deleted, and the deletion may not have come through.
                (Some(_), None) if chance(Change::Names) => continue,
                (Some(one), None) => (one, None),
            };
            if id.starts_with("dir-") {
                self.directory(path.as_deref(), id, &out.join(name), chance);
            } else {
                fs::write(out.join(name), self.content(path.as_deref(), id, chance)).unwrap();
            }
        }
    }

    fn content(&self, live: Option<&Path>, id: &str, chance: Chance<'_>) -> Vec<u8> {
        let mut content = fs::read(self.shadow.path().join(id)).unwrap_or_default();
        let Some(live) = live.and_then(|live| fs::read(live).ok()) else { return content };
        if chance(Change::Content) {
            content.resize(live.len(), 0);
        }
        for (old, new) in content.chunks_mut(PAGE_BYTES).zip(live.chunks(PAGE_BYTES)) {
            let length = old.len().min(new.len());
            if old[..length] != new[..length] && chance(Change::Content) {
                old[..length].copy_from_slice(&new[..length]);
            }
        }
        content
    }
}

fn listing(path: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(path).unwrap().map(Result::unwrap);
    let name = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    entries.map(|entry| (name(&entry), identity(&entry.path()))).collect()
}

/// As the library names it: kind, number and birth.
fn identity(path: &Path) -> String {
    let about = fs::symlink_metadata(path).unwrap();
    let birth = about.created().unwrap().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let kind = if about.is_dir() { "dir" } else { "file" };
    format!("{kind}-{}-{birth}", about.ino())
}

/// A small file system of its own; says so and gives nothing where it cannot be made. Unmounted when dropped.
pub(crate) struct SmallDisk {
    pub(crate) path: tempfile::TempDir,
}

impl SmallDisk {
    pub(crate) fn new(mebibytes: u32) -> Option<Self> {
        let path = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(path.path())
            .output();
        if mounted.is_ok_and(|it| it.status.success()) {
            return Some(Self { path });
        }
        eprintln!("SKIPPED: no right to mount a small file system, so no full disk");
        None
    }

    pub(crate) fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let done = Command::new("mount").args(["-o", &options]).arg(self.path.path()).status();
        assert!(done.unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Left over at worst; a lazy one waits for nobody.
        let _ = Command::new("umount").arg("-l").arg(self.path.path()).status();
    }
}

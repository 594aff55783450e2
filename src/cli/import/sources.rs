//! The inputs of an import: files, pairs of files, directories of files, standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use xxhash_rust::xxh3::Xxh3;

use crate::formats::{self, Format, OpenError, ReadOptions, UnitReader};
use crate::terminal::counted;

/// One input.
#[derive(Debug, Clone)]
pub(in crate::cli) enum Source {
    Stdin,
    File(PathBuf),
    /// Sources and targets, a segment a line.
    Pair(PathBuf, PathBuf),
    /// Bytes that are part of this program.
    Bytes(&'static str, &'static [u8]),
}

/// An input that is open.
pub(in crate::cli) enum Opened {
    One(Box<dyn Read + Send>),
    Pair(Box<dyn Read + Send>, Box<dyn Read + Send>),
}

/// Extensions of the files that are read from a directory, before the extension of a compression.
fn extensions() -> impl Iterator<Item = &'static str> {
    Format::all().flat_map(Format::extensions).copied().chain(["zip"])
}

const COMPRESSED: [&str; 3] = ["gz", "xz", "zst"];

/// The inputs that arguments name; with `pairs`, each two files belong together.
pub(in crate::cli) fn sources(arguments: &[PathBuf], pairs: bool) -> anyhow::Result<Vec<Source>> {
    if pairs {
        if !arguments.len().is_multiple_of(2) {
            bail!(
                "--format moses takes pairs of files, sources and targets, not {}",
                counted(arguments.len(), "file")
            );
        }
        let pairs = arguments.chunks_exact(2);
        return Ok(pairs.map(|pair| Source::Pair(pair[0].clone(), pair[1].clone())).collect());
    }
    let mut sources = Vec::new();
    for argument in arguments {
        if argument.as_os_str() == "-" {
            sources.push(Source::Stdin);
        } else if argument.is_dir() {
            let mut found = Vec::new();
            collect(argument, &mut found)
                .with_context(|| format!("reading the directory {}", argument.display()))?;
            if found.is_empty() {
                bail!(
                    "{} is a directory without files whose names end in .{}",
                    argument.display(),
                    extensions().collect::<Vec<_>>().join(", .")
                );
            }
            found.sort();
            sources.extend(found.into_iter().map(Source::File));
        } else {
            sources.push(Source::File(argument.clone()));
        }
    }
    Ok(sources)
}

fn collect(directory: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        // Links to directories are not followed: they could form a cycle.
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), found)?;
        } else if is_exchange_file(&entry.path()) {
            found.push(entry.path());
        }
    }
    Ok(())
}

fn is_exchange_file(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = name.to_ascii_lowercase();
    let inner = COMPRESSED
        .iter()
        .find_map(|ending| name.strip_suffix(ending)?.strip_suffix('.'))
        .unwrap_or(&name);
    extensions().any(|ending| {
        inner
            .strip_suffix(ending)
            .and_then(|stem| stem.strip_suffix('.'))
            .is_some_and(|stem| !stem.is_empty())
    })
}

impl Source {
    /// The name in messages.
    pub(in crate::cli) fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Pair(sources, targets) => {
                format!("{} and {}", sources.display(), targets.display())
            }
            Self::Bytes(name, _) => (*name).to_owned(),
        }
    }

    /// Opens it; returns its length in bytes where that is known.
    pub(in crate::cli) fn open(&self) -> anyhow::Result<(Opened, Option<u64>)> {
        match self {
            Self::Stdin => Ok((Opened::One(Box::new(io::stdin())), None)),
            Self::File(path) => {
                let (file, bytes) = open(path)?;
                Ok((Opened::One(Box::new(file)), bytes))
            }
            Self::Pair(sources, targets) => {
                let named =
                    |path: &Path| open(path).with_context(|| format!("opening {}", path.display()));
                let (sources, first) = named(sources)?;
                let (targets, second) = named(targets)?;
                let bytes = first.zip(second).map(|(first, second)| first + second);
                Ok((Opened::Pair(Box::new(sources), Box::new(targets)), bytes))
            }
            Self::Bytes(_, bytes) => Ok((Opened::One(Box::new(*bytes)), Some(bytes.len() as u64))),
        }
    }

    /// A hash of its content; `None` for what can be read only once. Blocks.
    pub(in crate::cli) fn content_hash(&self) -> io::Result<Option<u128>> {
        let paths = match self {
            Self::Stdin => return Ok(None),
            Self::Bytes(_, bytes) => return Ok(Some(xxhash_rust::xxh3::xxh3_128(bytes))),
            Self::File(path) => vec![path],
            Self::Pair(sources, targets) => vec![sources, targets],
        };
        let mut hasher = Xxh3::new();
        let mut buffer = vec![0; 256 * 1024];
        for path in paths {
            let mut file = File::open(path)?;
            if !file.metadata()?.is_file() {
                return Ok(None);
            }
            let mut bytes = 0_u64;
            loop {
                let read = match file.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(read) => read,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(error),
                };
                hasher.update(&buffer[..read]);
                bytes += read as u64;
            }
            hasher.update(&bytes.to_le_bytes());
        }
        Ok(Some(hasher.digest128()))
    }
}

impl Opened {
    pub(in crate::cli) fn reader(
        self,
        options: &ReadOptions,
    ) -> Result<Box<dyn UnitReader + Send>, OpenError> {
        match self {
            Self::One(input) => formats::open(input, options),
            Self::Pair(sources, targets) => formats::open_pair(sources, targets, options),
        }
    }
}

fn open(path: &Path) -> anyhow::Result<(File, Option<u64>)> {
    // Whoever reads it says which file it is.
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        bail!("it is a directory; name the files in it");
    }
    Ok((file, metadata.is_file().then_some(metadata.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchange_files_are_known_by_their_endings() {
        for name in ["a.tmx", "b.TSV.gz", "c.d.sdlxliff", "x.po.xz"] {
            assert!(is_exchange_file(Path::new(name)), "{name}");
        }
        for name in ["tmx", ".tmx", "a.txt", "a.gz", "a.tmx.bak"] {
            assert!(!is_exchange_file(Path::new(name)), "{name}");
        }
    }
}

//! Stores the durable watermark, the number of the last acknowledged commit, in a small file outside the database.
//!
//! sled opens silently with a short or empty log when its file was truncated; this file reveals that.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::store::{Sequence, private};

pub(super) const FILE: &str = "acknowledged";

/// Makes a directory entry durable.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Writes the watermark durably.
pub(super) fn write(directory: &Path, sequence: Sequence) -> io::Result<()> {
    write_line(directory, FILE, &sequence.0.to_string())
}

/// Reads the watermark; `None` when the file does not exist.
///
/// # Errors
/// `InvalidData` when the file is damaged.
pub(super) fn read(directory: &Path) -> io::Result<Option<Sequence>> {
    let Some(digits) = read_line(directory, FILE)? else { return Ok(None) };
    digits.parse().map(|number| Some(Sequence(number))).map_err(|_| damaged(FILE))
}

/// Replaces the content of a file by a word and its checksum, durably.
pub(super) fn write_line(directory: &Path, file: &str, word: &str) -> io::Result<()> {
    let temporary = directory.join(format!("{file}.new"));
    let mut out = private::create_file(&temporary)?;
    writeln!(out, "{word} {:08x}", crc32fast::hash(word.as_bytes()))?;
    out.sync_all()?;
    fs::rename(&temporary, directory.join(file))?;
    sync_directory(directory)
}

/// Reads the word in a file; `None` when the file does not exist.
///
/// # Errors
/// `InvalidData` when the file is damaged.
pub(super) fn read_line(directory: &Path, file: &str) -> io::Result<Option<String>> {
    let bytes = match fs::read(directory.join(file)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let text = str::from_utf8(&bytes).ok();
    let word =
        text.and_then(|it| it.strip_suffix('\n')?.split_once(' ')).and_then(|(word, checksum)| {
            let expected = u32::from_str_radix(checksum, 16).ok()?;
            (crc32fast::hash(word.as_bytes()) == expected).then(|| word.to_owned())
        });
    word.map(Some).ok_or_else(|| damaged(file))
}

fn damaged(file: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the file '{file}' is damaged"))
}

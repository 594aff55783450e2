//! What was promised? The last acknowledged commit, in a small file outside the database.
//!
//! sled opens silently empty or short when its log is cut off; this file is how that is noticed.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use super::Sequence;

const FILE: &str = "acknowledged";
const TEMPORARY: &str = "acknowledged.new";

/// Makes a directory entry durable.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Writes the sequence; when it returns, it is on disk.
pub(super) fn write(directory: &Path, sequence: Sequence) -> io::Result<()> {
    let temporary = directory.join(TEMPORARY);
    let mut file = File::create(&temporary)?;
    let digits = sequence.0.to_string();
    writeln!(file, "{digits} {:08x}", crc32fast::hash(digits.as_bytes()))?;
    file.sync_all()?;
    fs::rename(&temporary, directory.join(FILE))?;
    sync_directory(directory)
}

/// The sequence; `None` when the file does not exist.
///
/// # Errors
/// `InvalidData` when the file is there and says nothing that can be trusted.
pub(super) fn read(directory: &Path) -> io::Result<Option<Sequence>> {
    let text = match fs::read_to_string(directory.join(FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let parsed = text.strip_suffix('\n').and_then(|line| line.split_once(' ')).and_then(
        |(digits, checksum)| {
            let expected = u32::from_str_radix(checksum, 16).ok()?;
            (crc32fast::hash(digits.as_bytes()) == expected).then_some(digits)?.parse().ok()
        },
    );
    parsed.map(|number| Some(Sequence(number))).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("the file '{FILE}' is damaged"))
    })
}

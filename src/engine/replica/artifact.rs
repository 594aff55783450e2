//! How are files kept that are made from the store, and can be deleted at any time? Whole or not at all, under a magic, with a
//! checksum at their end.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use crate::matching::{ArrayReader, ArrayWriter};
use crate::store::private;

/// Writes a file past its magic; the one before it stays until the new one is on disk.
pub(crate) fn write(
    path: &Path,
    magic: &[u8],
    content: impl FnOnce(&mut ArrayWriter<BufWriter<File>>) -> io::Result<()>,
) -> io::Result<()> {
    let directory = path.parent().ok_or_else(|| unfit("no directory to write it to"))?;
    private::create_directory(directory)?;
    // Files of one memory are written at the same time.
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    let temporary = path.with_extension(format!("{ending}-new"));
    let mut out = ArrayWriter::new(BufWriter::new(private::create_file(&temporary)?));
    out.bytes(magic)?;
    content(&mut out)?;
    let mut file = out.finish()?;
    file.flush()?;
    file.get_ref().sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(directory)?.sync_all()
}

/// Opens a file that was made from the store, past its magic; `None` when there is none.
pub(crate) fn open(path: &Path, magic: &[u8]) -> io::Result<Option<ArrayReader<File>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    let mut input = ArrayReader::new(file, length);
    let found = input.bytes()?;
    if found == magic {
        return Ok(Some(input));
    }
    // Only the number at the end of a magic ever changes.
    let name = |magic: &[u8]| {
        magic.iter().rposition(|it| !it.is_ascii_digit()).map(|end| magic[..=end].to_vec())
    };
    Err(unfit(if name(&found) == name(magic) {
        "it was written in the layout of another version"
    } else {
        "it is damaged: it does not begin as such a file begins"
    }))
}

/// What is in the file is of no use here.
pub(crate) fn unfit(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

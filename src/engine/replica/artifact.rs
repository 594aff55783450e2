//! Writes and opens files that are derived from the store and can be deleted at any time: atomically replaced, with a magic number
//! at the start and a checksum at the end.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use crate::matching::{ArrayReader, ArrayWriter};
use crate::store::private;

/// Writes a magic number and the content to a file. An existing file is replaced when the new one is durable.
pub(crate) fn write(
    path: &Path,
    magic: &[u8],
    content: impl FnOnce(&mut ArrayWriter<BufWriter<File>>) -> io::Result<()>,
) -> io::Result<()> {
    let directory = path.parent().ok_or_else(|| unfit("no directory to write it to"))?;
    private::create_directory(directory)?;
    // The checkpoint and the lexicon of a memory may be written at the same time.
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

/// Opens a file and checks its magic number; `None` when there is no file.
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
    // Versions of a file differ only in the number at the end of the magic.
    let name = |magic: &[u8]| {
        magic.iter().rposition(|it| !it.is_ascii_digit()).map(|end| magic[..=end].to_vec())
    };
    Err(unfit(if name(&found) == name(magic) {
        "it has the layout of another version"
    } else {
        "it is damaged: its magic number is wrong"
    }))
}

/// The error of a file whose content cannot be used.
pub(crate) fn unfit(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

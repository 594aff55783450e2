//! The result of an operation: its answers in order, each with its length in front.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Write as _};

use crate::limits::MESSAGE_BYTES_MAX;

/// Bytes of answers that wait in memory before they are written.
const BUFFER_BYTES: usize = 256 * 1024;

/// Writes answers.
#[derive(Debug)]
pub struct ResultWriter {
    file: File,
    waiting: Vec<u8>,
}

impl ResultWriter {
    pub(super) fn new(file: File) -> Self {
        Self { file, waiting: Vec::new() }
    }

    /// Adds an answer; whether so many wait that [`write`](Self::write) is due. Does not block.
    pub fn add(&mut self, answer: &[u8]) -> bool {
        // No message is as long as the type allows.
        let length = u32::try_from(answer.len()).unwrap_or(u32::MAX);
        self.waiting.extend_from_slice(&length.to_le_bytes());
        self.waiting.extend_from_slice(answer);
        self.waiting.len() >= BUFFER_BYTES
    }

    /// Writes the answers that wait. Blocks.
    ///
    /// # Errors
    /// I/O.
    pub fn write(&mut self) -> io::Result<()> {
        self.file.write_all(&self.waiting)?;
        self.waiting.clear();
        Ok(())
    }

    /// Writes everything, so that it survives a crash. Blocks.
    ///
    /// # Errors
    /// I/O.
    pub fn finish(mut self) -> io::Result<()> {
        self.write()?;
        self.file.sync_all()
    }
}

/// Reads answers.
#[derive(Debug)]
pub struct ResultReader {
    /// `None` when there are no answers.
    file: Option<BufReader<File>>,
}

impl ResultReader {
    pub(super) fn new(file: Option<File>) -> Self {
        Self { file: file.map(BufReader::new) }
    }

    /// The next answer; `None` after the last one. Blocks.
    ///
    /// # Errors
    /// I/O; the file ends within an answer.
    pub fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = &mut self.file else { return Ok(None) };
        let mut length = [0; 4];
        if file.read(&mut length[..1])? == 0 {
            return Ok(None);
        }
        file.read_exact(&mut length[1..])?;
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > MESSAGE_BYTES_MAX {
            let what = format!("an answer of {length} bytes in the result of an operation");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let mut answer = vec![0; length];
        file.read_exact(&mut answer)?;
        Ok(Some(answer))
    }
}

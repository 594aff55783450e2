//! Writes units to a file of any format that can be written.

use std::io::{self, Write};

use crate::unit::Unit;

use super::format::{Encoder, FileHeader, Format};

/// A file being written to `W`, unit by unit. The same units always give the same bytes.
pub struct UnitWriter<W> {
    encoder: Box<dyn Encoder + Send>,
    /// The encoded unit; reused for the next one.
    buffer: Vec<u8>,
    out: W,
}

/// Begins a file.
///
/// # Errors
/// I/O; `InvalidInput` for a format that is only read.
pub fn create<W: Write>(format: Format, header: &FileHeader, out: W) -> io::Result<UnitWriter<W>> {
    let mut buffer = Vec::new();
    let encoder = format.encode(header, &mut buffer)?;
    let mut writer = UnitWriter { encoder, buffer, out };
    writer.drain()?;
    Ok(writer)
}

impl<W: Write> UnitWriter<W> {
    /// Writes one unit.
    ///
    /// # Errors
    /// I/O.
    pub fn write(&mut self, unit: &Unit) -> io::Result<()> {
        self.encoder.unit(unit, &mut self.buffer)?;
        self.drain()
    }

    /// Writes the end of the file and returns the output, flushed.
    ///
    /// # Errors
    /// I/O.
    pub fn finish(mut self) -> io::Result<W> {
        self.encoder.end(&mut self.buffer)?;
        self.drain()?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn drain(&mut self) -> io::Result<()> {
        let written = self.out.write_all(&self.buffer);
        self.buffer.clear();
        written
    }
}

//! Writes arrays of numbers to a file and reads them back: little-endian, each with its length, under one checksum.
//!
//! Does not know what the numbers mean. The reader allocates no more than the input can hold, and its values must not
//! be used before [`ArrayReader::finish`] has verified the checksum.

use std::io::{self, Read, Write};

use xxhash_rust::xxh3::Xxh3;

/// A value with a fixed encoded size.
pub(crate) trait Element: Sized {
    /// Encoded size.
    const BYTES: usize;
    fn put(&self, out: &mut Vec<u8>);
    /// Decodes exactly [`BYTES`](Self::BYTES) bytes.
    fn take(bytes: &[u8]) -> Self;
}

macro_rules! element_number {
    ($($number:ty),*) => {$(
        impl Element for $number {
            const BYTES: usize = size_of::<$number>();

            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            #[inline]
            fn take(bytes: &[u8]) -> Self {
                let mut number = [0; size_of::<$number>()];
                number.copy_from_slice(bytes);
                Self::from_le_bytes(number)
            }
        }
    )*};
}

element_number!(u8, u16, u32, u64, i64);

impl<A: Element, B: Element> Element for (A, B) {
    const BYTES: usize = A::BYTES + B::BYTES;

    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    #[inline]
    fn take(bytes: &[u8]) -> Self {
        let (first, second) = bytes.split_at(A::BYTES);
        (A::take(first), B::take(second))
    }
}

/// Bytes that are converted at a time.
const CHUNK_BYTES: usize = 1 << 18;

/// Writes arrays.
pub struct ArrayWriter<W> {
    out: W,
    checksum: Xxh3,
    buffer: Vec<u8>,
}

impl<W: Write> ArrayWriter<W> {
    /// Writes to `out`, which needs no buffer of its own.
    pub fn new(out: W) -> Self {
        Self { out, checksum: Xxh3::new(), buffer: Vec::new() }
    }

    /// Writes an array of bytes.
    ///
    /// # Errors
    ///
    /// Errors of the writer.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.array(bytes)
    }

    pub(crate) fn array<T: Element>(&mut self, values: &[T]) -> io::Result<()> {
        (values.len() as u64).put(&mut self.buffer);
        for value in values {
            value.put(&mut self.buffer);
            if self.buffer.len() >= CHUNK_BYTES {
                self.flush()?;
            }
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.checksum.update(&self.buffer);
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Writes the checksum and returns the writer.
    ///
    /// # Errors
    ///
    /// Errors of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&self.checksum.digest().to_le_bytes())?;
        Ok(self.out)
    }
}

/// Reads arrays.
pub struct ArrayReader<R> {
    input: R,
    checksum: Xxh3,
    left_bytes: u64,
    buffer: Vec<u8>,
}

impl<R: Read> ArrayReader<R> {
    /// Reads from `input`, which holds `length_bytes` bytes and needs no buffer of its own.
    pub fn new(input: R, length_bytes: u64) -> Self {
        Self { input, checksum: Xxh3::new(), left_bytes: length_bytes, buffer: Vec::new() }
    }

    /// Reads an array of bytes.
    ///
    /// # Errors
    ///
    /// `InvalidData` when the array is longer than the rest of the input; errors of the reader.
    pub fn bytes(&mut self) -> io::Result<Vec<u8>> {
        self.array()
    }

    pub(crate) fn array<T: Element>(&mut self) -> io::Result<Vec<T>> {
        let mut count = [0; 8];
        self.read(&mut count)?;
        let count = u64::from_le_bytes(count);
        if count.checked_mul(T::BYTES as u64).is_none_or(|bytes| bytes > self.left_bytes) {
            return Err(damaged("an array that is longer than the file"));
        }
        let count = usize::try_from(count).map_err(|_| damaged("an array without end"))?;
        let mut values = Vec::with_capacity(count);
        let chunk = CHUNK_BYTES / T::BYTES;
        let mut buffer = std::mem::take(&mut self.buffer);
        while values.len() < count {
            buffer.resize(chunk.min(count - values.len()) * T::BYTES, 0);
            self.read(&mut buffer)?;
            values.extend(buffer.chunks_exact(T::BYTES).map(T::take));
        }
        self.buffer = buffer;
        Ok(values)
    }

    fn read(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.input.read_exact(bytes)?;
        self.checksum.update(bytes);
        self.left_bytes = self.left_bytes.saturating_sub(bytes.len() as u64);
        Ok(())
    }

    /// Verifies the checksum. Call it before using any value that was read.
    ///
    /// # Errors
    ///
    /// `InvalidData` when the checksum differs or more data follows; errors of the reader.
    pub fn finish(mut self) -> io::Result<()> {
        let mut stored = [0; 8];
        self.input.read_exact(&mut stored)?;
        if u64::from_le_bytes(stored) != self.checksum.digest() {
            return Err(damaged("the checksum does not agree"));
        }
        if self.input.read(&mut stored)? > 0 {
            return Err(damaged("more than was written"));
        }
        Ok(())
    }
}

/// The error for input that is not what was written.
pub(crate) fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_come_back_and_no_damage_goes_unseen() {
        let numbers: Vec<(u32, u16)> = (0..100_000).map(|it| (it, 7)).collect();
        let mut writer = ArrayWriter::new(Vec::new());
        writer.array(&numbers).unwrap();
        writer.array::<u64>(&[]).unwrap();
        writer.bytes(b"end").unwrap();
        let written = writer.finish().unwrap();
        let read = |bytes: &[u8]| -> io::Result<()> {
            let mut reader = ArrayReader::new(bytes, bytes.len() as u64);
            let all = (reader.array::<(u32, u16)>()?, reader.array::<u64>()?, reader.bytes()?);
            reader.finish()?;
            assert_eq!(all, (numbers.clone(), Vec::new(), b"end".to_vec()));
            Ok(())
        };
        read(&written).unwrap();
        for place in [0, 5, 7, 8, 9, 300_000, written.len() - 20, written.len() - 1] {
            let mut changed = written.clone();
            changed[place] ^= 0x10;
            assert!(read(&changed).is_err(), "byte {place}");
            assert!(read(&written[..place]).is_err(), "cut at {place}");
        }
        assert!(read(&[&written[..], b"x"].concat()).is_err());
    }
}

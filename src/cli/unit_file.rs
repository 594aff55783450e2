//! A file of units that a command writes: its format and its compression.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::Context as _;
use clap::Args;
use flate2::write::GzEncoder;
use liblzma::write::XzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::output_file::OutputFile;
use crate::formats::Format;

/// Which file to write, and how.
#[derive(Debug, Args)]
pub(super) struct UnitFile {
    #[command(flatten)]
    file: OutputFile,
    /// Format of the file; by the ending of its name when not given, else TMX. Compressed when the name ends in .gz, .xz or .zst.
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
}

impl UnitFile {
    /// The file; `None` for standard output.
    pub(super) fn path(&self) -> Option<&Path> {
        self.file.path()
    }

    /// Checks before any work whether the file can be written.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.kind()?;
        self.file.check()
    }

    /// Writes the file with `write`, which is handed the format and the output, and returns the output.
    pub(super) async fn write<T>(
        &self,
        write: impl AsyncFnOnce(Format, Out) -> anyhow::Result<(Out, T)>,
    ) -> anyhow::Result<T> {
        let (format, compression) = self.kind()?;
        let write = async |file| {
            let (out, answer) = write(format, Out::new(file, compression)).await?;
            out.finish()?;
            Ok(answer)
        };
        self.file.write(write).await
    }

    /// By the flag, else by the name of the file; and how it is compressed.
    fn kind(&self) -> anyhow::Result<(Format, Compression)> {
        let name = self.path().and_then(Path::file_name).and_then(|name| name.to_str());
        let name = name.unwrap_or_default().to_ascii_lowercase();
        let (inner, compression) = match name.rsplit_once('.') {
            Some((inner, "gz")) => (inner, Compression::Gzip),
            Some((inner, "xz")) => (inner, Compression::Xz),
            Some((inner, "zst")) => (inner, Compression::Zstandard),
            Some((_, ending @ ("zip" | "bz2"))) => {
                anyhow::bail!(
                    "a file is not written as .{ending}; .gz, .xz and .zst are, or pipe it"
                )
            }
            _ => (name.as_str(), Compression::None),
        };
        let format = match (self.format, inner.rsplit_once('.').map(|(_, ending)| ending)) {
            (Some(format), _) => format,
            (None, None) => Format::Tmx,
            (None, Some(ending)) => Format::of_extension(ending).with_context(|| {
                let written = Format::written_names();
                format!("no format has files whose names end in .{ending}; name one with --format: {written}")
            })?,
        };
        let known = Format::written().any(|it| it == format);
        anyhow::ensure!(known, "{format} is only read; written are {}", Format::written_names());
        Ok((format, compression))
    }
}

#[derive(Debug, Clone, Copy)]
enum Compression {
    None,
    Gzip,
    Xz,
    Zstandard,
}

/// Compresses as hard as is still fast.
const XZ_LEVEL: u32 = 3;

pub(super) type Raw = BufWriter<Box<dyn Write + Send>>;

/// Where the file goes.
pub(super) enum Out {
    Plain(Raw),
    Gzip(BufWriter<GzEncoder<Raw>>),
    Xz(BufWriter<XzEncoder<Raw>>),
    Zstandard(BufWriter<ZstandardFrames>),
}

/// Compresses each piece as a frame of its own: a Zstandard file is any number of frames.
pub(super) struct ZstandardFrames(Raw);

impl Write for ZstandardFrames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A reader that is a slice does not fail, and neither does writing to memory.
        self.0.write_all(&compress_to_vec(bytes, CompressionLevel::Fastest))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Compressors take large pieces.
const PIECE_BYTES: usize = 64 * 1024;
/// Bytes of one frame of Zstandard: what is in another one cannot be referred to.
const FRAME_BYTES: usize = 4 * 1024 * 1024;

impl Out {
    fn new(out: Box<dyn Write + Send>, compression: Compression) -> Self {
        let raw = BufWriter::with_capacity(PIECE_BYTES, out);
        let pieces = PIECE_BYTES;
        match compression {
            Compression::None => Self::Plain(raw),
            Compression::Gzip => {
                let encoder = GzEncoder::new(raw, flate2::Compression::default());
                Self::Gzip(BufWriter::with_capacity(pieces, encoder))
            }
            Compression::Xz => {
                Self::Xz(BufWriter::with_capacity(pieces, XzEncoder::new(raw, XZ_LEVEL)))
            }
            Compression::Zstandard => {
                Self::Zstandard(BufWriter::with_capacity(FRAME_BYTES, ZstandardFrames(raw)))
            }
        }
    }

    /// Writes everything out.
    fn finish(self) -> io::Result<()> {
        let mut raw = match self {
            Self::Plain(raw) => raw,
            Self::Gzip(out) => out.into_inner()?.finish()?,
            Self::Xz(out) => out.into_inner()?.finish()?,
            Self::Zstandard(out) => out.into_inner()?.0,
        };
        raw.flush()
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Gzip(out) => out.write(bytes),
            Self::Xz(out) => out.write(bytes),
            Self::Zstandard(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Gzip(out) => out.flush(),
            Self::Xz(out) => out.flush(),
            Self::Zstandard(out) => out.flush(),
        }
    }
}

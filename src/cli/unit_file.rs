//! A file of units that a command writes: its format, its compression, and how it comes into place.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use flate2::write::GzEncoder;
use liblzma::write::XzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use crate::formats::Format;
use crate::terminal::stdout;

/// Which file to write.
#[derive(Debug, Args)]
pub(super) struct UnitFile {
    /// File to write, which must not exist yet; standard output for `-` or when not given. Compressed when its name ends in .gz, .xz
    /// or .zst.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Format of the file; by the ending of its name when not given, else TMX.
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Overwrite the file if it exists.
    #[arg(long, requires = "output")]
    force: bool,
}

impl UnitFile {
    /// The file; `None` for standard output.
    pub(super) fn path(&self) -> Option<&Path> {
        self.output.as_deref().filter(|path| path.as_os_str() != "-")
    }

    /// Checks before any work whether the file can be written.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.kind()?;
        match self.path() {
            Some(path) if path.is_dir() => {
                anyhow::bail!("{} is a directory; name a file in it", path.display())
            }
            Some(path) if path.exists() && !is_device(path) && !self.force => {
                anyhow::bail!("{} exists; --force overwrites it", path.display())
            }
            Some(path) => {
                let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
                if let Some(missing) = directory.filter(|it| !it.is_dir()) {
                    anyhow::bail!(
                        "{}: there is no directory {}; create it first",
                        path.display(),
                        missing.display()
                    );
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Writes the file with `write`, which is handed the format and the output, and returns the output. The file is written beside
    /// its place first, so that a failure leaves an older one as it was.
    pub(super) async fn write<T>(
        &self,
        write: impl AsyncFnOnce(Format, Out) -> anyhow::Result<(Out, T)>,
    ) -> anyhow::Result<T> {
        self.check()?;
        let (format, compression) = self.kind()?;
        let Some(path) = self.path() else {
            let out = Out::Plain(BufWriter::new(Box::new(stdout())));
            let (out, answer) = write(format, out).await?;
            out.finish()?;
            return Ok(answer);
        };
        let doing = || format!("writing {}", path.display());
        if is_device(path) {
            let file = File::options().write(true).open(path).with_context(doing)?;
            let written = write(format, Out::new(Box::new(file), compression)).await;
            let (out, answer) = written.with_context(doing)?;
            out.finish().with_context(doing)?;
            return Ok(answer);
        }
        let mut partial = path.to_owned().into_os_string();
        partial.push(".partial");
        let file = File::create(&partial).with_context(doing)?;
        let synced = file.try_clone().with_context(doing)?;
        let written = write(format, Out::new(Box::new(file), compression)).await;
        let renamed = written.and_then(|(out, answer)| {
            out.finish()?;
            synced.sync_all().and_then(|()| std::fs::rename(&partial, path))?;
            Ok(answer)
        });
        if renamed.is_err() {
            // Half a file is of no use; that it cannot be removed is not what went wrong.
            let _ = std::fs::remove_file(&partial);
        }
        renamed.with_context(doing)
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

/// Whether a path leads to something that is written into and not replaced: a device, a pipe.
fn is_device(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|it| !it.is_file() && !it.is_dir())
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

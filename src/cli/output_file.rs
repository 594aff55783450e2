//! A file that a command writes: it comes into its place whole, and replaces another one only when that is wanted.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use crate::terminal::stdout;

/// Which file to write.
#[derive(Debug, Args)]
pub(super) struct OutputFile {
    /// File to write, which must not exist yet; standard output for `-` or when not given.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite the file if it exists.
    #[arg(long, requires = "output")]
    force: bool,
}

impl OutputFile {
    /// The file; `None` for standard output.
    pub(super) fn path(&self) -> Option<&Path> {
        self.output.as_deref().filter(|path| path.as_os_str() != "-")
    }

    /// Checks before any work whether the file can be written.
    pub(super) fn check(&self) -> anyhow::Result<()> {
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

    /// Writes the file with `write`, which keeps nothing back in a buffer. The file is written beside its place first, so that a
    /// failure leaves an older one as it was.
    pub(super) async fn write<T>(
        &self,
        write: impl AsyncFnOnce(Box<dyn Write + Send>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        self.check()?;
        let Some(path) = self.path() else { return write(Box::new(stdout())).await };
        let doing = || format!("writing {}", path.display());
        if is_device(path) {
            let file = File::options().write(true).open(path).with_context(doing)?;
            return write(Box::new(file)).await.with_context(doing);
        }
        let mut partial = path.to_owned().into_os_string();
        partial.push(".partial");
        let file = File::create(&partial).with_context(doing)?;
        let synced = file.try_clone().with_context(doing)?;
        let written = write(Box::new(file)).await;
        let renamed = written.and_then(|answer| {
            synced.sync_all().and_then(|()| std::fs::rename(&partial, path))?;
            Ok(answer)
        });
        if renamed.is_err() {
            // Half a file is of no use; that it cannot be removed is not what went wrong.
            let _ = std::fs::remove_file(&partial);
        }
        renamed.with_context(doing)
    }
}

/// Whether a path leads to something that is written into and not replaced: a device, a pipe.
fn is_device(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|it| !it.is_file() && !it.is_dir())
}

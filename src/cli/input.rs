//! Text input: lines of standard input, whole files.

use std::fs::File;
use std::io::{self, BufRead as _, Read as _};
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::formats::{self, Format};
use crate::limits::DOCUMENT_BYTES_MAX;

/// The lines of standard input, without their ends; UTF-8.
pub(super) fn stdin_lines() -> impl Iterator<Item = anyhow::Result<String>> {
    let mut input = io::stdin().lock();
    let mut number = 0;
    std::iter::from_fn(move || {
        let mut bytes = Vec::new();
        match input.read_until(b'\n', &mut bytes) {
            Err(error) => Some(Err(error.into())),
            Ok(0) => None,
            Ok(_) => {
                number += 1;
                let ends: &[u8] = if bytes.ends_with(b"\r\n") { b"\r\n" } else { b"\n" };
                let line = bytes.strip_suffix(ends).unwrap_or(&bytes).to_vec();
                Some(
                    String::from_utf8(line)
                        .with_context(|| format!("line {number} of standard input is not UTF-8")),
                )
            }
        }
    })
}

/// The text of a file, or of standard input for `-`: in any encoding that can be detected, compressed or not.
pub(super) fn document(path: &Path) -> anyhow::Result<String> {
    let (name, input): (_, Box<dyn io::Read + Send>) = if path.as_os_str() == "-" {
        ("standard input".to_owned(), Box::new(io::stdin()))
    } else {
        let file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
        (path.display().to_string(), Box::new(file))
    };
    let limit = DOCUMENT_BYTES_MAX as u64;
    let mut text = String::new();
    let mut reader = formats::open_text(input).with_context(|| format!("reading {name}"))?;
    reader
        .by_ref()
        .take(limit + 1)
        .read_to_string(&mut text)
        .with_context(|| format!("reading {name}"))?;
    if text.len() > DOCUMENT_BYTES_MAX {
        bail!("{name} is longer than {} MiB; split it into parts", DOCUMENT_BYTES_MAX >> 20);
    }
    if let Some(place) = text.find(formats::ILLEGAL) {
        let line = text[..place].matches('\n').count() + 1;
        bail!("{name}, line {line}: invalid bytes for its encoding; save it as UTF-8");
    }
    Ok(text)
}

/// Whether the name of a file says that it holds units.
pub(super) fn is_exchange_file(file: &Path) -> bool {
    let name = file.to_string_lossy().to_lowercase();
    let packed = [".gz", ".xz", ".zst", ".bz2"].iter().find_map(|it| name.strip_suffix(it));
    let extension = packed.unwrap_or(&name).rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|it| it == "zip" || Format::of_extension(it).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_holds_units() {
        for name in ["a.tmx", "A.TMX.GZ", "b.xlf", "b.sdlxliff", "c.po", "d.csv.xz", "e.zip"] {
            assert!(is_exchange_file(Path::new(name)), "{name}");
        }
        for name in ["a.txt", "tmx", "a.tmx.txt", "b.txt.gz", "c.md", "-"] {
            assert!(!is_exchange_file(Path::new(name)), "{name}");
        }
    }
}

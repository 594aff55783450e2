//! Names the formats that are recognized but not read, and says what to do with them.

use super::format::OpenError;
use super::io::Head;

const EXPORT: &str = "export it as TMX or XLIFF";
const TEXT: &str = "a translation memory comes from TMX, XLIFF, PO, XLSX, CSV, TSV or JSON lines";
const UNPACK: &str = "unpack it first";

/// Names XML by its root element.
fn by_root(root: &str) -> OpenError {
    let (name, way_out) = match root {
        "tradostag" => ("TTX (Trados TagEditor)", EXPORT),
        "txml" => ("TXML (Wordfast)", EXPORT),
        "ts" => ("TS (Qt Linguist)", EXPORT),
        "tbx" | "martif" => ("TBX, a termbase", TEXT),
        "mtf" => ("a termbase of MultiTerm", TEXT),
        "resources" => ("an Android string resource", EXPORT),
        "html" => ("HTML", TEXT),
        "tt" => ("TTML, subtitles", TEXT),
        "srx" => ("SRX, sentence rules", TEXT),
        _ => {
            let root: String = root.chars().take(40).collect();
            return OpenError::Unknown(format!(
                "it is XML, but <{root}> begins neither TMX nor XLIFF"
            ));
        }
    };
    OpenError::Unread(name, way_out)
}

/// Says why no format recognizes a text.
pub(super) fn explain(head: &Head<'_>, file_name: &str) -> OpenError {
    if let Some(root) = head.root() {
        return by_root(root);
    }
    if is_wordfast(head) {
        return OpenError::Unread("a memory of Wordfast (TXT)", EXPORT);
    }
    by_extension(file_name).unwrap_or_else(|| {
        let what = if head.is_binary() {
            "it holds bytes that no text has"
        } else {
            "the first line has no tab, comma or semicolon between columns; --format says what it is"
        };
        OpenError::Unknown(what.to_owned())
    })
}

/// Whether a text is a memory of Wordfast, which has columns but no header that names them.
pub(super) fn is_wordfast(head: &Head<'_>) -> bool {
    let line = head.line();
    line.starts_with(b"%")
        && line.windows(3).any(|it| it == b"\t%U" || it == b"%TU" || it == b"\t%T")
}

/// Formats that their first bytes reveal.
const BINARY: [(&[u8], &str, &str); 8] = [
    (
        b"SQLite format 3\0",
        "a database of SQLite, such as a memory of Trados Studio (SDLTM)",
        EXPORT,
    ),
    (b"%PDF-", "PDF", TEXT),
    (b"{\\rtf", "RTF", TEXT),
    (b"7z\xbc\xaf\x27\x1c", "an archive of 7-Zip", UNPACK),
    (b"Rar!\x1a\x07", "an archive of RAR", UNPACK),
    (b"BZh", "compressed with bzip2", UNPACK),
    (
        b"\xde\x12\x04\x95",
        "a compiled message catalog (MO)",
        "import the PO file from which it was compiled",
    ),
    (
        b"\x95\x04\x12\xde",
        "a compiled message catalog (MO)",
        "import the PO file from which it was compiled",
    ),
];

/// Names a binary format by its first bytes, which may have been decoded as text, so that not all of them are left.
pub(super) fn by_magic(head: &[u8]) -> Option<OpenError> {
    let known = BINARY.iter().find(|(magic, ..)| head.starts_with(magic));
    known.map(|(_, name, way_out)| OpenError::Unread(name, way_out))
}

/// Names a format by the first bytes of a file before they are decoded.
pub(super) fn by_raw_magic(magic: &[u8]) -> Option<OpenError> {
    const COMPOUND: &[u8] = b"\xd0\xcf\x11\xe0";
    if magic.starts_with(COMPOUND) {
        let name = "a document of Microsoft Office before 2007 (DOC, XLS, PPT)";
        return Some(OpenError::Unread(name, "save it as XLSX, CSV or text"));
    }
    by_magic(magic)
}

/// Names an archive that is a document.
pub(super) fn by_archive_entries<'a>(
    mut names: impl Iterator<Item = &'a str>,
) -> Option<OpenError> {
    let name = names.find_map(|name| match name {
        "word/document.xml" => Some("a document of Word (DOCX)"),
        "ppt/presentation.xml" => Some("a presentation of PowerPoint (PPTX)"),
        "META-INF/manifest.xml" => Some("a document of OpenDocument (ODT, ODS) or a Java archive"),
        "META-INF/container.xml" => Some("an e-book (EPUB)"),
        "designmap.xml" => Some("a document of InDesign (IDML)"),
        _ => None,
    })?;
    Some(OpenError::Unread(name, TEXT))
}

/// Names a format by the file extension, where the content does not reveal it.
fn by_extension(file_name: &str) -> Option<OpenError> {
    let ending = file_name.rsplit_once('.')?.1.to_ascii_lowercase();
    let name = match ending.as_str() {
        "tmw" | "mwf" | "mdf" | "mtf" | "iix" => "a memory of Trados Translator's Workbench (TMW)",
        "sdltb" | "mdb" => "a termbase of MultiTerm (SDLTB)",
        "wfm" => "a memory of Wordfast",
        "ttx" => "TTX (Trados TagEditor)",
        "txml" => "TXML (Wordfast)",
        _ => return None,
    };
    Some(OpenError::Unread(name, EXPORT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_files_are_named_before_they_are_decoded() {
        assert!(by_raw_magic(b"\xd0\xcf\x11\xe0\xa1").is_some());
        assert!(by_archive_entries(["a.xml", "word/document.xml"].into_iter()).is_some());
        assert!(by_archive_entries(["a.tmx", "b.xlf"].into_iter()).is_none());
    }
}

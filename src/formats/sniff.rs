//! The format of a file by its beginning, and the names of the formats that are not read.

use crate::formats::xml::tag_name;

use super::{Format, OpenError};

/// The format of decoded text by its beginning.
///
/// # Errors
/// It is in no format that is read.
pub(super) fn format(head: &[u8], file_name: &str) -> Result<Format, OpenError> {
    if let Some(unread) = unread_binary(head) {
        return Err(unread);
    }
    let head = head.trim_ascii_start();
    if head.is_empty() {
        return Err(OpenError::Empty);
    }
    if head.starts_with(b"{") {
        return Ok(Format::Jsonl);
    }
    if head.starts_with(b"<") {
        return xml(head);
    }
    if is_po(head) {
        return Ok(Format::Po);
    }
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or(head);
    if line.contains(&0) || head[..head.len().min(512)].contains(&0) {
        let unknown = || OpenError::Unknown("it holds bytes that no text has".to_owned());
        return Err(unread_name(file_name).unwrap_or_else(unknown));
    }
    let is_wordfast = line.starts_with(b"%")
        && line.windows(3).any(|it| it == b"\t%U" || it == b"%TU" || it == b"\t%T");
    if is_wordfast {
        return Err(OpenError::Unread("a memory of Wordfast (TXT)", EXPORT));
    }
    if line.contains(&b'\t') {
        return Ok(Format::Tsv);
    }
    if line.contains(&b',') || line.contains(&b';') {
        return Ok(Format::Csv);
    }
    Err(unread_name(file_name).unwrap_or_else(|| {
        let what = "the first line has no tab, comma or semicolon between columns; --format says what it is";
        OpenError::Unknown(what.to_owned())
    }))
}

const EXPORT: &str = "export it as TMX or XLIFF";
const TEXT: &str = "a translation memory comes from TMX, XLIFF, PO, XLSX, CSV, TSV or JSON lines";
const UNPACK: &str = "unpack it first";

/// The format of XML by its root element; comments, a declaration and a DTD stand before it.
fn xml(head: &[u8]) -> Result<Format, OpenError> {
    let head = String::from_utf8_lossy(head);
    let Some(root) = root(&head) else { return Ok(Format::Tmx) };
    let (name, way_out) = match root.to_ascii_lowercase().as_str() {
        "tmx" => return Ok(Format::Tmx),
        "xliff" => return Ok(Format::Xliff),
        "tradostag" => ("TTX (Trados TagEditor)", EXPORT),
        "txml" => ("TXML (Wordfast)", EXPORT),
        "ts" => ("TS (Qt Linguist)", EXPORT),
        "tbx" | "martif" => ("TBX, a termbase", TEXT),
        "mtf" => ("a termbase of MultiTerm", TEXT),
        "resources" => ("a file of strings of Android", EXPORT),
        "html" => ("HTML", TEXT),
        "tt" => ("TTML, subtitles", TEXT),
        "srx" => ("SRX, rules for sentences", TEXT),
        _ => {
            let root: String = root.chars().take(40).collect();
            return Err(OpenError::Unknown(format!(
                "it is XML, but <{root}> begins neither TMX nor XLIFF"
            )));
        }
    };
    Err(OpenError::Unread(name, way_out))
}

/// The name of the root element, without its prefix; `None` when it is not in the beginning of the file.
fn root(head: &str) -> Option<&str> {
    let mut rest = head;
    loop {
        rest = &rest[rest.find('<')?..];
        let end = if rest.starts_with("<!--") {
            "-->"
        } else if rest.starts_with("<?") {
            "?>"
        } else if rest.starts_with("<!") {
            // An internal subset has elements of its own between brackets.
            let subset = rest.find('[').filter(|&at| rest.find('>').is_none_or(|end| at < end));
            if subset.is_some() { "]" } else { ">" }
        } else {
            let name = tag_name(&rest[1..]);
            return Some(name.split_once(':').map_or(name, |(_, local)| local));
        };
        rest = &rest[rest.find(end)? + end.len()..];
    }
}

fn is_po(head: &[u8]) -> bool {
    let begins_message = |line: &[u8]| {
        let line = line.strip_prefix(b"#~").unwrap_or(line).trim_ascii_start();
        [&b"msgid"[..], b"msgctxt"].into_iter().any(|keyword| {
            line.strip_prefix(keyword)
                .is_some_and(|rest| rest.trim_ascii_start().starts_with(b"\""))
        })
    };
    let is_comment = |line: &&[u8]| line.starts_with(b"#") && !line.starts_with(b"#~");
    let mut lines = head.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    lines.find(|line| !line.is_empty() && !is_comment(line)).is_some_and(begins_message)
}

/// Formats that are told by their first bytes.
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
        "a compiled message catalogue (MO)",
        "import the PO file that it was made of",
    ),
    (
        b"\x95\x04\x12\xde",
        "a compiled message catalogue (MO)",
        "import the PO file that it was made of",
    ),
];

/// What is told by bytes that are no text; they have been taken for text of some encoding, so that not all of them are left.
fn unread_binary(head: &[u8]) -> Option<OpenError> {
    let known = BINARY.iter().find(|(magic, ..)| head.starts_with(magic));
    known.map(|(_, name, way_out)| OpenError::Unread(name, way_out))
}

/// What the first bytes of a file tell before they are decoded.
pub(super) fn unread_bytes(magic: &[u8]) -> Option<OpenError> {
    const COMPOUND: &[u8] = b"\xd0\xcf\x11\xe0";
    if magic.starts_with(COMPOUND) {
        let name = "a document of Microsoft Office before 2007 (DOC, XLS, PPT)";
        return Some(OpenError::Unread(name, "save it as XLSX, CSV or text"));
    }
    unread_binary(magic)
}

/// Archives that are documents.
pub(super) fn unread_archive<'a>(names: impl Iterator<Item = &'a str>) -> Option<OpenError> {
    let mut names = names;
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

/// By the ending of its name, for what cannot be told by its content.
fn unread_name(file_name: &str) -> Option<OpenError> {
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
    fn the_root_element_is_found_behind_everything_else() {
        for (head, name) in [
            ("<tmx version='1.4'>", Some("tmx")),
            (
                "<?xml version='1.0'?>\n<!-- <xliff> -->\n<!DOCTYPE tmx SYSTEM 'tmx14.dtd'>\n<tmx>",
                Some("tmx"),
            ),
            ("<!DOCTYPE x [<!ELEMENT tmx (a)> <!-- > -->]>\n<x:xliff\n a='b'>", Some("xliff")),
            ("<?xml version='1.0'?>", None),
            ("<!-- <tmx>", None),
        ] {
            assert_eq!(root(head), name, "{head}");
        }
    }

    #[test]
    fn formats_that_are_not_read_are_refused_by_their_name() {
        for (head, file, named) in [
            ("<?xml version='1.0'?><TRADOStag Version='2.0'>", "a.xml", "TTX"),
            ("<txml locale='en'>", "a", "TXML"),
            ("<TS version='2.1'>", "a", "Qt Linguist"),
            ("<html>", "a", "HTML"),
            ("<elsewhere>", "a", "<elsewhere>"),
            ("SQLite format 3\0...", "a.sdltm", "SDLTM"),
            ("%PDF-1.7", "a", "PDF"),
            ("{\\rtf1", "a", "RTF"),
            (
                "%20240101~120000\t%User ID,A\t%TU=00000001\t%EN-US\t%Wordfast TM",
                "a.txt",
                "Wordfast",
            ),
            ("\u{1}\0\u{2}", "dir.x/a.tmw", "TMW"),
        ] {
            let message = format(head.as_bytes(), file).unwrap_err().to_string();
            assert!(message.contains(named), "{message}");
        }
        assert!(unread_bytes(b"\xd0\xcf\x11\xe0\xa1").is_some());
        assert!(unread_archive(["a.xml", "word/document.xml"].into_iter()).is_some());
        assert!(unread_archive(["a.tmx", "b.xlf"].into_iter()).is_none());
    }

    #[test]
    fn formats_that_are_read_are_told_by_their_beginning() {
        for (head, expected) in [
            ("  <xliff>", Format::Xliff),
            ("<!-- xliff --><tmx>", Format::Tmx),
            ("{\"source\":1}", Format::Jsonl),
            ("# c\n\nmsgid \"\"", Format::Po),
            ("ar\ten\n", Format::Tsv),
            ("ar;en\n", Format::Csv),
        ] {
            assert_eq!(format(head.as_bytes(), "a").unwrap(), expected, "{head}");
        }
    }
}

//! Presents the beginning of a decoded text, by which its format is recognized.

use std::borrow::Cow;

/// Bytes in which a zero byte reveals that a file is not text.
const BINARY_BYTES: usize = 512;

/// The beginning of a text.
pub(crate) struct Head<'a> {
    text: &'a [u8],
    /// The local name of the root element, lower-case.
    root: Option<String>,
}

impl<'a> Head<'a> {
    pub(crate) fn new(head: &'a [u8]) -> Self {
        let text = head.trim_ascii_start();
        let xml =
            if text.starts_with(b"<") { String::from_utf8_lossy(text) } else { Cow::default() };
        let root = root(&xml).map(|(name, _)| name.to_ascii_lowercase());
        Self { text, root }
    }

    /// The text from its first character that is not white space.
    pub(crate) fn text(&self) -> &'a [u8] {
        self.text
    }

    pub(crate) fn line(&self) -> &'a [u8] {
        self.text.split(|&byte| byte == b'\n').next().unwrap_or(self.text)
    }

    pub(crate) fn is_xml(&self) -> bool {
        self.text.starts_with(b"<")
    }

    /// Whether it holds zero bytes, which no text does.
    pub(crate) fn is_binary(&self) -> bool {
        let beginning = &self.text[..self.text.len().min(BINARY_BYTES)];
        self.line().contains(&0) || beginning.contains(&0)
    }

    /// The local name of the root element of XML, lower-case; `None` when it is not in the beginning of the file.
    pub(crate) fn root(&self) -> Option<&str> {
        self.root.as_deref()
    }
}

/// Whether the root element has begun, so that its name is whole.
pub(super) fn has_root(text: &[u8]) -> bool {
    root(&String::from_utf8_lossy(text)).is_some_and(|(_, is_whole)| is_whole)
}

/// The name of the root element, without its prefix, and whether anything follows it. Comments, a declaration and a DTD may
/// come before it.
fn root(head: &str) -> Option<(&str, bool)> {
    let mut rest = head;
    loop {
        rest = &rest[rest.find('<')?..];
        let end = if rest.starts_with("<!--") {
            "-->"
        } else if rest.starts_with("<?") {
            "?>"
        } else if rest.starts_with("<!") {
            // An internal subset declares elements between brackets.
            let subset = rest.find('[').filter(|&at| rest.find('>').is_none_or(|end| at < end));
            if subset.is_some() { "]" } else { ">" }
        } else {
            let inside = &rest[1..];
            let end = inside.find(|it: char| it.is_whitespace() || matches!(it, '/' | '>'));
            let name = &inside[..end.unwrap_or(inside.len())];
            return Some((name.split_once(':').map_or(name, |(_, local)| local), end.is_some()));
        };
        rest = &rest[rest.find(end)? + end.len()..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_element_is_found_after_everything_else() {
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
            assert_eq!(Head::new(head.as_bytes()).root(), name, "{head}");
            assert_eq!(has_root(head.as_bytes()), name.is_some(), "{head}");
        }
        assert!(!has_root(b"<?xml version='1.0'?><xli"));
    }
}

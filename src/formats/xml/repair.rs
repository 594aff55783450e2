//! Names the faults of markup in real files and how they are repaired.
//!
//! Knows nothing of how markup is read.

use super::input::Position;

/// A fault in the markup of a file that was repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repair {
    Ampersand,
    LessThan,
    Entity,
    Surrogates,
    Tag,
    Unclosed,
    StrayEnd,
    Foreign,
    Depth,
}

impl Repair {
    const COUNT: usize = 9;

    /// The notice, given once per file.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Ampersand => "a '&' that begins no reference is read as itself",
            Self::LessThan => "a '<' that begins no tag is read as itself",
            Self::Entity => {
                "an entity of HTML is read as the character it names; XML does not define it"
            }
            Self::Surrogates => {
                "two references to the halves of a character are read as that character"
            }
            Self::Tag => "a tag that breaks the rules of XML is read as far as it can be",
            Self::Unclosed => "an element without an end tag ends where the one around it does",
            Self::StrayEnd => {
                "an end tag without a start tag is skipped, or kept as an inline code"
            }
            Self::Foreign => "markup that the format does not have is read as inline codes",
            Self::Depth => "elements that are nested too deeply are read as siblings",
        }
    }
}

/// The first place of each kind of repair in a file.
#[derive(Debug, Default)]
pub(crate) struct Repairs {
    seen: [bool; Repair::COUNT],
    new: Vec<(Repair, Position)>,
}

impl Repairs {
    pub(crate) fn note(&mut self, repair: Repair, position: Position) {
        if !std::mem::replace(&mut self.seen[repair as usize], true) {
            self.new.push((repair, position));
        }
    }

    pub(crate) fn drain(&mut self) -> std::vec::Drain<'_, (Repair, Position)> {
        self.new.drain(..)
    }
}

/// Void elements of HTML: they have no content and often no end tag.
const VOID: [&str; 11] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "wbr"];

pub(crate) fn is_void(name: &str) -> bool {
    VOID.iter().any(|void| void.eq_ignore_ascii_case(name))
}

/// Whether a text is a valid name of an element.
pub(crate) fn is_name(text: &str) -> bool {
    let starts = |first: char| first.is_alphabetic() || matches!(first, '_' | ':');
    let is_part =
        |it: char| it.is_alphanumeric() || matches!(it, '_' | ':' | '-' | '.') || it > '\u{7f}';
    text.starts_with(starts) && text.chars().all(is_part)
}

/// The name at the beginning of the text between `<` and `>`.
pub(crate) fn tag_name(inside: &str) -> &str {
    let end = inside.find(|it: char| it.is_whitespace() || matches!(it, '/' | '>'));
    &inside[..end.unwrap_or(inside.len())]
}

/// The tag at the beginning of markup in which a quotation mark is missing: it ends at the first `>`, if no `<` comes before.
pub(crate) fn cut_tag(markup: &[u8]) -> Option<&str> {
    let inside = markup.get(1..)?;
    let end = inside.iter().position(|&byte| matches!(byte, b'<' | b'>'))?;
    if inside[end] != b'>' {
        return None;
    }
    let tag = std::str::from_utf8(&markup[..end + 2]).ok()?;
    let inside = &tag[1..tag.len() - 1];
    let name = tag_name(inside.strip_prefix('/').unwrap_or(inside));
    is_name(name).then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_cut_where_the_next_one_has_not_begun() {
        let cut = |markup: &'static str| cut_tag(markup.as_bytes());
        assert_eq!(cut("<tu id=\"a><tuv lang=\"ar\">"), Some("<tu id=\"a>"));
        assert_eq!(cut("</seg \"><tuv x=\"\">"), Some("</seg \">"));
        for none in ["<tu id=\"a <tuv>", "<5 > 4 <b>", "<", "", "<!-- x > y", "</seg\"><b>"] {
            assert_eq!(cut(none), None, "{none}");
        }
    }
}

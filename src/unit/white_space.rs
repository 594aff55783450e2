//! Decides which inline tags stand for white space: line and page breaks, tabs, ends of blocks, images between words.
//!
//! The type of the tag says so (TMX 1.4b and XLIFF 1.2: `lb`, `pb`, `image`, `struct`; XLIFF 2.1: `xlf:lb`), or the
//! element or control word of the native code (HTML, `WordprocessingML`, RTF, `{tab}`), or the code is white space,
//! literal or escaped. Any other tag (bold, a link, a field) may be inside a word.

/// Names of elements, types and control words, without prefixes, in lower case and in order.
const NAMES: [&str; 83] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "br",
    "break",
    "caption",
    "carriagereturn",
    "cell",
    "col",
    "column",
    "columnbreak",
    "cr",
    "dd",
    "div",
    "dl",
    "dt",
    "emsp",
    "enspace",
    "ensp",
    "emspace",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "graphic",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hr",
    "image",
    "img",
    "lb",
    "lf",
    "li",
    "line",
    "linebreak",
    "linefeed",
    "main",
    "nav",
    "nbsp",
    "newline",
    "nl",
    "ol",
    "option",
    "p",
    "page",
    "pagebreak",
    "par",
    "para",
    "paragraph",
    "pb",
    "pic",
    "picture",
    "pre",
    "row",
    "section",
    "select",
    "softbreak",
    "sp",
    "space",
    "struct",
    "tab",
    "table",
    "tabulator",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "thinsp",
    "title",
    "tr",
    "ul",
    "whitespace",
    "ws",
];

/// White space as programs and word processors escape it.
const ESCAPES: [&str; 11] =
    ["\\n", "\\r", "\\r\\n", "\\t", "\\f", "\\v", "^p", "^l", "^t", "^n", "^m"];

/// White space as entities of XML and HTML.
const ENTITIES: [&str; 16] = [
    "&nbsp;",
    "&ensp;",
    "&emsp;",
    "&thinsp;",
    "&tab;",
    "&newline;",
    "&#9;",
    "&#10;",
    "&#13;",
    "&#32;",
    "&#160;",
    "&#x9;",
    "&#xa;",
    "&#xd;",
    "&#x20;",
    "&#xa0;",
];

/// `lb`, `xlf:lb`, `x-html-br`, `x-tab`, `line-break`
pub(super) fn is_white_space_name(name: &str) -> bool {
    let name = name.rsplit(':').next().unwrap_or(name).to_ascii_lowercase();
    let name = name.strip_prefix("x-").unwrap_or(&name);
    let name = name.strip_prefix("html-").unwrap_or(name);
    let name: String = name.chars().filter(|it| !matches!(it, '-' | '_' | ' ')).collect();
    NAMES.contains(&name.as_str())
}

/// Whether a native code stands for white space: an element, a control word or an escape for it.
pub fn is_white_space_code(code: &str) -> bool {
    let code = without_annotations(code);
    if !code.is_empty() && code.chars().all(char::is_whitespace) {
        return true;
    }
    let code = code.trim();
    if ESCAPES.contains(&code) || ENTITIES.contains(&code.to_ascii_lowercase().as_str()) {
        return true;
    }
    let Some(inner) = code.strip_prefix(['<', '{', '[', '\\']) else { return false };
    let inner = inner.trim_start_matches(['/', '\\']);
    let end = inner.find(|it: char| !(it.is_alphanumeric() || matches!(it, ':' | '-' | '_')));
    is_white_space_name(&inner[..end.unwrap_or(inner.len())])
}

/// Removes the embedded elements and attributes from a code, see [`InlineTag::code`](super::InlineTag::code).
fn without_annotations(code: &str) -> String {
    let mut plain = String::with_capacity(code.len());
    let mut inside = false;
    for character in code.chars() {
        match character {
            '\u{fff9}' => inside = true,
            '\u{fffa}' => inside = false,
            '\u{fffb}' => {}
            _ if inside => {}
            _ => plain.push(character),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use crate::unit::{InlineTag, TagKind};

    #[test]
    fn breaks_tabs_blocks_and_images_are_white_space_and_other_tags_are_not() {
        let tag = |label: &str, code: &str| InlineTag {
            offset_bytes: 0,
            kind: TagKind::Standalone,
            pair: None,
            match_id: None,
            label: label.into(),
            code: code.into(),
        };
        for code in [
            "<br/>",
            "<br>",
            "<BR />",
            "</p>",
            "<p class=\"x\">",
            "<w:br/>",
            "<w:tab/>",
            "<text:line-break/>",
            "{tab}",
            "{br}",
            "[br]",
            "\\par ",
            "\\line",
            "\\n",
            "\\t",
            "^p",
            "\n",
            "\t",
            " ",
            "&nbsp;",
            "&#10;",
            "&#xA0;",
            "<img src=\"line.png\"/>",
            "<hr>",
            "</li>",
            "<td>",
            "\u{fff9}ph x=\"1\"\u{fffa}\u{fffb}<br/>",
        ] {
            assert!(tag("", code).is_white_space(), "{code:?}");
        }
        for label in [
            "lb",
            "pb",
            "xlf:lb",
            "x-tab",
            "x-html-br",
            "x-html-BR",
            "struct",
            "image",
            "line-break",
        ] {
            assert!(tag(label, "").is_white_space(), "{label:?}");
            assert!(tag(label, "<x id=\"1\"/>").is_white_space(), "{label:?}");
        }
        for (label, code) in [
            ("", ""),
            ("", "<b>"),
            ("", "</b>"),
            ("", "<bdo>"),
            ("", "<span class=\"br\">"),
            ("bold", "<b>"),
            ("link", "<a href=\"p\">"),
            ("", "{0}"),
            ("", "%s"),
            ("", "{name}"),
            ("", "br"),
            ("", "&amp;"),
            ("", "\\b "),
            ("x-bold", "{b}"),
            ("", "\u{fff9}br\u{fffa}\u{fffb}"),
            ("", "<wbr>"),
        ] {
            assert!(!tag(label, code).is_white_space(), "{label:?} {code:?}");
        }
    }
}

//! Segments as translate5 writes them: text with `bpt`, `ept`, `ph` of TMX, `bx`, `ex`, `x`, `g` of XLIFF, and `t5:n` for numbers.

use crate::formats::{read_markup, write_markup};
use crate::unit::{InlineTag, Segment, TagKind};

use super::fault::Fault;

/// The elements that are no part of TMX and that translate5 expects back as it sent them.
const OWN_ELEMENTS: [&str; 7] = ["x", "bx", "ex", "g", "/g", "t5:n", "number"];
/// A number that translate5 hides from the memory.
const NUMBERS: [&str; 2] = ["t5:n", "number"];

/// The segment of a text with markup.
pub(super) fn read(field: &str, markup: &str) -> Result<Segment, Fault> {
    let mut segment = read_markup(markup).map_err(|reason| Fault::broken_markup(field, &reason))?;
    for tag in &mut segment.tags {
        if tag.kind != TagKind::Standalone {
            continue;
        }
        match element_name(&tag.code) {
            Some("bx") => (tag.kind, tag.pair) = (TagKind::Open, pair(&tag.code)),
            Some("ex") => (tag.kind, tag.pair) = (TagKind::Close, pair(&tag.code)),
            _ => {}
        }
    }
    Ok(segment)
}

/// A segment with its markup.
pub(super) fn write(segment: &Segment) -> String {
    write_with(segment, &[])
}

/// Source and target of a match, with the tags of the query in place of those that correspond to them, as t5memory returns them:
/// translate5 knows only the tags that it sent.
pub(super) fn write_for(query: &Segment, source: &Segment, target: &Segment) -> (String, String) {
    let of_source = paired(&source.tags, &query.tags, |_, _| true);
    let exact = paired(&target.tags, &source.tags, is_same);
    let rest = paired_rest(&target.tags, &source.tags, exact);
    let of_target: Vec<Option<usize>> =
        rest.into_iter().map(|place| of_source.get(place?).copied().flatten()).collect();
    let written = |places: Vec<Option<usize>>| -> Vec<Option<String>> {
        let tag = |place: usize| query.tags.get(place).map(as_sent);
        places.into_iter().map(|place| place.and_then(tag)).collect()
    };
    (write_with(source, &written(of_source)), write_with(target, &written(of_target)))
}

/// Writes a segment, some of its tags in another form.
fn write_with(segment: &Segment, others: &[Option<String>]) -> String {
    let form = |number: usize| {
        let own = || segment.tags.get(number).filter(|tag| is_own(tag)).map(|tag| tag.code.clone());
        others.get(number).cloned().flatten().or_else(own)
    };
    let elements: Vec<Option<String>> = (0..segment.tags.len()).map(form).collect();
    // Elements around text are written where they enclose it, and otherwise as empty elements.
    let nests = nest(elements.iter().flatten());
    write_markup(segment, |number| {
        let element = elements.get(number).cloned().flatten();
        element.filter(|it| nests || !matches!(element_name(it), Some("g" | "/g")))
    })
}

/// A tag of a query as translate5 sent it.
fn as_sent(tag: &InlineTag) -> String {
    if is_own(tag) {
        return tag.code.clone();
    }
    let alone = InlineTag { offset_bytes: 0, ..tag.clone() };
    write_markup(&Segment { text: String::new(), tags: vec![alone] }, |_| None)
}

/// For each tag, the first other one of its kind that corresponds and is not taken; numbers stay what they are.
fn paired(
    tags: &[InlineTag],
    others: &[InlineTag],
    corresponds: impl Fn(&InlineTag, &InlineTag) -> bool,
) -> Vec<Option<usize>> {
    let mut taken = vec![false; others.len()];
    tags.iter()
        .take(TAGS_PAIRED_MAX)
        .map(|tag| {
            let fits = |(place, other): &(usize, &InlineTag)| {
                !taken[*place] && role(tag) == role(other) && corresponds(tag, other)
            };
            let mut candidates = others.iter().enumerate().take(TAGS_PAIRED_MAX);
            let place = role(tag).and_then(|_| candidates.find(fits)).map(|(place, _)| place)?;
            taken[place] = true;
            Some(place)
        })
        .collect()
}

/// Tags of a segment that are compared with those of another one; more are written as they are stored.
const TAGS_PAIRED_MAX: usize = 500;

/// The same, with places for tags that have none yet.
fn paired_rest(
    tags: &[InlineTag],
    others: &[InlineTag],
    mut places: Vec<Option<usize>>,
) -> Vec<Option<usize>> {
    let mut free: Vec<bool> = (0..others.len()).map(|it| !places.contains(&Some(it))).collect();
    for (tag, place) in tags.iter().zip(&mut places) {
        if place.is_none() && role(tag).is_some() {
            let fits = |(at, other): &(usize, &InlineTag)| free[*at] && role(tag) == role(other);
            *place = others.iter().enumerate().find(fits).map(|(at, _)| at);
            if let Some(at) = *place {
                free[at] = false;
            }
        }
    }
    places
}

/// Whether a tag of a target is the translation of one of its source.
fn is_same(tag: &InlineTag, other: &InlineTag) -> bool {
    let by_match = tag.match_id.is_some() && tag.match_id == other.match_id;
    let by_pair = tag.pair.is_some() && tag.pair == other.pair;
    by_match || by_pair || (!tag.code.is_empty() && tag.code == other.code)
}

/// What a tag does; `None` for a number.
fn role(tag: &InlineTag) -> Option<u8> {
    if element_name(&tag.code).is_some_and(|name| NUMBERS.contains(&name)) {
        return None;
    }
    Some(match tag.kind {
        TagKind::Open | TagKind::IsolatedOpen => 0,
        TagKind::Close | TagKind::IsolatedClose => 1,
        TagKind::Standalone => 2,
    })
}

/// Whether the code of a tag is an element that translate5 expects as it is.
fn is_own(tag: &InlineTag) -> bool {
    element_name(&tag.code).is_some_and(|name| OWN_ELEMENTS.contains(&name))
}

/// The name of the element that a code is, with its slash if it is an end tag.
fn element_name(code: &str) -> Option<&str> {
    let inside = code.strip_prefix('<')?.strip_suffix('>')?;
    if inside.contains(['<', '>']) {
        return None;
    }
    let end = inside.find(|it: char| it.is_whitespace() || (it == '/' && !inside.starts_with('/')));
    let name = &inside[..end.unwrap_or(inside.len())];
    // An element without content is closed at once, but for `g`.
    (inside.ends_with('/') != matches!(name, "g" | "/g")).then_some(name)
}

/// The number that joins the halves of a pair.
fn pair(code: &str) -> Option<u32> {
    let value = |name: &str| {
        let (_, rest) = code.split_once(&format!(" {name}=\""))?;
        rest.split('"').next()?.parse().ok()
    };
    value("rid").or_else(|| value("i")).or_else(|| value("id"))
}

/// Whether elements around text enclose each other.
fn nest<'a>(elements: impl Iterator<Item = &'a String>) -> bool {
    let mut open = 0_usize;
    for element in elements {
        match element_name(element) {
            Some("g") => open += 1,
            Some("/g") if open == 0 => return false,
            Some("/g") => open -= 1,
            _ => {}
        }
    }
    open == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(markup: &str) -> String {
        write(&read("source", markup).unwrap())
    }

    #[test]
    fn elements_of_translate5_come_back_as_they_were() {
        for markup in [
            "a &lt; b &amp; c",
            "<bx id=\"1\" rid=\"1\"/>bold<ex id=\"2\" rid=\"1\"/> and <x id=\"3\"/>",
            "<g id=\"1\">bold <g id=\"2\">more</g></g>",
            "<bpt i=\"1\" x=\"1\"/>bold<ept i=\"1\"/><ph x=\"2\"/>",
            "in <t5:n id=\"1\" r=\"09eIKa6Jq\" n=\"5\"/> days",
        ] {
            assert_eq!(both(markup), markup);
        }
        let segment = read("source", "<bx id=\"1\" rid=\"7\"/>a<ex id=\"2\" rid=\"7\"/>").unwrap();
        assert_eq!((segment.tags[0].kind, segment.tags[0].pair), (TagKind::Open, Some(7)));
        assert_eq!((segment.tags[1].kind, segment.tags[1].pair), (TagKind::Close, Some(7)));
    }

    #[test]
    fn a_match_has_the_tags_of_the_query() {
        let query = read(
            "source",
            "<bx id=\"4\" rid=\"2\"/>a<ex id=\"5\" rid=\"2\"/> <x id=\"6\"/><x id=\"7\"/>",
        )
        .unwrap();
        let source =
            read("source", "<bpt i=\"1\"/>a<ept i=\"1\"/> <ph x=\"1\"/><ph x=\"2\"/>").unwrap();
        let target =
            read("target", "<ph x=\"2\"/><ph x=\"1\"/> <bpt i=\"1\"/>b<ept i=\"1\"/><ph x=\"9\"/>")
                .unwrap();
        let (source, target) = write_for(&query, &source, &target);
        assert_eq!(
            source,
            "<bx id=\"4\" rid=\"2\"/>a<ex id=\"5\" rid=\"2\"/> <x id=\"6\"/><x id=\"7\"/>"
        );
        assert_eq!(
            target,
            "<x id=\"7\"/><x id=\"6\"/> <bx id=\"4\" rid=\"2\"/>b<ex id=\"5\" rid=\"2\"/><ph x=\"9\"/>"
        );
        // What encloses text is never written without its other half.
        let query = read("source", "<g id=\"1\">a</g>").unwrap();
        let source = read("source", "<bpt i=\"1\"/>a<ept i=\"1\"/>").unwrap();
        let target = read("target", "<ept i=\"1\"/>b<bpt i=\"1\"/>").unwrap();
        let (source, target) = write_for(&query, &source, &target);
        assert_eq!(source, "<g id=\"1\">a</g>");
        assert_eq!(target, "<ept i=\"1\"/>b<bpt i=\"1\"/>");
        assert!(read("target", &target).is_ok());
    }
}

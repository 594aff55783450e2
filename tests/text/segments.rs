//! Segments with inline tags: tags that stand for white space part words, tags inside of words do not.

use dhakira::matching::Reason;
use dhakira::text::{Analysis, Analyzer, canonical_of_segment};
use dhakira::unit::{InlineTag, Segment, TagKind};
use proptest::prelude::*;

use super::variants::judged;

/// A segment of pieces of text with codes between them.
fn segment(pieces: &[&str]) -> Segment {
    let mut segment = Segment::default();
    for (number, piece) in pieces.iter().enumerate() {
        if number % 2 == 0 {
            segment.text.push_str(piece);
        } else {
            segment.tags.push(InlineTag {
                offset_bytes: segment.text.len() as u32,
                kind: TagKind::Standalone,
                pair: None,
                match_id: None,
                label: String::new(),
                code: (*piece).to_owned(),
            });
        }
    }
    segment
}

fn analyze(segment: &Segment) -> Analysis {
    Analyzer::new(&"ar".parse().unwrap()).analyze_segment(segment)
}

fn words(segment: &Segment) -> Vec<String> {
    let analysis = analyze(segment);
    let words = analysis.words().map(|it| segment.text[analysis.span(it)].to_owned());
    words.collect()
}

#[test]
fn tags_that_stand_for_white_space_part_words() {
    for code in ["<br/>", "{tab}", "\\n", "</p>", "<img src=\"line.png\"/>"] {
        let parted = segment(&["Opening hours", code, "Every day"]);
        assert_eq!(words(&parted), ["Opening", "hours", "Every", "day"], "{code}");
        assert_eq!(canonical_of_segment(&parted), "Opening hours Every day");
        // White space beside it is the same white space.
        let spaced = segment(&["Opening hours ", code, " Every day", code, ""]);
        assert_eq!(analyze(&spaced).canonical(), analyze(&parted).canonical());
    }
    let whole = segment(&["A bo", "</b>", "ld word"]);
    assert_eq!(words(&whole), ["A", "bold", "word"]);
    assert_eq!(canonical_of_segment(&whole), "A bold word");
}

#[test]
fn a_break_and_a_space_are_the_same_text() {
    let parted = analyze(&segment(&[
        "\u{627}\u{644}\u{627}\u{633}\u{645}",
        "<br/>",
        "\u{627}\u{644}\u{647}\u{627}\u{62a}\u{641}",
    ]));
    let spaced = Analyzer::new(&"ar".parse().unwrap())
        .analyze("\u{627}\u{644}\u{627}\u{633}\u{645} \u{627}\u{644}\u{647}\u{627}\u{62a}\u{641}");
    assert_eq!(judged(&parted, &spaced), Some((10_000, Vec::<Reason>::new())));
}

proptest! {
    /// What a segment with breaks is analysed to is what the text is with spaces in their places.
    #[test]
    fn breaks_are_spaces(pieces in prop::collection::vec("[a-c\u{628}\u{62a}\u{64e}12., \u{200f}\u{a0}]{0,6}", 1..6)) {
        let tagged: Vec<&str> = pieces.iter().flat_map(|piece| [piece.as_str(), "<br/>"]).collect();
        let tagged = segment(&tagged[..tagged.len() - 1]);
        let spaced = pieces.join(" ");
        let (one, other) = (analyze(&tagged), Analyzer::new(&"ar".parse().unwrap()).analyze(&spaced));
        prop_assert_eq!(one.canonical(), other.canonical());
        let forms = |analysis: &Analysis| -> Vec<String> {
            analysis.words().map(|it| analysis.folded(it).to_owned()).collect()
        };
        prop_assert_eq!(forms(&one), forms(&other));
        for token in one.tokens() {
            let span = one.span(token);
            prop_assert!(tagged.text.is_char_boundary(span.start) && span.end <= tagged.text.len() && span.start < span.end);
        }
    }
}

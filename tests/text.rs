//! The text layer: forms, tokens, classes, by small tables and by properties of any text.

mod blocks;
mod hamza;
mod hostile;
mod segments;
mod sentences;
mod variants;

use dhakira::text::{
    Analysis, Analyzer, Differences, TEXT_VERSION, TokenKind, canonical, gap_differences,
    token_differences,
};
use proptest::prelude::*;

const VARIANTS: &str = include_str!("data/text/variants.tsv");
const TOKENS: &str = include_str!("data/text/tokens.tsv");
const CLASSES: &str = include_str!("data/text/classes.tsv");

fn analyzer() -> Analyzer {
    Analyzer::new(&"ar".parse().unwrap())
}

fn rows(table: &str) -> impl Iterator<Item = &str> {
    table.lines().filter(|line| !line.starts_with('#'))
}

/// All differences of two texts whose tokens fold to the same.
fn differences(a: &Analysis, b: &Analysis) -> Differences {
    let mut found = Differences::default();
    assert_eq!(a.words().count(), b.words().count(), "{} / {}", a.canonical(), b.canonical());
    for (one, other) in a.words().zip(b.words()) {
        assert_eq!(a.folded(one), b.folded(other));
        assert_eq!(a.class(one), b.class(other));
        found |= token_differences(a.surface(one), b.surface(other));
    }
    for (one, other) in a.gaps().zip(b.gaps()) {
        assert_eq!(one.folded, other.folded);
        found |= gap_differences(one.canonical, other.canonical);
    }
    found
}

#[test]
fn variants_are_told_apart_by_kind() {
    for row in rows(VARIANTS) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [one, other, expected] = columns.as_slice() else { panic!("{row}") };
        if *expected == "=" {
            assert_ne!(one, other);
            assert_eq!(canonical(one), canonical(other), "{row}");
            continue;
        }
        assert_ne!(canonical(one), canonical(other), "{row}");
        let expected = match *expected {
            "marks" => Differences::MARKS,
            "tatweel" => Differences::TATWEEL,
            "letters" => Differences::LETTERS,
            "digits" => Differences::DIGITS,
            "case" => Differences::CASE,
            "spacing" => Differences::SPACING,
            "punctuation" => Differences::PUNCTUATION,
            other => panic!("{other}"),
        };
        let (one, other) = (analyzer().analyze(one), analyzer().analyze(other));
        assert_eq!(differences(&one, &other), expected, "{row}");
        assert_eq!(differences(&other, &one), expected, "{row}");
    }
}

#[test]
fn tokens_are_what_they_look_like() {
    for row in rows(TOKENS) {
        let (text, expected) = row.split_once('\t').unwrap();
        let analysis = analyzer().analyze(text);
        let seen: Vec<String> = analysis
            .words()
            .map(|token| {
                let kind = match token.kind {
                    TokenKind::Word => 'W',
                    TokenKind::Number => 'N',
                    TokenKind::Date => 'D',
                    TokenKind::Percent => '%',
                    TokenKind::Currency => '$',
                    TokenKind::Url => 'U',
                    TokenKind::Email => 'E',
                    TokenKind::Placeholder => 'P',
                    TokenKind::Code => 'C',
                    TokenKind::Tag => 'T',
                    TokenKind::Punctuation => unreachable!(),
                };
                format!("{kind}:{}", &text[analysis.span(token)])
            })
            .collect();
        assert_eq!(seen.join(" "), expected);
    }
}

#[test]
fn forms_of_a_word_share_a_class_and_others_do_not() {
    for row in rows(CLASSES) {
        let (same, others) = row.split_once(" | ").unwrap();
        let class = |word: &str| {
            let analysis = analyzer().analyze(word);
            let token = analysis.words().next().unwrap();
            analysis.class(token).to_owned()
        };
        let first = class(same.split(' ').next().unwrap());
        for word in same.split(' ') {
            assert_eq!(class(word), first, "{word}");
        }
        for word in others.split(' ') {
            assert_ne!(class(word), first, "{word}");
        }
    }
}

/// Everything that must hold of any text.
fn check(text: &str) {
    let analysis = analyzer().analyze(text);
    let canonical_text = canonical(text).into_owned();
    assert_eq!(analysis.canonical(), canonical_text);
    assert_eq!(canonical(&canonical_text), canonical_text, "idempotent");
    let mut end = 0;
    for token in analysis.tokens() {
        let span = analysis.span(token);
        assert!(span.start >= end, "spans do not go back nor overlap");
        assert!(text.is_char_boundary(span.start) && text.is_char_boundary(span.end));
        assert!(span.end > span.start, "a token stands for something");
        assert!(!analysis.surface(token).is_empty() && !analysis.folded(token).is_empty());
        end = span.end;
    }
    assert!(end <= text.len());
    assert_eq!(analysis.gaps().len(), analysis.words().count() + 1);
    // The pieces are the whole.
    let mut joined = String::new();
    for (gap, word) in analysis.gaps().zip(analysis.words().map(Some).chain([None])) {
        joined.push_str(gap.canonical);
        joined.push_str(word.map_or("", |word| analysis.surface(word)));
    }
    assert_eq!(joined, canonical_text);
    maps_back(text, &analysis);
    assert!(!analysis.has_words() || analysis.words().any(|it| it.kind == TokenKind::Word));
    let is_text = |token: &&dhakira::text::Token| {
        token.kind == TokenKind::Word && canonical(analysis.folded(token)) == analysis.folded(token)
    };
    for token in analysis.words().filter(is_text) {
        let again = analyzer().analyze(analysis.folded(token));
        let folded: String = again.tokens().iter().map(|it| again.folded(it)).collect();
        assert_eq!(folded, analysis.folded(token), "idempotent");
    }
    // Memory that was used for another text gives the same.
    let mut reused = analyzer().analyze("\u{633}\u{644}\u{627}\u{645} 12");
    analyzer().analyze_into(text, &mut reused);
    assert_eq!(format!("{:?}", reused.tokens()), format!("{:?}", analysis.tokens()));
}

/// Every character of the canonical text stands for a stretch of the original, in order; what stands for nothing is what the
/// canonical form leaves out.
fn maps_back(text: &str, analysis: &Analysis) {
    let mut end = 0;
    for (place, character) in analysis.canonical().char_indices() {
        let original = analysis.original(place..place + character.len_utf8());
        assert!(original.end >= end, "{text:?}: monotone");
        if let Some(skipped) = text.get(end..original.start) {
            assert_eq!(canonical(skipped), "", "{text:?}: covered");
        }
        end = original.end;
    }
    assert_eq!(canonical(&text[end..]), "", "{text:?}: covered to the end");
    let whole = analysis.original(0..analysis.canonical().len());
    assert!(text.is_char_boundary(whole.start) && text.is_char_boundary(whole.end));
}

proptest! {
    #[test]
    fn any_text_has_forms(text in ".{0,60}") {
        check(&text);
    }

    /// Arabic letters, marks, controls, digits, tags: what meets in real files.
    #[test]
    fn any_arabic_text_has_forms(text in "[\u{600}-\u{6ff}\u{fb50}-\u{fdff}\u{fe70}-\u{feff}\u{200b}-\u{200f} <>{}$%`&;a-c1.,/-]{0,40}") {
        check(&text);
    }
}

proptest! {
    /// Digits with all that may part them, and what the canonical form leaves out.
    #[test]
    fn any_digits_have_forms(text in "[019\u{661}\u{a0}\u{202f}\u{200f}\u{61c}\u{300} ,.'\u{60c}%$-]{0,24}") {
        check(&text);
    }
}

#[test]
fn hostile_texts_take_linear_time() {
    for piece in [
        "\u{64e}",
        "\u{651}\u{64e}",
        "((((",
        "<a",
        "{",
        "`",
        "\u{200d}",
        "1,",
        "%(",
        "&a",
        "a@",
        "http://",
        "1 250 ",
        "250 ",
        "%1 ",
        "%1,",
        "$1",
        "A-1",
        "1-",
    ] {
        let text = piece.repeat(64 * 1024 / piece.len());
        let since = std::time::Instant::now();
        check(&text);
        assert!(since.elapsed().as_secs() < 20, "{piece:?}");
    }
}

const VALUES: &str = include_str!("data/text/values.tsv");

#[test]
fn numbers_and_dates_have_values() {
    for row in rows(VALUES) {
        let (text, expected) = row.split_once('\t').unwrap();
        let analysis = analyzer().analyze(text);
        let seen: Vec<String> = analysis
            .words()
            .filter(|token| token.kind.is_number_like())
            .map(|token| {
                let value = analysis.value(token);
                let name = token.kind.name();
                value.map_or(format!("{name}:?"), |value| format!("{name}:{value}"))
            })
            .collect();
        assert_eq!(seen.join("; "), expected, "{text}");
    }
}

#[test]
fn numbers_codes_and_links_are_no_words() {
    for text in [
        "1,250.5",
        "50% - 60%",
        "2024-05-01",
        "21 \u{645}\u{627}\u{64a}\u{648} 2021",
        "AB-1234",
        "(INV-2024/0042)",
        "D365",
        "user_id",
        "10 kg",
        "10kg",
        "https://example.org/a",
        "{0} %s",
        "`cargo build`",
        "...",
    ] {
        assert!(!analyzer().analyze(text).has_words(), "{text}");
    }
    for text in [
        "\u{627}\u{644}\u{635}\u{641}\u{62d}\u{629} 5",
        "\u{648}21",
        "Step-5",
        "10-year",
        "AB 1234",
        "kg",
        "NATO",
    ] {
        assert!(analyzer().analyze(text).has_words(), "{text}");
    }
}

/// An index that was built with other forms is wrong without a sign of it. This test fails when forms change, so that the
/// version is raised with them.
#[test]
fn forms_do_not_change_without_their_version() {
    let sample = include_str!("../src/cli/demo/sample.tsv").lines().skip(1);
    let columns = sample.flat_map(|line| line.split('\t').skip(4));
    let tables = [VARIANTS, TOKENS, CLASSES, VALUES].into_iter().flat_map(str::lines);
    let mut digest = xxhash_rust::xxh3::Xxh3::new();
    for text in columns.chain(tables) {
        let analysis = analyzer().analyze(text);
        digest.update(analysis.canonical().as_bytes());
        for token in analysis.tokens() {
            for form in [token.kind.name(), analysis.folded(token), analysis.class(token)] {
                digest.update(form.as_bytes());
                digest.update(b"\0");
            }
        }
    }
    let found = format!("{TEXT_VERSION}\t{:016x}", digest.digest());
    let recorded = include_str!("data/text/version.txt").trim();
    assert_eq!(
        found, recorded,
        "forms, tokens or classes have changed: raise TEXT_VERSION, then record the new line"
    );
}

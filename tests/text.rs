//! The text layer: forms, tokens, classes, by small tables and by properties of any text.

use dhakira::text::{
    Analysis, Analyzer, Differences, TokenKind, canonical, gap_differences, token_differences,
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
    // Memory that was used for another text gives the same.
    let mut reused = analyzer().analyze("\u{633}\u{644}\u{627}\u{645} 12");
    analyzer().analyze_into(text, &mut reused);
    assert_eq!(format!("{:?}", reused.tokens()), format!("{:?}", analysis.tokens()));
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
    ] {
        let text = piece.repeat(64 * 1024 / piece.len());
        let since = std::time::Instant::now();
        check(&text);
        assert!(since.elapsed().as_secs() < 20, "{piece:?}");
    }
}

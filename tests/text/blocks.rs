//! Every character of the Arabic blocks is brought to a letter, a digit or a mark of its kind, or left out for a reason.

use std::collections::BTreeMap;

use dhakira::text::Analyzer;

const LEFT_OUT: &str = include_str!("../data/text/left_out.tsv");
const BLOCKS: [(u32, u32); 6] = [
    (0x600, 0x6ff),
    (0x750, 0x77f),
    (0x870, 0x89f),
    (0x8a0, 0x8ff),
    (0xfb50, 0xfdff),
    (0xfe70, 0xfeff),
];

fn left_out() -> BTreeMap<u32, &'static str> {
    let mut left_out = BTreeMap::new();
    for line in LEFT_OUT.lines().filter(|line| !line.starts_with('#')) {
        let (range, reason) = line.split_once('\t').unwrap();
        assert!(!reason.is_empty(), "{line}");
        let (first, last) = range.split_once("..").unwrap_or((range, range));
        let code = |text: &str| u32::from_str_radix(text, 16).unwrap();
        for code in code(first)..=code(last) {
            assert!(left_out.insert(code, reason).is_none(), "{code:04X} stands there twice");
        }
    }
    left_out
}

#[test]
fn every_character_of_the_arabic_blocks_is_folded_or_left_out_for_a_reason() {
    let analyzer = Analyzer::new(&"ar".parse().unwrap());
    let left_out = left_out();
    let (mut folded, mut faults) = (0, Vec::new());
    for code in BLOCKS.iter().flat_map(|(first, last)| *first..=*last) {
        let character = char::from_u32(code).unwrap();
        // Inside of a word, and alone.
        let stays = [format!("\u{628}{character}\u{628}"), format!("\u{628} {character} \u{628}")]
            .iter()
            .any(|text| {
                let analysis = analyzer.analyze(text);
                let tokens = analysis.words().map(|it| analysis.folded(it).to_owned());
                let gaps = analysis.gaps().map(|gap| gap.folded.to_owned());
                tokens.chain(gaps).any(|form| form.contains(character))
            });
        folded += usize::from(!stays);
        if stays != left_out.contains_key(&code) {
            faults.push(format!(
                "{code:04X} {character}: {}",
                if stays { "stays as it is" } else { "is folded" }
            ));
        }
    }
    println!("{folded} characters are folded, {} are left out", left_out.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Marks that stand alone are punctuation: text with and without them has the same words.
#[test]
fn marks_alone_are_no_words() {
    let analyzer = Analyzer::new(&"ar".parse().unwrap());
    for alone in [
        "\u{6d6}",
        "\u{6da}\u{200f}",
        "\u{640}",
        "\u{640}\u{640}\u{640}",
        "\u{64e}",
        "\u{fe76}",
        "\u{670}\u{651}",
        "\u{301}",
    ] {
        for text in [
            format!("\u{642}\u{644} {alone} \u{647}\u{648}"),
            format!("{alone} \u{642}\u{644} \u{647}\u{648} {alone}"),
        ] {
            let analysis = analyzer.analyze(&text);
            assert_eq!(analysis.words().count(), 2, "{text:?}");
        }
        let glued = analyzer.analyze(&format!("\u{642}\u{644}{alone} \u{647}\u{648}"));
        assert_eq!(glued.words().count(), 2);
    }
    // A digit takes no mark.
    assert_eq!(analyzer.analyze("12\u{64e} \u{642}\u{644}").words().count(), 2);
}

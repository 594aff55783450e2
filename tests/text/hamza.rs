//! Hamza and its seats: two spellings of one word cost one named point, and words that only look alike stay apart.

use dhakira::matching::Reason;
use dhakira::text::Analyzer;

use super::variants::judged;

const PAIRS: &str = include_str!("../data/text/hamza_pairs.tsv");
const NEAR: &str = include_str!("../data/text/hamza_near.tsv");

fn rows(table: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once('\t').unwrap())
}

fn share(name: &str, right: usize, faults: &[String]) -> f64 {
    let share = right as f64 / (right + faults.len()) as f64;
    println!("{name}: {right} of {} ({share:.4})", right + faults.len());
    faults.iter().for_each(|fault| println!("  {fault}"));
    share
}

#[test]
fn two_spellings_of_a_word_cost_one_named_point() {
    let analyzer = Analyzer::new(&"ar".parse().unwrap());
    let (mut right, mut faults) = (0, Vec::new());
    for (one, other) in rows(PAIRS) {
        // Among other words, one of which is in front.
        let text =
            |word: &str| analyzer.analyze(&format!("\u{642}\u{62f} {word} \u{647}\u{646}\u{627}."));
        let (stored, query) = (text(one), text(other));
        let verdicts = [judged(&stored, &query), judged(&query, &stored)];
        if verdicts.iter().all(|it| *it == Some((9_900, vec![Reason::Letters]))) {
            right += 1;
        } else {
            faults.push(format!("{one} / {other}: {verdicts:?}"));
        }
    }
    assert!(right + faults.len() >= 200);
    assert!(share("spellings that are one word", right, &faults) >= 0.99);
}

#[test]
fn words_that_look_alike_stay_apart() {
    let analyzer = Analyzer::new(&"ar".parse().unwrap());
    let (mut apart, mut faults) = (0, Vec::new());
    for (one, other) in rows(NEAR) {
        let folded = |word: &str| {
            let analysis = analyzer.analyze(word);
            analysis.words().map(|it| analysis.folded(it).to_owned()).collect::<Vec<_>>()
        };
        if folded(one) == folded(other) {
            faults.push(format!("{one} / {other}: {:?}", folded(one)));
        } else {
            apart += 1;
        }
    }
    assert!(apart + faults.len() >= 200);
    assert!(share("near misses that stay apart", apart, &faults) >= 0.98);
}

/// Marks, strokes and the case of other letters do not disturb the rules, and are named beside them.
#[test]
fn marks_on_another_spelling_are_named_too() {
    let analyzer = Analyzer::new(&"ar".parse().unwrap());
    for (one, other, expected) in [
        ("مسؤول", "مَسئول", vec![Reason::Marks, Reason::Letters]),
        ("مائة", "مِئة", vec![Reason::Marks, Reason::Letters]),
        ("مائة", "مئـة", vec![Reason::Tatweel, Reason::Letters]),
        ("شاطئ", "شاطىء", vec![Reason::Letters]),
        ("والله", "وﷲ", vec![Reason::Letters]),
        ("هذا", "هٰذا", vec![Reason::Marks]),
    ] {
        let found = judged(&analyzer.analyze(one), &analyzer.analyze(other)).unwrap();
        assert_eq!(found, (10_000 - 100 * expected.len() as u16, expected), "{one} / {other}");
    }
}

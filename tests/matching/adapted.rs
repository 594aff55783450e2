//! Are values of the query put into the target where, and only where, there is no doubt? A table of cases, and numbers at
//! random in all notations.

use dhakira::matching::{ComparedText, adapt, changed_placeables, compare};
use dhakira::text::{Analyzer, Value};
use proptest::prelude::*;

/// Lines of `query | stored source | stored target | adapted target`, the last empty when nothing can be carried over,
/// under lines of `@ source language, target language`.
const CASES: &str = include_str!("../data/matching/adapted.txt");

fn analyzer(lang: &str) -> Analyzer {
    Analyzer::new(&lang.parse().unwrap())
}

/// What a query makes of a stored pair.
fn adapted(languages: (&str, &str), query: &str, source: &str, target: &str) -> Option<String> {
    let source_side = analyzer(languages.0);
    let (asked, stored) = (source_side.analyze(query), source_side.analyze(source));
    let pairs =
        compare(&ComparedText::new(&asked), &ComparedText::new(&stored), &|| false).unwrap().pairs;
    let changed = changed_placeables(&asked, &stored, &pairs);
    let translated = analyzer(languages.1).analyze(target);
    let adapted = adapt(&asked, &stored, &translated, target, &changed)?;
    // Undoing every substitution gives the stored target back: nothing else was touched.
    let mut undone = adapted.text.clone();
    for it in adapted.substitutions.iter().rev() {
        undone.replace_range(it.adapted.clone(), &target[it.target.clone()]);
        assert_ne!(query[it.query.clone()], source[it.source.clone()]);
    }
    assert_eq!(undone, target);
    Some(adapted.text)
}

#[test]
fn values_are_carried_over_where_there_is_no_doubt() {
    let mut languages = ("ar", "en");
    let mut cases = 0;
    for line in CASES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(both) = line.strip_prefix("@ ") {
            languages = both.split_once(", ").unwrap();
            continue;
        }
        let parts: Vec<&str> = line.split('|').map(str::trim).collect();
        let [query, source, target, expected] = *parts.as_slice() else {
            panic!("four parts: {line}")
        };
        let found = adapted(languages, query, source, target).unwrap_or_default();
        assert_eq!(found, expected, "{languages:?} {line}");
        cases += 1;
    }
    assert!(cases >= 60);
}

/// Every number of a long list is another: each is found at once, not by a look at all of them.
#[test]
fn long_lists_of_numbers_are_carried_over_in_linear_time() {
    let list =
        |from: usize| (from..from + 30_000).map(|it| it.to_string()).collect::<Vec<_>>().join("; ");
    let (query, source) = (list(500_000), list(100_000));
    let (arabic, english) = (analyzer("ar"), analyzer("en"));
    let (asked, stored) = (arabic.analyze(&query), arabic.analyze(&source));
    let since = std::time::Instant::now();
    let pairs: Vec<Option<usize>> = (0..30_000).map(Some).collect();
    let changed = changed_placeables(&asked, &stored, &pairs);
    let adapted = adapt(&asked, &stored, &english.analyze(&source), &source, &changed).unwrap();
    assert_eq!(adapted.text, query);
    assert!(since.elapsed().as_secs() < 20);
}

/// A number without a notation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Number {
    negative: bool,
    whole: String,
    fraction: Option<String>,
}

/// Digits from zero, the sign before a fraction, and the sign between groups.
#[derive(Debug, Clone, Copy)]
struct Notation {
    zero: char,
    decimal: char,
    group: char,
}

const ASCII: Notation = Notation { zero: '0', decimal: '.', group: ',' };
const ARABIC: Notation = Notation { zero: '\u{660}', decimal: '\u{66b}', group: '\u{66c}' };
/// How sources may be written in Arabic.
const SOURCES: [Notation; 4] = [
    ASCII,
    ARABIC,
    Notation { zero: '0', decimal: '.', group: '\u{a0}' },
    Notation { zero: '\u{660}', decimal: '\u{66b}', group: '\u{60c}' },
];
/// How targets may be written, by language.
const TARGETS: [(&str, Notation); 6] = [
    ("en", ASCII),
    ("de", Notation { zero: '0', decimal: ',', group: '.' }),
    ("fr", Notation { zero: '0', decimal: ',', group: '\u{202f}' }),
    ("ar", ARABIC),
    ("de-CH", Notation { zero: '0', decimal: '.', group: '\u{2019}' }),
    ("qaa", ASCII),
];

impl Number {
    fn may_be_grouped(&self) -> bool {
        self.whole.len() > 3 && !self.whole.starts_with('0')
    }

    fn written(&self, notation: Notation, grouped: bool) -> String {
        let digit =
            |it: char| char::from_u32(notation.zero as u32 + it.to_digit(10).unwrap()).unwrap();
        let mut written = String::from(if self.negative { "-" } else { "" });
        for (place, it) in self.whole.chars().enumerate() {
            let left = self.whole.len() - place;
            if grouped && self.may_be_grouped() && place > 0 && left.is_multiple_of(3) {
                written.push(notation.group);
            }
            written.push(digit(it));
        }
        if let Some(fraction) = &self.fraction {
            written.push(notation.decimal);
            written.extend(fraction.chars().map(digit));
        }
        written
    }

    fn plain(&self) -> String {
        self.written(ASCII, false)
    }
}

fn number() -> impl Strategy<Value = Number> {
    let fraction = proptest::option::weighted(0.5, "[0-9]{1,4}");
    (proptest::bool::weighted(0.2), "0{0,2}[1-9][0-9]{0,8}|0", fraction)
        .prop_map(|(negative, whole, fraction)| Number { negative, whole, fraction })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    /// Whatever is written how: the number of the query, digit by digit, as the target writes numbers, or nothing.
    #[test]
    fn a_number_is_carried_over_as_it_is_or_not_at_all(
        (stored, asked) in (number(), number()),
        (of_query, of_source, of_target) in (0..SOURCES.len(), 0..SOURCES.len(), 0..TARGETS.len()),
        (query_grouped, source_grouped, target_grouped) in any::<(bool, bool, bool)>(),
    ) {
        let (lang, notation) = TARGETS[of_target];
        let say = |number: &Number, notation, grouped| {
            format!("\u{627}\u{644}\u{642}\u{64a}\u{645}\u{629}: {}", number.written(notation, grouped))
        };
        let query = say(&asked, SOURCES[of_query], query_grouped);
        let source = say(&stored, SOURCES[of_source], source_grouped);
        let target = format!("X = {}.", stored.written(notation, target_grouped));
        let found = adapted(("ar", lang), &query, &source, &target);
        let differ = stored.plain() != asked.plain();
        if let Some(found) = &found {
            prop_assert!(differ);
            let expected = format!("X = {}.", asked.written(notation, query_grouped));
            prop_assert_eq!(found, &expected, "{} / {} / {}", query, source, target);
            // Read back where it now stands, it is the number of the query, zeros and all.
            let read = analyzer(lang).analyze(found);
            let token = read.tokens().iter().find(|it| it.kind.is_number_like()).unwrap();
            prop_assert_eq!(read.written(token).unwrap().plain(), asked.plain());
            let asked = analyzer("ar").analyze(&asked.plain());
            prop_assert_eq!(read.value(token), asked.value(&asked.tokens()[0]));
        }
        // Where all three are written alike there is no doubt.
        let alike = lang == "en" && of_query == 0 && of_source == 0;
        if alike && source_grouped == target_grouped && differ {
            prop_assert!(found.is_some(), "{} / {} / {}", query, source, target);
        }
    }

    /// Precision, leading zeros and grouping never make two numbers out of one value.
    #[test]
    fn a_number_has_one_value_in_all_notations(
        number in number(),
        notation in 0..TARGETS.len(),
        grouped: bool,
    ) {
        let (lang, notation) = TARGETS[notation];
        let written = number.written(notation, grouped);
        let read = analyzer(lang).analyze(&written);
        let read = (read.tokens().len(), read.value(&read.tokens()[0]));
        let ambiguous = notation.decimal == ',' || notation.group == '.' || lang == "qaa";
        let exact = match number.plain().parse::<f64>() {
            Ok(value) if value.abs() < 1e15 => value,
            _ => return Ok(()),
        };
        match read {
            (1, Some(Value::Number(value))) => {
                let same = (value.to_f64() - exact).abs() <= exact.abs() * 1e-12;
                prop_assert!(same || ambiguous && lang == "qaa", "{written} in {lang}: {value}");
            }
            other => prop_assert!(false, "{written} in {lang}: {other:?}"),
        }
    }
}

//! Are values of the query put into the target where, and only where, there is no doubt? A table of cases.

use dhakira::matching::{adapt, changed_placeables, compare};
use dhakira::text::Analyzer;

/// Lines of `query | stored source | stored target | adapted target`, the last empty when nothing can be carried over.
const CASES: &str = include_str!("../data/matching/adapted.txt");

#[test]
fn values_are_carried_over_where_there_is_no_doubt() {
    let arabic = Analyzer::new(&"ar".parse().unwrap());
    let english = Analyzer::new(&"en".parse().unwrap());
    let mut cases = 0;
    for line in CASES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let parts: Vec<&str> = line.split('|').map(str::trim).collect();
        let [query_text, source_text, target_text, expected] = *parts.as_slice() else {
            panic!("four parts: {line}")
        };
        let (query, source) = (arabic.analyze(query_text), arabic.analyze(source_text));
        let pairs = compare(&query, &source).pairs;
        let changed = changed_placeables(&query, &source, &pairs);
        let target = english.analyze(target_text);
        let adapted = adapt(&query, &source, &target, target_text, &changed);
        let text = adapted.as_ref().map_or("", |adapted| &adapted.text);
        assert_eq!(text, expected, "{line}");
        // Undoing every substitution gives the stored target back: nothing else was touched.
        if let Some(adapted) = adapted {
            let mut undone = adapted.text.clone();
            for it in adapted.substitutions.iter().rev() {
                undone.replace_range(it.adapted.clone(), &target_text[it.target.clone()]);
                assert_ne!(query_text[it.query.clone()], source_text[it.source.clone()]);
            }
            assert_eq!(undone, target_text);
        }
        cases += 1;
    }
    assert!(cases >= 15);
}

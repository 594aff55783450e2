//! Builds the lexicon of a fresh installation from `data/lexicon.tsv`: frequent words of news, interfaces and law, names of
//! places, numbers, months and days, written for this project.
//!
//! A line holds Arabic words of one meaning separated by `|`, a tab, and English translations separated by commas; expressions of
//! several words translate each other as a whole. `=3` is a number; a clitic has `+` in place of its word. `@` sets the
//! approximate share in running text of each word that follows.

use std::sync::OnceLock;

use crate::alignment::features::write_term;
use crate::text::Analyzer;
use crate::unit::Lang;

use super::tables::{Lexicon, Pair};

const TABLE: &str = include_str!("../data/lexicon.tsv");
/// Weight of an entry in observations; a few sentences of the user's own outweigh it.
const MASS: f32 = 3.0;

/// The built-in lexicon of a pair of languages; empty for all pairs but Arabic and English, in either direction.
pub fn builtin(source: &Lang, target: &Lang) -> &'static Lexicon {
    static ARABIC_ENGLISH: OnceLock<Lexicon> = OnceLock::new();
    static ENGLISH_ARABIC: OnceLock<Lexicon> = OnceLock::new();
    static NONE: OnceLock<Lexicon> = OnceLock::new();
    match (source.primary(), target.primary()) {
        ("ar", "en") => ARABIC_ENGLISH.get_or_init(|| read((source, target), |pair| pair)),
        ("en", "ar") => ENGLISH_ARABIC.get_or_init(|| read((target, source), |(ar, en)| (en, ar))),
        _ => NONE.get_or_init(Lexicon::default),
    }
}

fn read((ar, en): (&Lang, &Lang), oriented: impl Fn((usize, usize)) -> (usize, usize)) -> Lexicon {
    let mut share = 0.0;
    let (ar, en) = (Analyzer::new(ar), Analyzer::new(en));
    let mut terms: Vec<String> = Vec::new();
    let mut pairs = Vec::new();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let Some((arabic, translations)) = line.split_once('\t') else {
            share = line.strip_prefix('@').and_then(|it| it.trim().parse().ok()).unwrap_or(share);
            continue;
        };
        let of_english: Vec<_> =
            translations.split(',').map(|it| add_terms(it.trim(), &en, &mut terms)).collect();
        for word in arabic.split('|') {
            let of_arabic = add_terms(word, &ar, &mut terms);
            for of_english in &of_english {
                // Each word of an expression may translate each word of the other.
                #[expect(clippy::cast_precision_loss)]
                let weight = 1.0 / (of_arabic.len() * of_english.len()).max(1) as f32;
                for a in of_arabic.clone() {
                    pairs.extend(of_english.clone().map(|b| (oriented((a, b)), weight, share)));
                }
            }
        }
    }
    let pairs = pairs.iter().map(|&((a, b), weight, share)| Pair {
        source: &terms[a],
        target: &terms[b],
        weight,
        share,
    });
    Lexicon::of_pairs(pairs, MASS)
}

/// Adds the terms of an expression; returns their range.
fn add_terms(text: &str, analyzer: &Analyzer, terms: &mut Vec<String>) -> std::ops::Range<usize> {
    let from = terms.len();
    if text.contains('+') {
        terms.push(text.to_owned());
        return from..terms.len();
    }
    let analysis = analyzer.analyze(text.trim_start_matches('='));
    let mut term = String::new();
    for token in analysis.tokens() {
        if write_term(&analysis, token, &mut term) {
            terms.push(term.clone());
        }
    }
    from..terms.len()
}

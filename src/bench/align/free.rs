//! Simulates free translations: target sentences are broken at clauses, and a share of the words is replaced by other words of the
//! same documents, so that a lexicon finds little and some of it wrong. Deterministic for a given share.

use super::gold::{Document, Numbers};
use crate::bench::grow::Random;

/// Families of documents that are made free.
const FAMILIES: [&str; 2] = ["bible", "ntrex_nat"];
/// Letters that a word that is replaced has at least.
const WORD_LETTERS_MIN: usize = 3;
/// Characters that each part of a broken sentence has at least.
const PART_CHARACTERS_MIN: usize = 22;
/// Of a hundred places where a sentence can be broken, it is broken at so many.
const BROKEN_PERCENT: usize = 75;
/// Words before which a sentence can be broken.
const CONJUNCTIONS: [&str; 11] = [
    "and", "but", "which", "who", "because", "when", "while", "so that", "although", "after",
    "before",
];

/// The documents of the two families with this share of the target's words replaced.
pub(super) fn free_documents(documents: &[Document], share: f64) -> Vec<Document> {
    let chosen = || documents.iter().filter(|it| FAMILIES.contains(&it.family()));
    let lines = chosen().flat_map(|it| &it.target);
    let pool: Vec<String> = lines.flat_map(|line| words(line)).map(str::to_lowercase).collect();
    let of_document = |document: &Document| {
        let seed = xxhash_rust::xxh3::xxh3_64(format!("free {} {share}", document.name).as_bytes());
        made_free(document, &pool, share, &mut Random::new(seed))
    };
    chosen().map(of_document).collect()
}

fn made_free(document: &Document, pool: &[String], share: f64, random: &mut Random) -> Document {
    let (mut target, mut places) = (Vec::new(), Vec::new());
    for line in &document.target {
        let from = target.len();
        for part in clauses(line, random) {
            target.push(replaced(part, pool, share, random));
        }
        places.push(from..target.len());
    }
    let moved = |(source, sentences): &Numbers| -> Numbers {
        let parts = sentences.iter().filter_map(|it| places.get(*it));
        (source.clone(), parts.cloned().flatten().collect())
    };
    Document {
        name: format!("free{:02.0}_{}", share * 100.0, document.name),
        source: document.source.clone(),
        target,
        gold: document.gold.iter().map(moved).collect(),
    }
}

/// Parts of a sentence, broken behind marks and before conjunctions.
fn clauses<'a>(text: &'a str, random: &mut Random) -> Vec<&'a str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    for at in breaks(text) {
        let long_enough = |part: &str| part.chars().count() >= PART_CHARACTERS_MIN;
        if at > start
            && long_enough(&text[start..at])
            && long_enough(&text[at..])
            && random.below(100) < BROKEN_PERCENT
        {
            parts.push(text[start..at].trim());
            start = at;
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// Where the next clause begins, in order.
fn breaks(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    for (at, _) in text.char_indices().filter(|(_, it)| it.is_whitespace()) {
        let (before, after) = (&text[..at], text[at..].trim_start());
        let next = text.len() - after.len();
        let closed = before.trim_end_matches(['"', '\u{201d}', '\u{2019}', ')']);
        let mark = closed.ends_with([',', ';', ':', '\u{2014}', '\u{2013}']);
        let conjunction = CONJUNCTIONS.iter().any(|word| {
            after.strip_prefix(word).is_some_and(|rest| rest.starts_with(char::is_whitespace))
        });
        if (mark || conjunction) && !after.is_empty() && found.last() != Some(&next) {
            found.push(next);
        }
    }
    found
}

/// A text with this share of its words replaced.
fn replaced(text: &str, pool: &[String], share: f64, random: &mut Random) -> String {
    const PRECISION: usize = 1 << 20;
    let mut result = String::with_capacity(text.len());
    let mut at = 0;
    for word in words(text) {
        let from = word.as_ptr() as usize - text.as_ptr() as usize;
        result.push_str(&text[at..from]);
        #[expect(clippy::cast_precision_loss)]
        let drawn = random.below(PRECISION) as f64 / PRECISION as f64;
        let other = (drawn < share).then(|| pool[random.below(pool.len())].as_str());
        result.push_str(other.unwrap_or(word));
        at = from + word.len();
    }
    result.push_str(&text[at..]);
    result
}

/// Words of Latin letters, with the apostrophes inside and behind them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let belongs = |it: char| it.is_ascii_alphabetic() || matches!(it, '\'' | '\u{2019}');
    let runs =
        text.split(move |it| !belongs(it)).map(|it| it.trim_start_matches(['\'', '\u{2019}']));
    runs.filter(|it| it.chars().count() >= WORD_LETTERS_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Document {
        let target = "They left the harbour early in the morning, because the wind had turned to the north and the sea was calm again.";
        Document {
            name: "ntrex_nat-000".to_owned(),
            source: vec!["غادروا الميناء".to_owned(), "نهاية".to_owned()],
            target: vec![target.to_owned(), "The end.".to_owned()],
            gold: vec![(vec![0], vec![0]), (vec![1], vec![1])],
        }
    }

    #[test]
    fn beads_follow_the_parts_of_their_sentences() {
        let free = &free_documents(&[document()], 0.0)[0];
        assert_eq!(free.family(), "free00_ntrex_nat");
        let texts = free.gold.iter().map(|bead| free.texts(bead).1);
        assert_eq!(texts.collect::<Vec<_>>(), document().target);
        assert!(free.target.len() > 2, "{:?}", free.target);
        assert_eq!(free.gold[1], (vec![1], vec![free.target.len() - 1]));
    }

    #[test]
    fn the_share_says_how_many_words_are_others() {
        let all = |share: f64| free_documents(&[document()], share)[0].target.join(" ");
        let count = |text: &str| {
            let original = document().target.join(" ");
            text.split(' ').zip(original.split(' ')).filter(|(a, b)| a != b).count()
        };
        assert_eq!(count(&all(0.0)), 0);
        assert!(count(&all(0.3)) > 0 && count(&all(0.3)) < count(&all(1.0)));
        assert_eq!(all(0.5), all(0.5), "the same share, the same documents");
    }
}

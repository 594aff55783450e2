//! What does the contract say a score is? Written out from the texts, with nothing of the crate but its analysis.

use std::collections::{HashMap, HashSet};

use dhakira::matching::Reason;
use dhakira::text::{Analysis, Differences, compared_parts, gap_differences, token_differences};
use dhakira::unit::Context;

/// A text with what else a unit or a query has.
#[derive(Debug, Clone)]
pub(super) struct Side {
    pub(super) analysis: Analysis,
    pub(super) tags: u64,
    pub(super) context: Context,
}

/// Score in hundredths, kind (0 context, 1 exact, 2 fuzzy) and lost points by reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) score: u16,
    pub(super) kind: u8,
    pub(super) points: Vec<(Reason, u16)>,
}

struct Word {
    surface: String,
    folded: String,
    class: String,
    number_like: bool,
}

fn words(analysis: &Analysis) -> Vec<Word> {
    let word = |token| Word {
        surface: analysis.surface(token).to_owned(),
        folded: analysis.folded(token).to_owned(),
        class: analysis.class(token).to_owned(),
        number_like: token.kind.is_number_like(),
    };
    analysis.words().map(word).collect()
}

fn gaps(analysis: &Analysis) -> Vec<(String, String)> {
    analysis.gaps().map(|gap| (gap.canonical.to_owned(), gap.folded.to_owned())).collect()
}

/// Rounded half up.
fn round_div(number: u64, by: u64) -> u64 {
    (2 * number + by) / (2 * by)
}

fn apart<T: PartialEq>(a: &[T], b: &[T]) -> u64 {
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[i][j] = match (i, j) {
                (0, _) => j as u64,
                (_, 0) => i as u64,
                _ => (table[i - 1][j - 1] + u64::from(a[i - 1] != b[j - 1]))
                    .min(table[i - 1][j] + 1)
                    .min(table[i][j - 1] + 1),
            };
        }
    }
    table[a.len()][b.len()]
}

fn cost(a: &Word, b: &Word) -> u64 {
    if a.class != b.class {
        return 1000;
    }
    if a.folded == b.folded && a.number_like == b.number_like {
        return 0;
    }
    if a.number_like && b.number_like {
        return 100;
    }
    let chars = |text: &str| text.chars().collect::<Vec<_>>();
    let (chars_a, chars_b) = (chars(&a.folded), chars(&b.folded));
    let longest = chars_a.len().max(chars_b.len());
    let by_parts = matches!(a.class.as_str(), "#code" | "#url" | "#email") || longest > 512;
    if by_parts && let Some(parts) = compared_parts(&a.class, &a.folded) {
        let others = compared_parts(&b.class, &b.folded).unwrap();
        if parts.words.len().max(others.words.len()) > 64 {
            return 1000;
        }
        let signs = u64::from(!(parts.signs.is_empty() && others.signs.is_empty()));
        let longest = parts.words.len().max(others.words.len()) as u64 + signs;
        let other_signs = u64::from(parts.signs != others.signs);
        let distance = apart(&parts.words, &others.words) + other_signs;
        return round_div(1000 * distance, longest.max(1)).clamp(1, 1000);
    }
    if longest > 512 {
        return 1000;
    }
    round_div(1000 * apart(&chars_a, &chars_b), longest as u64).clamp(1, 1000)
}

/// The different words among some, and which of them each one is.
fn distinct(words: &[Word]) -> (Vec<&Word>, Vec<usize>) {
    let mut found = Vec::new();
    let mut numbers = HashMap::new();
    let of_word = words.iter().map(|word| {
        *numbers.entry((&word.folded, &word.class, word.number_like)).or_insert_with(|| {
            found.push(word);
            found.len() - 1
        })
    });
    let of_word = of_word.collect();
    (found, of_word)
}

/// Distance of what is left of two sequences, over the whole table. What two words cost is worked out once.
fn table(a: &[Word], b: &[Word]) -> Vec<Vec<u64>> {
    let ((words_a, a), (words_b, b)) = (distinct(a), distinct(b));
    let costs: Vec<Vec<u64>> =
        words_a.iter().map(|a| words_b.iter().map(|b| cost(a, b)).collect()).collect();
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[i][j] = match (i, j) {
                (0, _) => 1000 * j as u64,
                (_, 0) => 1000 * i as u64,
                _ => (table[i - 1][j - 1] + costs[a[i - 1]][b[j - 1]])
                    .min(table[i - 1][j] + 1000)
                    .min(table[i][j - 1] + 1000),
            };
        }
    }
    table
}

/// The distance between two texts in thousandths of a word.
pub(super) fn distance(a: &Analysis, b: &Analysis) -> u64 {
    let (a, b) = (words(a), words(b));
    table(&a, &b)[a.len()][b.len()]
}

/// The distance over classes, in words.
pub(super) fn class_distance(a: &Analysis, b: &Analysis) -> u64 {
    let (mut a, mut b) = (words(a), words(b));
    for word in a.iter_mut().chain(&mut b) {
        word.folded.clone_from(&word.class);
        word.number_like = false;
    }
    table(&a, &b)[a.len()][b.len()] / 1000
}

/// Pairs (query, source) of the alignment the contract names.
fn pairs(a: &[Word], b: &[Word]) -> Vec<(usize, usize)> {
    let mut head = 0;
    while head < a.len().min(b.len()) && cost(&a[head], &b[head]) == 0 {
        head += 1;
    }
    let mut tail = 0;
    while tail < a.len().min(b.len()) - head
        && cost(&a[a.len() - 1 - tail], &b[b.len() - 1 - tail]) == 0
    {
        tail += 1;
    }
    let (inner_a, inner_b) = (&a[head..a.len() - tail], &b[head..b.len() - tail]);
    let table = table(inner_a, inner_b);
    let (mut i, mut j) = (inner_a.len(), inner_b.len());
    let mut pairs: Vec<(usize, usize)> =
        (0..tail).map(|k| (a.len() - 1 - k, b.len() - 1 - k)).collect();
    while i > 0 || j > 0 {
        let here = table[i][j];
        if i > 0 && j > 0 && here == table[i - 1][j - 1] + cost(&inner_a[i - 1], &inner_b[j - 1]) {
            (i, j) = (i - 1, j - 1);
            pairs.push((head + i, head + j));
        } else if i > 0 && here == table[i - 1][j] + 1000 {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    pairs.extend((0..head).rev().map(|k| (k, k)));
    pairs.reverse();
    pairs
}

/// The verdict on a stored source for a query; `None` where it is no match at any score.
pub(super) fn judge(
    query: &Side,
    (source, unfinished): (&Side, bool),
    penalty: u16,
) -> Option<Verdict> {
    let (a, b) = (words(&query.analysis), words(&source.analysis));
    let (gaps_a, gaps_b) = (gaps(&query.analysis), gaps(&source.analysis));
    let longest = a.len().max(b.len()) as u64;
    let base = if longest == 0 {
        if gaps_a[0].1 == gaps_b[0].1 { 10_000 } else { 0 }
    } else {
        10_000 - round_div(10_000 * table(&a, &b)[a.len()][b.len()], 1000 * longest)
    };
    // Numbers, codes and links alone: the same values or nothing.
    if base < 10_000 && !a.is_empty() && !query.analysis.has_words() {
        return None;
    }
    let same_text = query.analysis.canonical() == source.analysis.canonical();
    let exact = same_text && query.tags == source.tags;

    let pairs = pairs(&a, &b);
    let paired: HashSet<_> = pairs.iter().copied().collect();
    let paired = |i: usize, j: usize| paired.contains(&(i, j));
    let mut seen = Differences::default();
    for &(i, j) in &pairs {
        if cost(&a[i], &b[j]) == 0 && a[i].surface != b[j].surface {
            seen |= token_differences(&a[i].surface, &b[j].surface);
        }
    }
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            let before = (i, j) == (0, 0) || (i > 0 && j > 0 && paired(i - 1, j - 1));
            let after = (i, j) == (a.len(), b.len()) || paired(i, j);
            if before && after && gaps_a[i].0 != gaps_b[j].0 {
                seen |= gap_differences(&gaps_a[i].0, &gaps_b[j].0);
            }
        }
    }

    let mut left = 10_000;
    let mut points = Vec::new();
    let mut take = |reason, amount: u64| {
        let taken = amount.min(left);
        left -= taken;
        if taken > 0 {
            points.push((reason, u16::try_from(taken).unwrap()));
        }
        left
    };
    take(Reason::Edited, 10_000 - base);
    let named = [
        (Differences::MARKS, Reason::Marks),
        (Differences::TATWEEL, Reason::Tatweel),
        (Differences::LETTERS, Reason::Letters),
        (Differences::CASE, Reason::Case),
        (Differences::DIGITS, Reason::Digits),
        (Differences::PUNCTUATION, Reason::Punctuation),
        (Differences::SPACING, Reason::Spacing),
        (Differences::OTHER, Reason::Other),
    ];
    for (_, reason) in
        named.into_iter().filter(|&(difference, _)| seen.contains(difference)).take(3)
    {
        take(reason, 100);
    }
    take(Reason::Markup, if seen.contains(Differences::MARKUP) { 200 } else { 0 });
    let rest = take(Reason::Tags, if query.tags == source.tags { 0 } else { 100 });
    if rest == 10_000 && !exact {
        take(Reason::Other, 100);
    }
    take(Reason::State, if unfinished { 1_000 } else { 0 });
    let score = u16::try_from(take(Reason::Penalty, penalty.into())).unwrap();

    let asked = [query.context.previous, query.context.next];
    let stored = [source.context.previous, source.context.next];
    let agrees =
        asked.iter().zip(&stored).all(|(asked, stored)| asked.is_none() || asked == stored);
    let kind = match exact {
        true if agrees && asked.iter().any(Option::is_some) => 0,
        true => 1,
        false => 2,
    };
    Some(Verdict { score, kind, points })
}

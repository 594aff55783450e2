//! Evaluates numbers in words: cardinals and ordinals of several words, in Arabic and English, so that they match digits
//! ("twenty-third", "thalith wa-ishrun" and 23).
//!
//! The words are data (`data/numerals.tsv`), folded like texts. Knows nothing of lexicons.

use std::collections::HashMap;
use std::sync::LazyLock;

use foldhash::fast::FixedState;

use crate::text::{Analysis, Analyzer, Token, TokenKind};

const TABLE: &str = include_str!("../data/numerals.tsv");
/// Smaller numbers are often not meant as numbers ("one", "second"); ordinals count from a smaller number on.
const VALUE_MIN: u64 = 11;
const ORDINAL_MIN: u64 = 3;
/// Largest value; nobody writes larger numbers in words.
const VALUE_MAX: u64 = 1_000_000_000_000;
/// From this value on, a word multiplies the group before it and ends it.
const SCALE_MIN: u64 = 1_000;
const HUNDRED: u64 = 100;
/// Conjunction, prepositions and articles that an Arabic numeral may carry.
const AND: &str = "\u{648}";
const BEFORE: [&str; 4] = ["\u{628}", "\u{644}", "\u{643}", ""];
const ARTICLES: [&str; 3] = ["\u{627}\u{644}", "\u{644}", ""];

#[derive(Debug, Clone, Copy)]
struct Numeral {
    value: u64,
    is_ordinal: bool,
    /// Whether it carries "and", so that it is added.
    is_added: bool,
    is_arabic: bool,
}

static NUMERALS: LazyLock<HashMap<String, Numeral, FixedState>> = LazyLock::new(|| {
    let analyzers: Vec<Analyzer> = ["ar", "en"]
        .iter()
        .filter_map(|lang| lang.parse().ok())
        .map(|it| Analyzer::new(&it))
        .collect();
    let mut numerals = HashMap::default();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let Some((value, words)) = line.split_once('\t') else { continue };
        let Ok(number) = value.trim_end_matches('o').parse() else { continue };
        for word in words.split(' ') {
            let is_arabic = !word.is_ascii();
            let Some(analyzer) = analyzers.get(usize::from(!is_arabic)) else { continue };
            let analysis = analyzer.analyze(word);
            let numeral = Numeral {
                value: number,
                is_ordinal: value.ends_with('o'),
                is_added: false,
                is_arabic,
            };
            if let Some(token) = analysis.tokens().first() {
                numerals.insert(analysis.folded(token).to_owned(), numeral);
            }
        }
    }
    numerals
});

impl Numeral {
    fn of(folded: &str) -> Option<Self> {
        if let Some(numeral) = NUMERALS.get(folded) {
            return Some(*numeral);
        }
        if folded.is_ascii() {
            return Self::of_digits(folded);
        }
        for is_added in [false, true] {
            let Some(rest) = folded.strip_prefix(if is_added { AND } else { "" }) else { continue };
            for before in BEFORE {
                let Some(rest) = rest.strip_prefix(before) else { continue };
                let mut bare = ARTICLES.iter().filter_map(|article| rest.strip_prefix(article));
                if let Some(numeral) = bare.find_map(|it| NUMERALS.get(it)) {
                    return Some(Self { is_added, ..*numeral });
                }
            }
        }
        None
    }

    /// An ordinal such as `61st`.
    fn of_digits(folded: &str) -> Option<Self> {
        let digits = folded.trim_end_matches(|it: char| !it.is_ascii_digit());
        let is_ordinal = matches!(&folded[digits.len()..], "st" | "nd" | "rd" | "th");
        let value = digits.parse().ok().filter(|it| *it <= VALUE_MAX && is_ordinal)?;
        Some(Self { value, is_ordinal, is_added: false, is_arabic: false })
    }
}

/// Reads a number word by word.
#[derive(Debug, Default)]
pub(crate) struct Numerals {
    /// The value of completed groups (thousands, millions), and of the current one.
    total: u64,
    group: u64,
    is_begun: bool,
    is_ordinal: bool,
    /// Whether "and" was read.
    and: bool,
}

impl Numerals {
    /// Reads a token; returns the value of the number in words that ended before it.
    pub(crate) fn read(&mut self, analysis: &Analysis, token: &Token) -> Option<u64> {
        let folded = analysis.folded(token);
        match token.kind {
            TokenKind::Punctuation if folded == "-" && self.is_begun => return None,
            TokenKind::Word if self.is_begun && folded == "and" => {
                self.and = true;
                return None;
            }
            _ => {}
        }
        let numeral = (token.kind == TokenKind::Word).then(|| Numeral::of(folded)).flatten();
        let Some(numeral) = numeral else { return self.finish() };
        if self.add(numeral) {
            return None;
        }
        let before = self.finish();
        self.add(numeral);
        before
    }

    /// The value of the number in words that ends here.
    pub(crate) fn finish(&mut self) -> Option<u64> {
        let read = std::mem::take(self);
        let value = read.total + read.group;
        let min = if read.is_ordinal { ORDINAL_MIN } else { VALUE_MIN };
        (read.is_begun && value >= min).then_some(value)
    }

    /// Adds a word to the number if it can belong to it.
    fn add(&mut self, numeral: Numeral) -> bool {
        let Numeral { value, .. } = numeral;
        let is_added = numeral.is_added || std::mem::take(&mut self.and);
        if self.is_ordinal && !numeral.is_arabic {
            return false;
        }
        if value >= SCALE_MIN && !self.multiply(value, is_added) {
            return false;
        }
        if value < SCALE_MIN && !self.extend(value, is_added, numeral.is_arabic) {
            return false;
        }
        self.is_begun = true;
        self.is_ordinal |= numeral.is_ordinal;
        self.total + self.group <= VALUE_MAX
    }

    /// A thousand or more: multiplies the group before it.
    fn multiply(&mut self, scale: u64, is_added: bool) -> bool {
        // "Two thousand" is one word in Arabic, without a count before it.
        let is_counted = self.group > 0 && !is_added && scale.to_string().starts_with('1');
        let group = if is_counted { self.group } else { 1 };
        let fits = self.total == 0 || self.total.is_multiple_of(scale * SCALE_MIN);
        if !fits || self.group > 0 && !is_counted {
            return false;
        }
        let Some(product) = group.checked_mul(scale) else { return false };
        (self.total, self.group) = (self.total + product, 0);
        true
    }

    /// Less than a thousand: added if its digits are free, in the order of the language.
    fn extend(&mut self, value: u64, is_added: bool, is_arabic: bool) -> bool {
        if value == HUNDRED && (1..10).contains(&self.group) && !is_added {
            self.group *= HUNDRED;
            return true;
        }
        let (units, tens) = (self.group % 10, self.group / 10 % 10);
        let free = match value {
            1..10 => units == 0 && (tens == 0 || tens > 1),
            // Arabic puts units before tens, with "and" from twenty on.
            10..100 => {
                let reversed = is_arabic && value.is_multiple_of(10) && is_added == (value > 10);
                tens == 0 && (units == 0 || reversed)
            }
            _ => self.group < HUNDRED && (self.group == 0 || is_added),
        };
        // Arabic joins the parts by "and"; without it, a new number begins.
        let joined = self.group == 0 || !is_arabic || is_added || value == 10;
        if free && joined {
            self.group += value;
        }
        free && joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(lang: &str, text: &str) -> Vec<u64> {
        let analysis = Analyzer::new(&lang.parse().unwrap()).analyze(text);
        let mut numerals = Numerals::default();
        let mut found: Vec<u64> =
            analysis.tokens().iter().filter_map(|it| numerals.read(&analysis, it)).collect();
        found.extend(numerals.finish());
        found
    }

    #[test]
    fn numbers_in_english_words() {
        for (text, expected) in [
            ("twenty-three ships", &[23][..]),
            ("the Sixty-First year and the 61st", &[61, 61]),
            ("one hundred and five", &[105]),
            ("two thousand and twenty-one men", &[2021]),
            ("three million two hundred thousand", &[3_200_000]),
            ("two, three, four", &[]),
            ("one of the first", &[]),
            ("the third of twelve", &[3, 12]),
            ("twenty thirty", &[20, 30]),
            ("nineteen", &[19]),
        ] {
            assert_eq!(values("en", text), expected, "{text}");
        }
    }

    #[test]
    fn numbers_in_arabic_words() {
        let text = include_str!("../../../tests/data/alignment/numerals.ar");
        for line in text.lines() {
            let (text, expected) = line.split_once('\t').unwrap();
            let expected: Vec<u64> =
                expected.split_whitespace().map(|it| it.parse().unwrap()).collect();
            assert_eq!(values("ar", text), expected, "{text}");
        }
    }
}

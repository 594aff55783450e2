//! Checks whether one text translates another: words without counterparts, implausible lengths, lost numbers and placeholders,
//! the wrong language, no translation at all.
//!
//! Knows nothing of units.

use crate::alignment::features::letters_of;
use crate::alignment::lexicon::{Direction, Lexicon, Pairs};
use crate::alignment::sentences::lengths;
use crate::alignment::words::pieces;
use crate::text::{Analysis, Decimal, Token, TokenKind, Value};
use crate::unit::Lang;

use super::script::other_script_share;

/// What speaks against a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Doubt {
    /// The texts have too little to do with each other.
    Misaligned,
    /// The target is, by its letters, in the language of the source, or the other way round.
    WrongLanguage,
    /// The target says the same as the source, word for word.
    Untranslated,
    /// A placeholder, tag or address stands on one side only.
    Placeables,
    /// A number or date stands on one side only.
    Numbers,
    /// One text is far too long for the other.
    Length,
}

impl Doubt {
    /// A stable lower-case name for people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Misaligned => "misaligned",
            Self::WrongLanguage => "wrong-language",
            Self::Untranslated => "untranslated",
            Self::Placeables => "placeables",
            Self::Numbers => "numbers",
            Self::Length => "length",
        }
    }
}

/// What was found out about a pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// How likely it is that the pair is no good, from 0 to 1. Misaligned ones are above one half and above all others.
    pub suspicion: f32,
    /// What speaks against it, worst first; nothing for most pairs.
    pub doubts: Vec<Doubt>,
}

impl Verdict {
    /// The names of the doubts, worst first.
    pub fn names(&self) -> Vec<&'static str> {
        self.doubts.iter().map(|it| it.name()).collect()
    }

    /// Whether the texts have too little to do with each other, or there is no translation.
    pub fn is_grave(&self) -> bool {
        let grave = [Doubt::Misaligned, Doubt::WrongLanguage, Doubt::Untranslated];
        self.doubts.iter().any(|it| grave.contains(it))
    }
}

/// Log likelihood ratio below which a pair is misaligned.
const EVIDENCE_MIN: f32 = 1.5;
/// Evidence that lowers a suspicion of one half to about one quarter.
const EVIDENCE_SCALE: f32 = 2.0;
/// Observations of a pair of words that may come from the very pair of texts.
const OWN: f32 = 1.0;
/// What a doubt of each kind is worth when nothing else is wrong.
const SUSPICIONS: [(Doubt, f32); 5] = [
    (Doubt::WrongLanguage, 0.49),
    (Doubt::Untranslated, 0.45),
    (Doubt::Placeables, 0.4),
    (Doubt::Numbers, 0.35),
    (Doubt::Length, 0.3),
];
/// Most standard deviations of a plausible length.
const DEVIATION_MAX: f32 = 4.0;
/// Share of letters in the wrong script from which the language is wrong; product names are in Latin script everywhere.
const OTHER_SCRIPT_MIN: f32 = 0.9;
/// Fewest identical words from which a text is untranslated; names and codes are copied.
const SAME_WORDS_MIN: usize = 3;

/// Judges a pair of texts by what the lexicons know.
pub fn judge(
    (source, source_lang): (&Analysis, &Lang),
    (target, target_lang): (&Analysis, &Lang),
    lexicons: &[&Lexicon],
) -> Verdict {
    let mut doubts = Vec::new();
    let (source_letters, target_letters) = (letters(source), letters(target));
    let evidence = words_evidence(source, target, lexicons)
        + lengths::evidence(source_letters, target_letters);
    if evidence < EVIDENCE_MIN {
        doubts.push(Doubt::Misaligned);
    }
    let other_script = |analysis: &Analysis, lang, other| {
        let words = analysis.tokens().iter().filter(|it| it.kind == TokenKind::Word);
        let texts = words.map(|it| analysis.surface(it));
        other_script_share(texts, lang, other).is_some_and(|it| it > OTHER_SCRIPT_MIN)
    };
    let wrong_source = other_script(source, source_lang, target_lang);
    let wrong_target = other_script(target, target_lang, source_lang);
    let is_same = words(source).eq(words(target));
    if is_same && words(source).nth(SAME_WORDS_MIN - 1).is_some() {
        doubts.push(Doubt::Untranslated);
    } else if !is_same && (wrong_source || wrong_target) {
        doubts.push(Doubt::WrongLanguage);
    }
    if placeables(source) != placeables(target) {
        doubts.push(Doubt::Placeables);
    }
    if numbers_differ(source, target) {
        doubts.push(Doubt::Numbers);
    }
    let deviation = lengths::deviation(source_letters, target_letters);
    if deviation.abs() > DEVIATION_MAX {
        doubts.push(Doubt::Length);
    }
    let worst = SUSPICIONS.iter().filter(|(doubt, _)| doubts.contains(doubt)).map(|it| it.1);
    let worst = worst.fold(0.0, f32::max);
    let misaligned = 1.0 / (1.0 + ((evidence - EVIDENCE_MIN) / EVIDENCE_SCALE).exp());
    Verdict { suspicion: misaligned.max(worst), doubts }
}

/// Counts letters; a text without any counts as a short word.
#[expect(clippy::cast_precision_loss)]
fn letters(analysis: &Analysis) -> f32 {
    letters_of(analysis).max(2) as f32
}

fn words(analysis: &Analysis) -> impl Iterator<Item = &str> {
    let words = analysis.tokens().iter().filter(|it| it.kind == TokenKind::Word);
    words.map(|it| analysis.folded(it))
}

/// Log likelihood ratio of the words of the texts as translations and by chance.
fn words_evidence(source: &Analysis, target: &Analysis, lexicons: &[&Lexicon]) -> f32 {
    let ((source, _), (target, _)) = pieces(source, target, lexicons);
    let pairs = Pairs::leaving_out(&source, &target, lexicons, OWN);
    let (here, there) = (source.all_tokens(), target.all_tokens());
    evidence_of(here, there, &pairs.forward) + evidence_of(there, here, &pairs.backward)
}

fn evidence_of(from: &[u32], to: &[u32], direction: &Direction) -> f32 {
    let mut given = vec![0.0_f32; direction.weights.len()];
    for &term in from {
        for &(other, probability) in &direction.rows[term as usize] {
            given[other as usize] += probability;
        }
    }
    #[expect(clippy::cast_precision_loss)]
    let share = 1.0 / (from.len() + 1) as f32;
    let of_term = |&term: &u32| {
        let weight = direction.weights[term as usize];
        let known = given[term as usize] * share / weight.share;
        (1.0 + weight.sure * weight.telling * (known - 1.0)).ln()
    };
    to.iter().map(of_term).sum()
}

fn is_placeable(kind: TokenKind) -> bool {
    !matches!(kind, TokenKind::Word | TokenKind::Punctuation) && !kind.is_number_like()
}

/// The texts of tokens that translators copy, sorted.
fn placeables(analysis: &Analysis) -> Vec<&str> {
    let tokens = analysis.tokens().iter().filter(|it| is_placeable(it.kind));
    let mut texts: Vec<&str> = tokens.map(|it| analysis.surface(it)).collect();
    texts.sort_unstable();
    texts
}

/// Whether the numbers of the two sides differ, except for those that may be written in words.
fn numbers_differ(source: &Analysis, target: &Analysis) -> bool {
    let values = |analysis: &Analysis| -> Vec<String> {
        let tokens = analysis.tokens().iter().filter(|it| it.kind.is_number_like());
        let mut values: Vec<String> = tokens.flat_map(|it| written_values(analysis, it)).collect();
        values.sort_unstable();
        values
    };
    values(source) != values(target)
}

/// The values that both sides write in digits. Small numbers are often written in words, and the dash of a range as a word.
fn written_values(analysis: &Analysis, token: &Token) -> Vec<String> {
    /// Largest number that is often written in words.
    const MAY_BE_WORD_MAX: f64 = 12.0;
    let may_be_word = |it: &Decimal| it.to_f64().abs() <= MAY_BE_WORD_MAX;
    let of = |numbers: &[&Decimal]| {
        let in_digits = numbers.iter().filter(|it| !may_be_word(it));
        in_digits.map(ToString::to_string).collect()
    };
    match analysis.value(token) {
        Some(Value::Number(number) | Value::Percent(number) | Value::Amount(number, _)) => {
            of(&[&number])
        }
        Some(Value::Range(from, to)) => of(&[&from, &to]),
        Some(value) => vec![value.to_string()],
        None => vec![analysis.folded(token).to_owned()],
    }
}

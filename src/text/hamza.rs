//! One folded spelling for each word with hamza, whatever seat it is written on.
//!
//! Hamza is written on alef, waw, yeh or the line, and current usage differs by country, by age and by habit: mas'ul and
//! shu'un on waw or yeh, yaqra'un on waw, alef or the line, shay' with and without its yeh, mi'a with and without its alef.
//! Folding takes every hamza off its seat; what is left then still shows the seat. The rules here bring the seats of one
//! word together where the letters around the hamza decide it, and leave words apart that differ in more than spelling
//! (kafa'a "competence" and kifaya "sufficiency"). A few words that no rule covers are data (`data/hamza.tsv`).
//!
//! A rule may only join what folding leaves apart: a spelling with its hamza and the one with the bare seat
//! must stay one. That is why most rules name the letters at both ends.

use std::sync::LazyLock;

use super::chars::Chars;
use super::data::rows;

const HAMZA: char = '\u{621}';
const ALEF_MADDA: char = '\u{622}';
const ALEF_HAMZA: char = '\u{623}';
const WAW_HAMZA: char = '\u{624}';
const YEH_HAMZA: char = '\u{626}';
const ALEF: char = '\u{627}';
const BEH: char = '\u{628}';
const TEH: char = '\u{62a}';
const FEH: char = '\u{641}';
const KAF: char = '\u{643}';
const LAM: char = '\u{644}';
const MEEM: char = '\u{645}';
const NOON: char = '\u{646}';
const HEH: char = '\u{647}';
const WAW: char = '\u{648}';
const YEH: char = '\u{64a}';
/// Marks that make a hamza of the letter below or above them where no letter with hamza is encoded for it.
const HAMZA_MARKS: [char; 2] = ['\u{654}', '\u{655}'];

/// Words beyond the rules: letters as they may be written, and as they are folded; whether they end the word.
struct Irregular {
    from: Vec<char>,
    /// The letters of `from`: most words lack one of them.
    set: u64,
    to: Vec<char>,
    ends: bool,
}

static IRREGULAR: LazyLock<Vec<Irregular>> = LazyLock::new(|| {
    let rows = rows(include_str!("data/hamza.tsv"));
    let row = |columns: Vec<&str>| {
        let from: Vec<char> = columns[0].trim_end_matches('$').chars().collect();
        let (to, ends) = (columns[1].chars().collect(), columns[0].ends_with('$'));
        Irregular { set: set_of(&from), from, to, ends }
    };
    rows.map(row).collect()
});

/// The letters from U+0621 to U+064A, a bit each; all others share one.
fn set_of(letters: &[char]) -> u64 {
    let bit = |letter: &char| 1_u64 << (*letter as u32).wrapping_sub(0x621).min(63);
    letters.iter().map(bit).fold(0, |set, bit| set | bit)
}

/// Rewrites the folded form of a word, which begins at `start`, to the one of all its spellings.
pub(super) fn unify(surface: &str, forms: &mut String, start: usize, letters: &mut Vec<char>) {
    if !has_inner_hamza(surface.as_bytes()) && !has_bare_seats(&forms.as_bytes()[start..]) {
        return;
    }
    letters.clear();
    read(surface, letters);
    Word { letters }.unify();
    forms.truncate(start);
    forms.extend(letters.iter());
}

/// Whether hamza, alone or on a seat, stands in a text behind its first letter, or the text begins with one alone.
fn has_inner_hamza(bytes: &[u8]) -> bool {
    // U+0621 to U+0626 and U+0654 to U+0655; the high hamzas U+0674 to U+0678 and the yeh barree U+06D3.
    let is_hamza = |pair: &[u8]| {
        matches!(pair, [0xd8, 0xa1..=0xa6] | [0xd9, 0x94 | 0x95 | 0xb4..=0xb8] | [0xdb, 0x93])
    };
    bytes.starts_with(&[0xd8, 0xa1])
        || bytes.get(2..).is_some_and(|rest| rest.windows(2).any(is_hamza))
}

/// Whether a folded word holds yeh or alef before waw, or alef or yeh before yeh: what all bare seats that a rule looks at
/// have.
fn has_bare_seats(bytes: &[u8]) -> bool {
    bytes.windows(4).any(|four| {
        matches!(four, [0xd9, 0x8a, 0xd9, 0x88 | 0x8a] | [0xd8, 0xa7, 0xd9, 0x88 | 0x8a])
            || matches!(four, [0xd9, 0x8a, 0xd8, 0xa7])
    })
}

/// The letters of a word, folded but for hamza.
fn read(surface: &str, letters: &mut Vec<char>) {
    let mut folded = String::new();
    for character in surface.chars() {
        match character {
            HAMZA | ALEF_MADDA | ALEF_HAMZA | WAW_HAMZA | YEH_HAMZA => {
                letters.push(character);
            }
            '\u{674}' => letters.push(HAMZA),
            '\u{676}' | '\u{677}' => letters.push(WAW_HAMZA),
            '\u{678}' | '\u{6d3}' => letters.push(YEH_HAMZA),
            _ if HAMZA_MARKS.contains(&character) => {
                if let Some(last) = letters.last_mut() {
                    *last = match *last {
                        ALEF => ALEF_HAMZA,
                        WAW => WAW_HAMZA,
                        YEH => YEH_HAMZA,
                        other => other,
                    };
                }
            }
            _ => {
                folded.clear();
                Chars::get().fold_into(&mut folded, character);
                letters.extend(folded.chars());
            }
        }
    }
}

/// Whether a letter is a hamza, with or without a seat.
fn is_hamza(letter: char) -> bool {
    matches!(letter, HAMZA | ALEF_HAMZA | WAW_HAMZA | YEH_HAMZA)
}

/// Alef without its hamza; other letters as they are.
fn bare(letter: char) -> char {
    if letter == ALEF_HAMZA { ALEF } else { letter }
}

fn is_long_vowel(letter: char) -> bool {
    matches!(letter, ALEF | WAW | YEH)
}

struct Word<'a> {
    letters: &'a mut Vec<char>,
}

impl Word<'_> {
    fn unify(&mut self) {
        self.replace_irregular();
        let head = self.head();
        self.hundred(head);
        self.last_hamza(head);
        self.plural_of_verb(head);
        self.before_pronoun(head);
        self.inner_hamzas(head);
        for letter in self.letters.iter_mut() {
            *letter = match *letter {
                ALEF_HAMZA | ALEF_MADDA => ALEF,
                WAW_HAMZA => WAW,
                YEH_HAMZA => YEH,
                other => other,
            };
        }
        self.replace_irregular();
    }

    fn replace_irregular(&mut self) {
        let letters = set_of(self.letters);
        for Irregular { from, set, to, ends } in IRREGULAR.iter() {
            if letters & set != *set {
                continue;
            }
            let mut places = self.letters.windows(from.len());
            if let Some(place) = places.position(|window| window == &from[..])
                && (!ends || place + from.len() == self.letters.len())
            {
                self.letters.splice(place..place + from.len(), to.iter().copied());
            }
        }
    }

    /// How many letters at the beginning are wa, fa and the article with bi, ka or li before it.
    fn head(&self) -> usize {
        let letters = &self.letters[..];
        let start = usize::from(matches!(letters.first(), Some(&(WAW | FEH))));
        match &letters[start..] {
            [BEH | KAF, ALEF | ALEF_HAMZA, LAM, ..] => start + 3,
            [ALEF | ALEF_HAMZA | LAM, LAM, ..] => start + 2,
            _ => start,
        }
    }

    fn ends_with(&self, from: usize, ending: &[&[char]]) -> bool {
        ending.iter().any(|ending| self.letters.get(from..) == Some(*ending))
    }

    /// Mi'a, a hundred, and its compounds, which keep an alef that nobody speaks.
    fn hundred(&mut self, head: usize) {
        const UNITS: [&str; 9] = [
            "",
            "\u{62b}\u{644}\u{627}\u{62b}",
            "\u{627}\u{631}\u{628}\u{639}",
            "\u{62e}\u{645}\u{633}",
            "\u{633}\u{62a}",
            "\u{633}\u{628}\u{639}",
            "\u{62b}\u{645}\u{627}\u{646}",
            "\u{62b}\u{645}\u{627}\u{646}\u{64a}",
            "\u{62a}\u{633}\u{639}",
        ];
        let is_hundred =
            |three: &[char]| matches!(three, [MEEM, ALEF | ALEF_HAMZA, YEH_HAMZA | YEH]);
        if !self.letters.windows(3).any(is_hundred) {
            return;
        }
        let single = usize::from(matches!(self.letters.get(head), Some(&(BEH | KAF | LAM))));
        for (start, unit) in
            [head, head + single].into_iter().flat_map(|it| UNITS.map(|unit| (it, unit)))
        {
            let at = start + unit.chars().count();
            let Some([MEEM, alef, rest @ ..]) = self.letters.get(at..) else { continue };
            if !self.letters[start..at].iter().map(|it| bare(*it)).eq(unit.chars()) {
                continue;
            }
            let (ALEF | ALEF_HAMZA, [YEH_HAMZA | YEH, ending @ ..]) = (*alef, rest) else {
                continue;
            };
            if matches!(
                ending,
                [HEH] | [TEH, ALEF | ALEF_HAMZA | YEH] | [TEH, ALEF | ALEF_HAMZA | YEH, NOON]
            ) {
                self.letters.remove(at + 1);
                return;
            }
        }
    }

    /// Hamza as the last letter: shay', shati', imru', juz', bina'an.
    fn last_hamza(&mut self, head: usize) {
        let Some(last) = self.letters.len().checked_sub(1) else { return };
        let before = last.checked_sub(1).map_or(' ', |place| bare(self.letters[place]));
        let long = last.saturating_sub(head);
        match self.letters[last] {
            // After yeh on the line, on a seat that is yeh itself, or both: bari' and bari, shati' twice.
            HAMZA | YEH_HAMZA if before == YEH => self.end_with_yeh(last - 1, head),
            YEH_HAMZA if before != ALEF => self.end_with_yeh(last, head),
            WAW_HAMZA if long == 1 => {
                self.letters[last] = WAW;
                self.letters.push(HAMZA);
            }
            HAMZA if !is_long_vowel(before) && self.letters_before(last, head) >= 3 => {
                self.letters[last] = WAW;
            }
            // An accusative alef behind a hamza that takes none.
            ALEF | ALEF_HAMZA
                if before == HAMZA && long >= 4 && bare(self.letters[last - 2]) == ALEF =>
            {
                self.letters.pop();
            }
            _ => {}
        }
    }

    /// Ends the word after `stem` letters with yeh: a short one keeps the hamza, lest a bold man run (jari', jary).
    fn end_with_yeh(&mut self, stem: usize, head: usize) {
        let short = stem.saturating_sub(head) <= 2;
        self.letters.truncate(stem);
        self.letters.push(YEH);
        if short {
            self.letters.push(HAMZA);
        }
    }

    /// Letters of the stem before a place, a preposition of one letter left out.
    fn letters_before(&self, place: usize, head: usize) -> usize {
        let joined = matches!(self.letters.get(head), Some(&(BEH | KAF | LAM)));
        place.saturating_sub(head + usize::from(joined))
    }

    /// Bada'u, yaqra'un: the plural of verbs with hamza as their last letter, on alef or bare; waw stands for all.
    fn plural_of_verb(&mut self, head: usize) {
        let place = (head + 2..self.letters.len()).find(|&place| {
            if !matches!(self.letters[place], ALEF | ALEF_HAMZA) {
                return false;
            }
            let long = place - head;
            let imperfect = matches!(self.letters[head], YEH | TEH) && long >= 3;
            self.ends_with(place + 1, &[&[WAW, ALEF], &[WAW, ALEF_HAMZA]])
                || imperfect
                    && self.ends_with(
                        place + 1,
                        &[
                            &[WAW, NOON],
                            &[WAW, NOON, HEH],
                            &[WAW, NOON, HEH, ALEF],
                            &[WAW, NOON, HEH, ALEF_HAMZA],
                            &[WAW, NOON, HEH, MEEM],
                        ],
                    )
        });
        if let Some(place) = place {
            self.letters[place] = WAW;
        }
    }

    /// Abna'uhu, abna'ahu, abna'ihi: the case of a noun shows in the seat of its hamza before a pronoun only.
    fn before_pronoun(&mut self, head: usize) {
        let pronouns: [&[char]; 11] = [
            &[HEH],
            &[HEH, ALEF],
            &[HEH, MEEM],
            &[HEH, MEEM, ALEF],
            &[HEH, NOON],
            &[KAF],
            &[KAF, MEEM],
            &[NOON, ALEF],
            &[HEH, ALEF_HAMZA],
            &[HEH, MEEM, ALEF_HAMZA],
            &[NOON, ALEF_HAMZA],
        ];
        let first = self.letters.len().saturating_sub(4).max(1);
        for place in first..self.letters.len() {
            let seat = is_hamza(self.letters[place]) || self.letters[place] == WAW;
            let long = self.letters_before(place - 1, head) >= 3;
            if seat
                && long
                && bare(self.letters[place - 1]) == ALEF
                && self.ends_with(place + 1, &pronouns)
            {
                self.letters[place] = YEH;
                return;
            }
        }
    }

    /// Hamza inside of the word, letter by letter.
    fn inner_hamzas(&mut self, head: usize) {
        let mut place = 0;
        while place + 1 < self.letters.len() {
            let before = place.checked_sub(1).map_or(' ', |before| bare(self.letters[before]));
            let next = self.letters[place + 1];
            let last = place + 2 == self.letters.len();
            match self.letters[place] {
                HAMZA => match (before, bare(next)) {
                    // An accusative alef is none of the word's.
                    (_, ALEF) if last && before != YEH => {}
                    (WAW | YEH, ALEF) | (WAW, _) => self.letters[place] = before,
                    (_, ALEF) => {
                        self.letters.remove(place);
                        continue;
                    }
                    (' ', _) | (ALEF, TEH) => {}
                    (ALEF, HEH) if last => {}
                    (_, WAW) => self.letters[place] = WAW,
                    (YEH | ALEF, _) | (_, YEH) => self.letters[place] = YEH,
                    (_, HEH) if last => self.letters[place] = ALEF,
                    _ => {}
                },
                YEH_HAMZA if next == WAW && !self.keeps_yeh(place, head) => {
                    self.letters[place] = WAW;
                }
                YEH_HAMZA if before == ALEF => self.yeh_behind_alef(place, head),
                ALEF_HAMZA if next == ALEF => {
                    self.letters.remove(place);
                    continue;
                }
                // Tahni'a, tajzi'a: verbal nouns; not tawra, the Torah.
                ALEF_HAMZA if next == HEH && last => {
                    let verbal_noun =
                        matches!(self.letters[head..place], [TEH, second, _] if second != WAW);
                    if verbal_noun {
                        self.letters[place] = YEH;
                    }
                }
                ALEF_MADDA if before == YEH && next == TEH && last => {
                    self.letters.splice(place..=place, [YEH, ALEF]);
                }
                _ => {}
            }
            place += 1;
        }
    }

    /// Whether yeh is the seat in all spellings though waw follows: laji'un and qari'un have it from their singular, mi'awi
    /// from mi'a.
    fn keeps_yeh(&self, place: usize, head: usize) -> bool {
        let participle = self.ends_with(place + 1, &[&[WAW, NOON]])
            && place.saturating_sub(head) >= 3
            && !matches!(self.letters.get(head), Some(&(YEH | TEH)));
        participle || self.letters.get(place + 2) == Some(&YEH)
    }

    /// Qira'atuhu, qira'at written with yeh: the line is meant.
    fn yeh_behind_alef(&mut self, place: usize, head: usize) {
        let long = place.saturating_sub(head) >= 3;
        let with_pronoun: [&[char]; 8] = [
            &[TEH, HEH],
            &[TEH, HEH, ALEF],
            &[TEH, HEH, MEEM],
            &[TEH, HEH, NOON],
            &[TEH, KAF],
            &[TEH, KAF, MEEM],
            &[TEH, NOON, ALEF],
            &[TEH, YEH],
        ];
        if long && self.ends_with(place + 1, &with_pronoun) {
            self.letters[place] = HAMZA;
        } else if self.ends_with(place + 1, &[&[ALEF, TEH]]) {
            self.letters.remove(place);
        }
    }
}

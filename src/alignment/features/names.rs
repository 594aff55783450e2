//! Compares names across scripts by their consonants, which both scripts write.
//!
//! Consonants that only one of the scripts distinguishes (b and p, k and q, z and dh) count as equal; vowels and their letters
//! are left out. Knows nothing of lexicons or sentences.

/// Fewest consonants of a name: two are shared by chance too often.
const CONSONANTS_MIN: usize = 3;
/// Most consonants of a name; longer tokens are not names.
const CONSONANTS_MAX: usize = 16;

/// The consonants of a word, one byte each; empty when there are too few or too many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Skeleton {
    /// Zeros after the last one.
    consonants: [u8; CONSONANTS_MAX],
    len: u8,
}

impl Skeleton {
    /// The skeleton of a folded word in Arabic or Latin letters.
    pub(crate) fn of(word: &str) -> Self {
        let mut skeleton = Self::default();
        let mut letters = word.chars().peekable();
        while let Some(letter) = letters.next() {
            let next = letters.peek().copied();
            let (consonant, taken) = match (letter, next) {
                ('s' | 'c', Some('h')) => (b's', true),
                ('t' | 'd', Some('h')) => (letter_class(letter), true),
                ('p', Some('h')) => (b'f', true),
                ('k' | 'g', Some('h')) => (b'k', true),
                ('c', Some('e' | 'i' | 'y')) => (b's', false),
                ('x', _) => {
                    skeleton.push(b'k');
                    (b's', false)
                }
                _ => (letter_class(letter), false),
            };
            if taken {
                letters.next();
            }
            skeleton.push(consonant);
        }
        let is_name = (CONSONANTS_MIN..=CONSONANTS_MAX).contains(&skeleton.len());
        if is_name { skeleton } else { Self::default() }
    }

    /// Adds a consonant, unless it doubles the last one: Arabic writes doubled letters once.
    fn push(&mut self, consonant: u8) {
        if consonant == 0 || self.consonants().last() == Some(&consonant) {
            return;
        }
        if let Some(place) = self.consonants.get_mut(usize::from(self.len)) {
            *place = consonant;
        }
        self.len = self.len.saturating_add(1);
    }

    fn consonants(&self) -> &[u8] {
        &self.consonants[..self.len().min(CONSONANTS_MAX)]
    }

    /// From 0 (different) to 1 (the same): the share of consonants in which both agree, if at most one in four differs.
    pub(crate) fn likeness(&self, other: &Self) -> f32 {
        let (a, b) = (self.consonants(), other.consonants());
        let longest = a.len().max(b.len());
        if a.is_empty() || b.is_empty() || a.len().abs_diff(b.len()) * 4 > longest {
            return 0.0;
        }
        if a == b {
            return 1.0;
        }
        let distance = distance(a, b);
        if distance * 4 > longest {
            return 0.0;
        }
        // Both are at most CONSONANTS_MAX.
        #[expect(clippy::cast_precision_loss)]
        let likeness = 1.0 - distance as f32 / longest as f32;
        likeness
    }

    /// Whether the word cannot be a name.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of consonants.
    pub(crate) fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// The first consonant, in which spellings of a name agree.
    pub(crate) fn first(&self) -> u8 {
        self.consonants[0]
    }
}

/// The class of the sound of a letter; 0 for vowels and anything else.
fn letter_class(letter: char) -> u8 {
    match letter {
        'b' | 'p' | '\u{628}' | '\u{67e}' => b'b',
        't' | '\u{62a}' | '\u{637}' => b't',
        'd' | '\u{62f}' | '\u{636}' => b'd',
        'z' | '\u{630}' | '\u{632}' | '\u{638}' => b'z',
        's' | '\u{62b}' | '\u{633}' | '\u{634}' | '\u{635}' | '\u{686}' => b's',
        'k' | 'q' | 'c' | 'g' | 'j' | '\u{643}' | '\u{642}' | '\u{63a}' | '\u{62c}' | '\u{6a9}'
        | '\u{6af}' | '\u{62e}' => b'k',
        'h' | '\u{62d}' | '\u{647}' => b'h',
        'f' | 'v' | '\u{641}' | '\u{6a4}' => b'f',
        'l' | '\u{644}' => b'l',
        'm' | '\u{645}' => b'm',
        'n' | '\u{646}' => b'n',
        'r' | '\u{631}' => b'r',
        _ => 0,
    }
}

fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: [usize; CONSONANTS_MAX + 1] = std::array::from_fn(|at| at);
    for (i, &x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::Skeleton;

    #[track_caller]
    fn likeness(arabic: &str, english: &str) -> f32 {
        Skeleton::of(arabic).likeness(&Skeleton::of(english))
    }

    #[test]
    fn names_are_known_by_their_consonants() {
        // blinken, kukhafi, ustin, washintun, ghughil
        for (arabic, english) in [
            ("\u{628}\u{644}\u{64a}\u{646}\u{643}\u{646}", "blinken"),
            ("\u{627}\u{648}\u{633}\u{62a}\u{646}", "austin"),
            ("\u{648}\u{627}\u{634}\u{646}\u{637}\u{646}", "washington"),
        ] {
            assert!(likeness(arabic, english) >= 0.75, "{english}");
        }
        // kalam, washington
        assert!(likeness("\u{643}\u{644}\u{627}\u{645}", "washington") == 0.0);
    }

    #[test]
    fn short_words_are_no_names() {
        assert!(Skeleton::of("ali").is_empty());
    }
}

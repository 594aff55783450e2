//! Kinds of spelling difference between texts that fold to the same, as a set.

/// A set of kinds of spelling difference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Differences(u16);

impl Differences {
    /// Vowel and Quranic marks.
    pub const MARKS: Self = Self(1);
    /// Lengthening strokes.
    pub const TATWEEL: Self = Self(1 << 1);
    /// Hamza, alef maksura, teh marbuta, look-alikes from other alphabets.
    pub const LETTERS: Self = Self(1 << 2);
    /// Upper and lower case.
    pub const CASE: Self = Self(1 << 3);
    /// Notation of a number: digits, separators, the side of a sign.
    pub const DIGITS: Self = Self(1 << 4);
    /// Punctuation marks.
    pub const PUNCTUATION: Self = Self(1 << 5);
    /// White space.
    pub const SPACING: Self = Self(1 << 6);
    /// Anything else.
    pub const OTHER: Self = Self(1 << 7);
    /// Characters of a markup language, such as `**` and `#`.
    pub const MARKUP: Self = Self(1 << 8);

    const NAMES: [(&'static str, Self); 9] = [
        ("marks", Self::MARKS),
        ("tatweel", Self::TATWEEL),
        ("letters", Self::LETTERS),
        ("case", Self::CASE),
        ("digits", Self::DIGITS),
        ("punctuation", Self::PUNCTUATION),
        ("spacing", Self::SPACING),
        ("other", Self::OTHER),
        ("markup", Self::MARKUP),
    ];

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the set contains all of another.
    pub fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// The set as bits.
    pub fn bits(self) -> u16 {
        self.0
    }

    /// The set from bits.
    pub fn from_bits_truncate(bits: u16) -> Self {
        Self(bits)
    }

    /// The kind with a name.
    pub(super) fn by_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(it, _)| *it == name).map(|(_, kind)| *kind)
    }
}

impl std::ops::BitOr for Differences {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl std::ops::BitOrAssign for Differences {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

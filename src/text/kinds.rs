//! The kinds of tokens.

/// The kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Letters, with marks and digits among them.
    Word,
    /// Digits with separators.
    Number,
    /// A date in digits or with its month in words.
    Date,
    /// A number and a percent sign.
    Percent,
    /// A number and the sign or code of a currency.
    Currency,
    /// A web address, or the target of a Markdown link.
    Url,
    /// An e-mail address.
    Email,
    /// `{0}`, `%s`, `$1`, `${x}` and their like.
    Placeholder,
    /// Code between backquotes.
    Code,
    /// A tag or an entity of XML or HTML.
    Tag,
    /// Any other visible character.
    Punctuation,
}

impl TokenKind {
    /// Whether it has a value; replacing it by another value costs little.
    pub fn is_number_like(self) -> bool {
        matches!(self, Self::Number | Self::Date | Self::Percent | Self::Currency)
    }

    /// Whether it counts for the score.
    pub fn counts(self) -> bool {
        self != Self::Punctuation
    }

    /// Its name for users and programs: `word`, `number`, `date`, …
    pub fn name(self) -> &'static str {
        self.class().map_or("word", |class| &class[1..])
    }

    /// The kind of the tokens of a class.
    pub(super) fn of_class(class: &str) -> Self {
        const ALL: [TokenKind; 10] = [
            TokenKind::Number,
            TokenKind::Date,
            TokenKind::Percent,
            TokenKind::Currency,
            TokenKind::Url,
            TokenKind::Email,
            TokenKind::Placeholder,
            TokenKind::Code,
            TokenKind::Tag,
            TokenKind::Punctuation,
        ];
        if !class.starts_with('#') {
            return Self::Word;
        }
        ALL.into_iter().find(|kind| kind.class() == Some(class)).unwrap_or(Self::Word)
    }

    /// The class that all tokens of a kind share. Words have classes of their own, and none begins with `#`.
    pub(super) fn class(self) -> Option<&'static str> {
        Some(match self {
            Self::Word => return None,
            Self::Number => "#number",
            Self::Date => "#date",
            Self::Percent => "#percent",
            Self::Currency => "#currency",
            Self::Url => "#url",
            Self::Email => "#email",
            Self::Placeholder => "#placeholder",
            Self::Code => "#code",
            Self::Tag => "#tag",
            Self::Punctuation => "#punctuation",
        })
    }
}

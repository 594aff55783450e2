//! Conditions of a search: a text, how it is compared, and whether case matters.

use crate::text::{Analysis, Analyzer};
use crate::unit::{Lang, Segment};

use super::fault::Fault;
use super::fields::Fields;

/// How a text is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// It occurs.
    Contains,
    /// It is the whole text.
    Exact,
    /// Each of its words occurs.
    Concordance,
}

/// A text, and how it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    text: String,
    mode: Mode,
    case_matters: bool,
}

impl Condition {
    /// The condition of a field and of the field with its mode: `contains, CASEINSENSETIVE`.
    pub(super) fn new(fields: &Fields, field: &str, mode_field: &str) -> Result<Self, Fault> {
        let mut condition = Self::contains(fields.text(field));
        for word in fields.text(mode_field).split(',').map(str::trim).filter(|it| !it.is_empty()) {
            match word.to_ascii_lowercase().as_str() {
                "contains" => condition.mode = Mode::Contains,
                "exact" => condition.mode = Mode::Exact,
                "concordance" => condition.mode = Mode::Concordance,
                // So spelt by the clients.
                "casesensetive" | "casesensitive" => condition.case_matters = true,
                "caseinsensetive" | "caseinsensitive" | "whitespacetolerant" => {}
                _ => {
                    let what = format!(
                        "the field {mode_field}: '{word}' is not contains, exact, concordance, CASESENSETIVE or CASEINSENSETIVE"
                    );
                    return Err(Fault::bad_request(&what));
                }
            }
        }
        Ok(condition)
    }

    pub(super) fn contains(text: &str) -> Self {
        Self { text: text.to_owned(), mode: Mode::Contains, case_matters: false }
    }

    /// The condition, if it is one.
    pub(super) fn given(self) -> Option<Self> {
        (!self.text.trim().is_empty()).then_some(self)
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether only the very text meets it.
    pub(super) fn is_literal(&self) -> bool {
        self.mode == Mode::Exact && self.case_matters
    }

    /// Whether a concordance of its mode finds just what meets it.
    pub(super) fn is_found_by_words(&self) -> bool {
        !self.case_matters && self.mode != Mode::Exact
    }

    /// The words that are there as a whole in every text that meets it: the last one may go on.
    pub(super) fn whole_words(&self) -> String {
        match self.mode {
            Mode::Exact | Mode::Concordance => self.text.clone(),
            Mode::Contains => {
                let words = self.text.trim().rsplit_once(char::is_whitespace);
                let words = words.map_or("", |(words, _)| words);
                let has_word = words.chars().any(char::is_alphanumeric);
                if has_word { words.to_owned() } else { String::new() }
            }
        }
    }

    /// Whether a name or key meets it.
    pub(super) fn accepts(&self, value: &str) -> bool {
        if self.case_matters {
            return self.compare(value, &self.text);
        }
        self.compare(&value.to_lowercase(), &self.text.to_lowercase())
    }

    fn compare(&self, value: &str, text: &str) -> bool {
        match self.mode {
            Mode::Contains => value.contains(text),
            Mode::Exact => value == text,
            Mode::Concordance => text.split_whitespace().all(|word| value.contains(word)),
        }
    }
}

/// Checks source or target: as the concordance does, or literally where case matters.
pub(super) struct TextCheck {
    condition: Condition,
    analyzer: Analyzer,
    words: Vec<String>,
}

impl TextCheck {
    pub(super) fn new(condition: Condition, lang: &Lang) -> Self {
        let analyzer = Analyzer::new(lang);
        let words = folded(&analyzer.analyze(condition.text()));
        Self { condition, analyzer, words }
    }

    pub(super) fn accepts(&self, segment: &Segment) -> bool {
        if self.condition.case_matters {
            return self.condition.accepts(&segment.text);
        }
        let words = folded(&self.analyzer.analyze_segment(segment));
        match self.condition.mode {
            Mode::Exact => words == self.words,
            Mode::Concordance => self.words.iter().all(|word| words.contains(word)),
            Mode::Contains => {
                let Some((last, before)) = self.words.split_last() else { return true };
                words.windows(self.words.len()).any(|window| {
                    window.split_last().is_some_and(|(end, start)| {
                        start == before && end.starts_with(last.as_str())
                    })
                })
            }
        }
    }
}

fn folded(text: &Analysis) -> Vec<String> {
    text.words().map(|word| text.folded(word).to_owned()).collect()
}

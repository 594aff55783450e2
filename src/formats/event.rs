//! Defines the events of an input: a valid unit, a rejected one with its reason, or the place where the input breaks.

use std::collections::BTreeMap;

use crate::unit::{Diagnostic, DiagnosticCode, Place, UnitContent};
use crate::validate::validate_content;

use super::io::ILLEGAL;

/// A unit of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedUnit {
    /// Its content, which passed [`validate_content`].
    pub content: UnitContent,
    /// Its place in the input.
    pub place: Place,
    /// The source text before it, if the file itself holds it.
    pub previous_text: Option<String>,
    /// The source text after it, if the file itself holds it.
    pub next_text: Option<String>,
}

/// A unit of an input that cannot be used as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its place and what is wrong with it.
    pub diagnostic: Diagnostic,
    /// The part that could be read, for a file of rejected units that can be corrected and imported again. A side may be
    /// empty or break a rule; `None` when nothing could be read.
    pub content: Option<UnitContent>,
}

/// An event of an input, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A valid unit.
    Unit(Box<ParsedUnit>),
    /// A unit that breaks a rule.
    Rejected(Box<Rejected>),
    /// The input breaks here: everything before was read, and an unknown number of units after it was not.
    Broken(Diagnostic),
    /// A unit that is skipped because the file calls it unfinished.
    Unfinished(Diagnostic),
    /// A warning that concerns no single unit, such as a wrong declared encoding or sides that look swapped.
    Notice(Diagnostic),
}

impl Event {
    /// The diagnostic for reports; `None` for a valid unit.
    pub fn diagnostic(&self) -> Option<&Diagnostic> {
        match self {
            Self::Unit(_) => None,
            Self::Rejected(rejected) => Some(&rejected.diagnostic),
            Self::Broken(diagnostic) | Self::Unfinished(diagnostic) | Self::Notice(diagnostic) => {
                Some(diagnostic)
            }
        }
    }
}

pub(super) fn rejected(diagnostic: Diagnostic, content: Option<UnitContent>) -> Event {
    Event::Rejected(Box::new(Rejected { diagnostic, content }))
}

/// The input breaks here. The number of units before is added where they are counted.
pub(super) fn broken(place: Place, what: &str) -> Event {
    let message = format!("{what}; nothing after this place was read");
    Event::Broken(Diagnostic { place, cause: DiagnosticCode::Malformed, message })
}

/// Validates a unit, with its sides swapped if `swap`, and returns it or the reason of its rejection.
pub(super) fn validated(mut parsed: ParsedUnit, swap: bool) -> Event {
    if swap {
        let content = &mut parsed.content;
        std::mem::swap(&mut content.source, &mut content.target);
        content.context = content.context.swapped();
    }
    let illegal = |text: &str| text.contains(ILLEGAL);
    let content = &parsed.content;
    let fault = if [&content.source, &content.target].into_iter().any(|it| illegal(&it.text)) {
        let message =
            "holds bytes that are not legal in the encoding of the file; save the file as UTF-8";
        Some((DiagnosticCode::Encoding, message.to_owned()))
    } else {
        validate_content(content).err().map(|fault| (fault.cause, fault.message))
    };
    match fault {
        None => Event::Unit(Box::new(parsed)),
        Some((cause, message)) => {
            let ParsedUnit { content, place, .. } = parsed;
            rejected(Diagnostic { place, cause, message }, Some(content))
        }
    }
}

/// An unused attribute name: a second attribute of the same name becomes `name.2`, and so on.
pub(crate) fn free_name(attributes: &BTreeMap<String, String>, name: &str) -> String {
    let (mut free, mut number) = (name.to_owned(), 1);
    while attributes.contains_key(&free) {
        number += 1;
        free = format!("{name}.{number}");
    }
    free
}

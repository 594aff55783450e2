//! What comes out of an input? A unit that passed the checks, a rejected one with its reason, or the place where the input breaks.

use std::collections::BTreeMap;

use crate::unit::{Cause, Diagnostic, Place, UnitContent};
use crate::validate::check_content;

use super::io::ILLEGAL;

/// A unit of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedUnit {
    /// What it holds; passed [`check_content`].
    pub content: UnitContent,
    /// Where it stands.
    pub place: Place,
    /// Source text before it, where the file itself says so.
    pub previous_text: Option<String>,
    /// Source text after it, where the file itself says so.
    pub next_text: Option<String>,
}

/// A unit of an input that cannot be used as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Where it stands and what is wrong with it.
    pub diagnostic: Diagnostic,
    /// What could be read of it, for a file of rejected units that a person can correct and import again. A side may be
    /// empty or break a rule; `None` when nothing could be read.
    pub content: Option<UnitContent>,
}

/// What comes out of an input, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A unit that passed the checks.
    Unit(Box<ParsedUnit>),
    /// A unit that breaks a rule.
    Rejected(Box<Rejected>),
    /// The input breaks here: everything before was read, an unknown number of units after it was not.
    Broken(Diagnostic),
    /// A unit that is left out because the file calls it unfinished.
    Unfinished(Diagnostic),
    /// Something that a person should know and that costs no unit: a declared encoding that is not true, sides that look
    /// swapped.
    Notice(Diagnostic),
}

impl Event {
    /// The diagnostic that a report shows; `None` for a unit that passed.
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

/// The end of what can be read. How many units came before is added where they are counted.
pub(super) fn broken(place: Place, what: &str) -> Event {
    let message = format!("{what}; nothing after this place was read");
    Event::Broken(Diagnostic { place, cause: Cause::Malformed, message })
}

/// Validates a unit, with its sides swapped if `swap`, and returns it or the reason of its rejection.
pub(super) fn validated(mut parsed: ParsedUnit, swap: bool) -> Event {
    if swap {
        let content = &mut parsed.content;
        std::mem::swap(&mut content.source, &mut content.target);
    }
    let illegal = |text: &str| text.contains(ILLEGAL);
    let content = &parsed.content;
    let fault = if [&content.source, &content.target].into_iter().any(|it| illegal(&it.text)) {
        let message =
            "holds bytes that are not legal in the encoding of the file; save the file as UTF-8";
        Some((Cause::Encoding, message.to_owned()))
    } else {
        check_content(content).err().map(|fault| (fault.cause, fault.message))
    };
    match fault {
        None => Event::Unit(Box::new(parsed)),
        Some((cause, message)) => {
            let ParsedUnit { content, place, .. } = parsed;
            rejected(Diagnostic { place, cause, message }, Some(content))
        }
    }
}

/// A name for an attribute that none has yet: a second one of the same name becomes `name.2`, and so on.
pub(super) fn free_name(attributes: &BTreeMap<String, String>, name: &str) -> String {
    let (mut free, mut number) = (name.to_owned(), 1);
    while attributes.contains_key(&free) {
        number += 1;
        free = format!("{name}.{number}");
    }
    free
}

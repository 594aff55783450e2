//! Decides by what a file declares whether its units are stored: its languages, and the state of each translation.
//!
//! Knows nothing of how a format declares it.

use crate::unit::{Diagnostic, DiagnosticCode, Lang, Place, UNFINISHED_ATTRIBUTE, UnitContent};
use crate::validate::named_language;

use super::event::{Event, rejected};
use super::format::{ReadOptions, Unfinished};

/// Maps the sides of a file to the sides of the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Direction {
    #[default]
    Forward,
    /// The file's targets are in the memory's source language, and its sources in the memory's target language.
    Reversed,
}

/// Whether a text in `lang` belongs on the side of a memory whose language is `wanted`; see [`Lang::accepts`]. Where both
/// sides are the same language in two regions, the region must match exactly, or the language must have none.
pub(super) fn fits(lang: &Lang, wanted: &Lang, other: &Lang) -> bool {
    if wanted.primary() == other.primary() {
        let in_particular = wanted.as_str() != wanted.primary();
        return lang == wanted || (!in_particular && lang != other && wanted.accepts(lang));
    }
    wanted.accepts(lang)
}

/// The direction in which a file with these declared languages, source and target, is read. An undeclared or unknown
/// language fits any.
///
/// # Errors
/// The languages are not those of the memory; the message is for the user.
pub(super) fn direction(
    declared: [Option<&str>; 2],
    options: &ReadOptions,
) -> Result<Direction, String> {
    if options.ignore_declared_languages {
        return Ok(Direction::Forward);
    }
    let langs = declared.map(|name| name.and_then(named_language));
    let (source, target) = (&options.source_lang, &options.target_lang);
    let is = |lang: &Option<Lang>, wanted: &Lang, other: &Lang| {
        lang.as_ref().is_some_and(|lang| fits(lang, wanted, other))
    };
    let may_be = |lang: &Option<Lang>, wanted: &Lang, other: &Lang| {
        lang.is_none() || is(lang, wanted, other)
    };
    if may_be(&langs[0], source, target) && may_be(&langs[1], target, source) {
        return Ok(Direction::Forward);
    }
    if is(&langs[0], target, source) && is(&langs[1], source, target) {
        return Ok(Direction::Reversed);
    }
    let said = match &langs {
        [Some(from), Some(to)] => format!("it says that it is from '{from}' to '{to}'"),
        [Some(from), None] => format!("it says that its sources are in '{from}'"),
        [None, to] => {
            let to = to.as_ref().map_or("another language", Lang::as_str);
            format!("it says that its translations are in '{to}'")
        }
    };
    Err(format!(
        "{said}, and the memory is from '{source}' to '{target}': nothing of it is stored; \
         --ignore-declared-languages reads it all the same"
    ))
}

/// Rejects a file, or a part of one, whose languages are not those of the memory.
pub(super) fn foreign(place: Place, message: String) -> Event {
    rejected(Diagnostic { place, cause: DiagnosticCode::DeclaredLanguage, message }, None)
}

/// Marks a unit that its file calls unfinished, or returns the event that it is skipped.
pub(super) fn unfinished(
    content: &mut UnitContent,
    state: &str,
    place: &Place,
    options: &ReadOptions,
) -> Option<Event> {
    match options.unfinished {
        Unfinished::Keep => {
            mark_unfinished(content, state);
            None
        }
        Unfinished::Skip => {
            let message =
                format!("the file calls the translation '{state}'; --unfinished keep stores it");
            let place = place.clone();
            Some(Event::Unfinished(Diagnostic {
                place,
                cause: DiagnosticCode::Unfinished,
                message,
            }))
        }
    }
}

/// Marks a unit that is stored although its file calls it unfinished.
pub(super) fn mark_unfinished(content: &mut UnitContent, state: &str) {
    content.attributes.insert(UNFINISHED_ATTRIBUTE.to_owned(), state.to_owned());
}

/// Whether a state of XLIFF says that the translation is missing or needs work.
///
/// XLIFF 1.2 (2.3.2, `state`): `new` and everything that begins with `needs-`; `translated`, `signed-off` and `final` are
/// finished. XLIFF 2.x (4.3.2.24): `initial`. SDLXLIFF (`conf`): `Unspecified`, `Draft` and what was rejected. MQXLIFF
/// (`mq:status`): not started, edited without confirmation, pre-translated, fragments and machine translation, rejected.
pub(super) fn is_unfinished_state(state: &str) -> bool {
    const STATES: [&str; 15] = [
        "new",
        "initial",
        "unspecified",
        "draft",
        "rejectedtranslation",
        "rejectedsignoff",
        "notstarted",
        "partiallyedited",
        "edited",
        "pretranslated",
        "machinetranslated",
        "assembledfromfragments",
        "rejected",
        "x-new",
        "x-draft",
    ];
    let state = state.trim().to_ascii_lowercase();
    state.starts_with("needs-") || STATES.contains(&state.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(source: &str, target: &str) -> ReadOptions {
        ReadOptions::new(source.parse().unwrap(), target.parse().unwrap(), "f")
    }

    #[test]
    fn the_languages_of_a_file_decide_how_it_is_read() {
        use Direction::{Forward, Reversed};
        for (memory, declared, expected) in [
            (["en", "ar"], [Some("en"), Some("ar")], Some(Forward)),
            (["en", "ar"], [Some("en-US"), Some("ar_SA")], Some(Forward)),
            (["en", "ar"], [Some("eng"), Some("Arabic")], Some(Forward)),
            (["en", "ar"], [Some("ar"), Some("en")], Some(Reversed)),
            (["en", "ar"], [None, Some("ar")], Some(Forward)),
            (["en", "ar"], [Some("en"), None], Some(Forward)),
            (["en", "ar"], [None, None], Some(Forward)),
            (["en", "ar"], [Some("no language"), Some("")], Some(Forward)),
            // One matching side does not prove that the other one matches.
            (["en", "ar"], [None, Some("en")], None),
            (["en", "ar"], [Some("ar"), None], None),
            (["en", "ar"], [Some("en"), Some("fa")], None),
            (["en", "ar"], [Some("de"), Some("ar")], None),
            (["en", "ar"], [Some("ar"), Some("fr")], None),
            (["en-GB", "en-US"], [Some("en-GB"), Some("en-US")], Some(Forward)),
            (["en-GB", "en-US"], [Some("en-US"), Some("en-GB")], Some(Reversed)),
            (["en-GB", "en-US"], [Some("en-GB"), Some("en-CA")], None),
            (["en-GB", "ar"], [Some("en"), Some("ar")], Some(Forward)),
            (["en-GB", "ar"], [Some("en-US"), Some("ar")], None),
        ] {
            let mut options = options(memory[0], memory[1]);
            assert_eq!(direction(declared, &options).ok(), expected, "{memory:?} {declared:?}");
            options.ignore_declared_languages = true;
            assert_eq!(direction(declared, &options), Ok(Forward));
        }
    }

    #[test]
    fn states_that_ask_for_work_are_unfinished() {
        for state in
            ["new", "needs-translation", "needs-review-l10n", "initial", "Draft", "NotStarted"]
        {
            assert!(is_unfinished_state(state), "{state}");
        }
        for state in [
            "final",
            "signed-off",
            "translated",
            "reviewed",
            "ApprovedSignOff",
            "ManuallyConfirmed",
            "",
        ] {
            assert!(!is_unfinished_state(state), "{state}");
        }
    }
}

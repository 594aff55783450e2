//! Warns when the sides of a file are not in the scripts of their languages.
//!
//! Languages that share a script cannot be told apart this way and are not checked.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use crate::unit::{Diagnostic, DiagnosticCode, Lang, Place, UnitContent};

use super::event::Event;
use super::format::{BoxedReader, Format, ReadOptions, UnitReader};
use super::script::{Script, script, script_of};

/// Units after which a file that looks wrong is reported before it is read to its end.
const EARLY_UNITS: u64 = 100;
/// Units that are all checked; after them, one in [`ONE_IN`] is enough.
const ALL_UNITS: u64 = 2_000;
const ONE_IN: u64 = 8;
/// Fewer units with letters on both sides than this prove nothing.
const UNITS_MIN: u64 = 3;

/// Passes the events of a reader through, and adds warnings.
pub(super) struct ScriptCheck<'r> {
    reader: BoxedReader<'r>,
    /// A warning about the encoding, given before the first event.
    encoding_warning: Option<String>,
    file_name: Arc<str>,
    langs: [Lang; 2],
    scripts: Option<[Script; 2]>,
    counts: Counts,
    /// Units so far, valid or not.
    read: u64,
    /// Valid units so far.
    seen: u64,
    reported_early: bool,
    ended: bool,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    /// Units with letters on both sides.
    units: u64,
    swapped: u64,
    wrong: [u64; 2],
}

impl<'r> ScriptCheck<'r> {
    pub(super) fn new(
        reader: BoxedReader<'r>,
        options: &ReadOptions,
        encoding_warning: Option<String>,
    ) -> Self {
        let langs = [options.source_lang.clone(), options.target_lang.clone()];
        let scripts = script(&langs[0]).zip(script(&langs[1])).map(|(a, b)| [a, b]);
        Self {
            reader,
            encoding_warning,
            file_name: options.file_name.clone(),
            langs,
            // Languages of the same script cannot be told apart.
            scripts: scripts.filter(|[a, b]| a != b),
            counts: Counts::default(),
            read: 0,
            seen: 0,
            reported_early: false,
            ended: false,
        }
    }

    fn count(&mut self, content: &UnitContent) {
        let Some(wanted) = self.scripts else { return };
        self.seen += 1;
        if self.seen > ALL_UNITS && !self.seen.is_multiple_of(ONE_IN) {
            return;
        }
        // An untranslated unit proves nothing.
        if content.source.text == content.target.text {
            return;
        }
        let (Some(source), Some(target)) =
            (script_of(&content.source.text), script_of(&content.target.text))
        else {
            return;
        };
        self.counts.units += 1;
        let wrong = [source != wanted[0], target != wanted[1]];
        match wrong {
            [true, true] => self.counts.swapped += 1,
            [true, false] => self.counts.wrong[0] += 1,
            [false, true] => self.counts.wrong[1] += 1,
            [false, false] => {}
        }
    }

    fn early(&mut self) -> Option<Event> {
        let due = !self.reported_early && self.counts.units >= EARLY_UNITS;
        if !due {
            return None;
        }
        self.reported_early = true;
        self.warning(9)
    }

    /// The warning that more than so many tenths of the units justify.
    fn warning(&self, tenths: u64) -> Option<Event> {
        let Counts { units, swapped, wrong } = self.counts;
        let most = |count: u64| units >= UNITS_MIN && count * 10 > units * tenths;
        let [source, target] = &self.langs;
        if most(swapped) {
            return Some(self.notice(
                DiagnosticCode::SwappedSides,
                format!(
                    "the sides look swapped: in {swapped} of {units} units looked at the source is not in the script of '{source}' nor \
                     the target in that of '{target}'; read the file with its sides swapped, or name the columns"
                ),
            ));
        }
        [(wrong[0], "source", source), (wrong[1], "target", target)]
            .into_iter()
            .find(|(count, ..)| most(*count))
            .map(|(count, side, lang)| {
                self.notice(
                    DiagnosticCode::WrongLanguage,
                    format!(
                        "in {count} of {units} units looked at the {side} is not in the script of '{lang}'; are the languages or the \
                         columns the right ones?"
                    ),
                )
            })
    }

    fn notice(&self, cause: DiagnosticCode, message: String) -> Event {
        let place = Place { file: self.file_name.clone(), ..Place::default() };
        Event::Notice(Diagnostic { place, cause, message })
    }
}

impl Iterator for ScriptCheck<'_> {
    type Item = io::Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(message) = self.encoding_warning.take() {
            return Some(Ok(self.notice(DiagnosticCode::DeclaredEncoding, message)));
        }
        if self.ended {
            return None;
        }
        if let Some(event) = self.early() {
            return Some(Ok(event));
        }
        let Some(event) = self.reader.next() else {
            self.ended = true;
            return self.warning(5).map(Ok);
        };
        let mut event = event;
        match &mut event {
            Ok(Event::Unit(unit)) => {
                self.read += 1;
                self.count(&unit.content);
            }
            Ok(Event::Rejected(_) | Event::Unfinished(_)) => self.read += 1,
            Ok(Event::Broken(diagnostic)) => {
                let units = if self.read == 1 { "unit" } else { "units" };
                let _ = write!(diagnostic.message, "; {} {units} came before it", self.read);
            }
            _ => {}
        }
        Some(event)
    }
}

impl UnitReader for ScriptCheck<'_> {
    fn bytes_read(&self) -> u64 {
        self.reader.bytes_read()
    }

    fn format(&self) -> Format {
        self.reader.format()
    }
}

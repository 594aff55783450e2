//! Groups the units of a file into batches that fit a transaction, and records the neighbours of each unit.
//!
//! Knows nothing of where the batches go: to the engine of this process or over the network.

use std::io;

use crate::formats::{BoxedReader, Event, ParsedUnit, Rejected};
use crate::limits::{IMPORT_BATCH_BYTES, IMPORT_BATCH_FAULTS, IMPORT_BATCH_UNITS};
use crate::unit::{Diagnostic, InlineTag, Place, UnitContent};

use crate::engine::replica::encoding::context_hash;

/// A unit and its place in the file.
#[derive(Debug)]
pub struct PlacedUnit {
    /// Its content.
    pub content: UnitContent,
    /// Its place in the file.
    pub place: Place,
}

/// The attribute that holds the reason of a rejection in a file of rejected units. It is not stored when the corrected file is
/// imported.
pub const REJECTED_ATTRIBUTE: &str = "dhakira-rejected";

/// Units that fit one transaction, and the diagnostics met while reading them.
#[derive(Debug, Default)]
pub struct Batch {
    /// At most the maximum of [`Batches`].
    pub units: Vec<PlacedUnit>,
    /// Rejected units in the order of the file; the error that ends a broken file is one of them.
    pub rejected: Vec<Rejected>,
    /// Units left out because the file marks them as unfinished.
    pub unfinished: Vec<Diagnostic>,
    /// Warnings that concern no unit.
    pub notices: Vec<Diagnostic>,
    /// Bytes of the file read so far, as stored (compressed or not).
    pub bytes_read: u64,
}

impl Batch {
    /// Number of diagnostics.
    fn faults(&self) -> usize {
        self.rejected.len() + self.unfinished.len() + self.notices.len()
    }
}

/// The batches of one file.
///
/// Consecutive units of one document are neighbours, unless the file names other ones.
pub struct Batches<'r> {
    reader: BoxedReader<'r>,
    /// The last unit, waiting for its successor.
    waiting: Option<Waiting>,
    ended: bool,
    units_max: usize,
}

struct Waiting {
    unit: PlacedUnit,
    /// Hashes of its source and target, if it may be a neighbour.
    own_hashes: Option<[u64; 2]>,
    next_is_known: bool,
}

impl<'r> Batches<'r> {
    /// Batches of the reader's units, of the default size.
    pub fn new(reader: BoxedReader<'r>) -> Self {
        Self { reader, waiting: None, ended: false, units_max: IMPORT_BATCH_UNITS }
    }

    /// Sets the maximum number of units in a batch.
    #[must_use]
    pub fn of(self, units_max: usize) -> Self {
        Self { units_max, ..self }
    }

    fn place(&mut self, parsed: ParsedUnit) -> Option<PlacedUnit> {
        let ParsedUnit { mut content, place, previous_text, next_text } = parsed;
        // A creation time without a change time is also the time of the last change.
        content.changed = content.changed.or(content.created);
        content.attributes.remove(REJECTED_ATTRIBUTE);
        let given = |text: Option<String>| text.as_deref().map(context_hash);
        let context = &mut content.context;
        context.previous = context.previous.or(given(previous_text));
        context.next = context.next.or(given(next_text));
        let next_is_known = context.next.is_some();
        let hashes = || [&content.source, &content.target].map(|it| context_hash(&it.text));
        let own_hashes = (!content.document.is_empty()).then(hashes);
        if let Some(before) = &mut self.waiting
            && let (Some(hashes_before), Some(hashes)) = (before.own_hashes, own_hashes)
            && before.unit.content.document == content.document
        {
            let (context, context_before) =
                (&mut content.context, &mut before.unit.content.context);
            let [source_before, target_before] = hashes_before;
            // The target belongs to the source: it is filled in only where the source is the neighbour.
            if *context.previous.get_or_insert(source_before) == source_before {
                context.previous_target.get_or_insert(target_before);
            }
            let [source, target] = hashes;
            if !before.next_is_known {
                context_before.next = Some(source);
            }
            if context_before.next == Some(source) {
                context_before.next_target.get_or_insert(target);
            }
        }
        let unit = PlacedUnit { content, place };
        self.waiting.replace(Waiting { unit, own_hashes, next_is_known }).map(|it| it.unit)
    }
}

/// Approximate size of a unit in memory.
fn bytes_of(content: &UnitContent) -> usize {
    let tags = [&content.source, &content.target].into_iter().flat_map(|segment| &segment.tags);
    let attributes = content.attributes.iter().map(|(name, value)| name.len() + value.len());
    content.source.text.len()
        + content.target.text.len()
        + content.document.len()
        + content.author.len()
        + content.context_id.len()
        + tags.map(|tag| size_of::<InlineTag>() + tag.code.len()).sum::<usize>()
        + attributes.sum::<usize>()
}

impl Iterator for Batches<'_> {
    type Item = io::Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let mut batch = Batch::default();
        let mut bytes = 0;
        while batch.units.len() < self.units_max
            && bytes < IMPORT_BATCH_BYTES
            && batch.faults() < IMPORT_BATCH_FAULTS
        {
            let complete = match self.reader.next() {
                Some(Ok(Event::Unit(parsed))) => self.place(*parsed),
                Some(Ok(Event::Notice(notice))) => {
                    batch.notices.push(notice);
                    None
                }
                Some(Ok(Event::Unfinished(diagnostic))) => {
                    batch.unfinished.push(diagnostic);
                    self.waiting.take().map(|it| it.unit)
                }
                Some(Ok(Event::Rejected(rejected))) => {
                    bytes += rejected.content.as_ref().map_or(0, bytes_of);
                    batch.rejected.push(*rejected);
                    // A unit is missing here, so the units around it are not neighbours.
                    self.waiting.take().map(|it| it.unit)
                }
                Some(Ok(Event::Broken(diagnostic))) => {
                    batch.rejected.push(Rejected { diagnostic, content: None });
                    self.waiting.take().map(|it| it.unit)
                }
                Some(Err(error)) => {
                    self.ended = true;
                    return Some(Err(error));
                }
                None => {
                    self.ended = true;
                    batch.units.extend(self.waiting.take().map(|it| it.unit));
                    break;
                }
            };
            if let Some(unit) = complete {
                bytes += bytes_of(&unit.content);
                batch.units.push(unit);
            }
        }
        batch.bytes_read = self.reader.bytes_read();
        let nothing = batch.units.is_empty() && batch.faults() == 0;
        (!nothing || !self.ended).then_some(Ok(batch))
    }
}

//! Links the words of stored units to their translations, for the lookups that find them.

use std::sync::Arc;

use crate::alignment::{Cancelled, link_words};
use crate::text::Analysis;
use crate::unit::Unit;

use crate::engine::Engine;
use crate::engine::cancel::Cancel;
use crate::engine::error::EngineError;
use crate::engine::replica::catalog::Memory;
use crate::engine::replica::encoding::short_revision;
use crate::engine::replica::lexicon::{TrainedLexicon, lexicons};
use crate::engine::replica::links::LinkedTarget;

/// The links of a unit, or what it takes to find them.
pub(super) enum UnitLinks {
    /// They are known.
    Known(Arc<LinkedTarget>),
    /// They are not known for this lexicon, which has this number.
    Unknown(Arc<TrainedLexicon>, u64),
}

impl Engine {
    /// The links of a unit of a memory, if they are known.
    pub(super) fn known_links(&self, memory: &Memory, unit: &Unit) -> UnitLinks {
        let (lexicon, number) = self.numbered_lexicon(memory);
        match memory.links.get((unit.id, short_revision(unit)), number) {
            Some(known) => UnitLinks::Known(known),
            None => UnitLinks::Unknown(lexicon, number),
        }
    }
}

/// Finds the links of a unit by a lexicon of its memory, and keeps them for the next lookup.
pub(super) fn find_links(
    (memory, unit): (&Memory, &Unit),
    (source, target): (&Analysis, &Analysis),
    (lexicon, number): (&Arc<TrainedLexicon>, u64),
    cancel: &Cancel,
) -> Result<Arc<LinkedTarget>, EngineError> {
    let stop = || cancel.is_cancelled();
    if stop() {
        return Err(EngineError::Cancelled);
    }
    let lexicons = lexicons((&memory.langs.0, &memory.langs.1), [lexicon]);
    let links = link_words(source, target, &lexicons, &stop);
    let links = links.map_err(|Cancelled| EngineError::Cancelled)?;
    let links = Arc::new(LinkedTarget::new(&links, target));
    memory.links.put((unit.id, short_revision(unit)), number, Arc::clone(&links));
    Ok(links)
}

//! Links the words of stored units to their translations, for the lookups that find them.

use std::sync::Arc;

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use crate::alignment::{Cancelled, builtin, link_words};
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
    /// Reads what the first lookup would otherwise wait for: the built-in lexicon, those of the memories, and the tables of the
    /// analysis.
    pub fn warm_up(&self) {
        // For memories that are created later.
        if let (Ok(source), Ok(target)) = ("ar".parse(), "en".parse()) {
            builtin(&source, &target);
        }
        let memories = self.catalog.page(None, usize::MAX);
        self.bulk.install(|| memories.par_iter().for_each(|memory| self.warm_up_memory(memory)));
    }

    fn warm_up_memory(&self, memory: &Memory) {
        // A unit that cannot be read is reported by the lookup that finds it.
        let Ok(page) = self.backend.store.page(memory.key, None, 1) else { return };
        let Some(unit) = page.first() else { return };
        if let UnitLinks::Unknown(lexicon, number) = self.known_links(memory, unit) {
            let source = memory.analyzers.source.analyze_segment(&unit.content.source);
            let target = memory.analyzers.target.analyze_segment(&unit.content.target);
            let texts = (&source, &target);
            let _ = find_links((memory, unit), texts, (&lexicon, number), &Cancel::default());
        }
    }

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

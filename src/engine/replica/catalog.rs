//! Publishes the memories to readers: the state of the last applied commit.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::matching::MemoryIndex;
use crate::store::{MemoryCounters, MemoryKey, MemoryRecord};
use crate::text::Analyzer;
use crate::unit::{Lang, MemoryName};

use super::encoding::Analyzers;
use super::lexicon::LexiconSlot;
use super::links::LinkCache;
use crate::engine::priority::lower_priority;

/// A memory as readers see it.
pub(crate) struct Memory {
    pub(crate) key: MemoryKey,
    pub(crate) analyzers: Analyzers,
    pub(crate) index: MemoryIndex,
    pub(crate) lexicon: LexiconSlot,
    pub(crate) links: LinkCache,
    /// Of source and target; they never change.
    pub(crate) langs: (Lang, Lang),
    record: RwLock<Arc<MemoryRecord>>,
}

impl Memory {
    pub(crate) fn new(record: MemoryRecord, index: MemoryIndex) -> Self {
        Self {
            key: record.key,
            analyzers: Analyzers {
                source: Analyzer::new(&record.source_lang),
                target: Analyzer::new(&record.target_lang),
            },
            // Merging gives way to lookups.
            index: index.at_thread_start(lower_priority),
            lexicon: LexiconSlot::default(),
            links: LinkCache::default(),
            langs: (record.source_lang.clone(), record.target_lang.clone()),
            record: RwLock::new(Arc::new(record)),
        }
    }

    /// The record as of the last applied commit.
    pub(crate) fn record(&self) -> Arc<MemoryRecord> {
        Arc::clone(&self.record.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The memories that are not deleted, by name and by key.
#[derive(Default)]
pub(crate) struct Catalog {
    memories: RwLock<Memories>,
    /// Number of searches so far.
    searches: AtomicU64,
}

#[derive(Default)]
struct Memories {
    by_name: BTreeMap<MemoryName, Arc<Memory>>,
    by_key: BTreeMap<MemoryKey, Arc<Memory>>,
}

impl Memories {
    fn insert(&mut self, memory: Memory) {
        let memory = Arc::new(memory);
        self.by_key.insert(memory.key, Arc::clone(&memory));
        self.by_name.insert(memory.record().name.clone(), memory);
    }
}

impl Catalog {
    pub(crate) fn by_name(&self, name: &MemoryName) -> Option<Arc<Memory>> {
        self.memories.read().unwrap_or_else(PoisonError::into_inner).by_name.get(name).cloned()
    }

    pub(crate) fn by_key(&self, key: MemoryKey) -> Option<Arc<Memory>> {
        self.memories.read().unwrap_or_else(PoisonError::into_inner).by_key.get(&key).cloned()
    }

    /// Memories in the order of their names, from the first one above `after`.
    pub(crate) fn page(&self, after: Option<&MemoryName>, limit: usize) -> Vec<Arc<Memory>> {
        let memories = self.memories.read().unwrap_or_else(PoisonError::into_inner);
        let above = memories.by_name.iter().filter(|(name, _)| after.is_none_or(|it| *name > it));
        above.take(limit).map(|(_, memory)| Arc::clone(memory)).collect()
    }

    /// Counts a search.
    pub(crate) fn count_search(&self) {
        self.searches.fetch_add(1, Ordering::Relaxed);
    }

    /// Number of searches so far.
    pub(crate) fn searches(&self) -> u64 {
        self.searches.load(Ordering::Relaxed)
    }

    /// Publishes a memory, or removes it if it is deleted.
    pub(crate) fn publish(&self, record: &MemoryRecord) {
        let mut memories = self.memories.write().unwrap_or_else(PoisonError::into_inner);
        if record.deleted {
            if memories.by_key.remove(&record.key).is_some() {
                memories.by_name.remove(&record.name);
            }
            return;
        }
        if let Some(memory) = memories.by_key.get(&record.key) {
            *memory.record.write().unwrap_or_else(PoisonError::into_inner) =
                Arc::new(record.clone());
            return;
        }
        memories.insert(Memory::new(record.clone(), MemoryIndex::new()));
    }

    /// Publishes the counters of a memory.
    pub(crate) fn publish_counters(&self, counters: &MemoryCounters) {
        if let Some(memory) = self.by_key(counters.key) {
            let mut record = memory.record.write().unwrap_or_else(PoisonError::into_inner);
            Arc::make_mut(&mut record).set_counters(counters);
        }
    }

    /// Publishes a memory whose index is already built.
    pub(crate) fn add(&self, memory: Memory) {
        self.memories.write().unwrap_or_else(PoisonError::into_inner).insert(memory);
    }
}

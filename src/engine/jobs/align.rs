//! Aligns documents by sentences and pairs of texts by words, with the lexicons of memories, and stores aligned sentences.

use std::ops::Range;
use std::sync::Arc;

use crate::alignment::{Bead, Cancelled, Side, Stop, WordLink, align_document, link_words};
use crate::limits::BATCH_UNITS_MAX;
use crate::store::RequestKey;
use crate::text::{Analysis, Analyzer};
use crate::unit::{CONFIDENCE_ATTRIBUTE, Context, Lang, MemoryName, Segment, UnitContent, UnitId};

use crate::engine::cancel::Cancel;
use crate::engine::commit::idempotency::fingerprint;
use crate::engine::error::EngineError;
use crate::engine::jobs::train::TrainingProgress;
use crate::engine::replica::encoding::context_hash;
use crate::engine::replica::lexicon::{TrainedLexicon, lexicons};
use crate::engine::{DuplicatePolicy, Engine, Import, ImportCounts, ImportProgress, PreparedBatch};

/// A document and its translation, as sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentPair {
    /// Language of the document.
    pub source_lang: Lang,
    /// Language of its translation.
    pub target_lang: Lang,
    /// Sentences in order.
    pub source: Vec<String>,
    /// Sentences of the translation in order.
    pub target: Vec<String>,
    /// Memories whose lexicons are used, all of these languages.
    pub memories: Vec<MemoryName>,
}

/// How beads become units.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreOptions {
    /// The memory that they are stored in.
    pub memory: MemoryName,
    /// Document name of the units.
    pub document: String,
    /// Least confidence of a bead that is stored as confirmed.
    pub min_confidence: f32,
    /// Also store the others, as unconfirmed.
    pub unconfirmed: bool,
    /// Request id chosen by the client: a repeated request changes nothing.
    pub id: RequestKey,
}

impl StoreOptions {
    /// Converts beads to units, and counts the uncertain beads; nothing is counted as stored yet.
    pub fn units(&self, pair: &DocumentPair, beads: &[Bead]) -> (StoredBeads, Vec<UnitContent>) {
        let mut stored = StoredBeads::default();
        let mut units: Vec<UnitContent> = Vec::new();
        for bead in beads.iter().filter(|it| !it.source.is_empty() && !it.target.is_empty()) {
            let is_certain = bead.confidence >= self.min_confidence;
            if !is_certain && !self.unconfirmed {
                stored.left_out += 1;
                continue;
            }
            let mut unit = pair.content(bead, self.document.clone());
            if !is_certain {
                unit.attributes.insert("status".to_owned(), "unconfirmed".to_owned());
                stored.unconfirmed += 1;
            }
            units.push(unit);
        }
        let hash =
            |unit: &UnitContent| [&unit.source, &unit.target].map(|it| context_hash(&it.text));
        let hashes: Vec<[u64; 2]> = units.iter().map(hash).collect();
        for (at, unit) in units.iter_mut().enumerate() {
            let [previous, previous_target] =
                at.checked_sub(1).map(|it| hashes[it]).map_or([None; 2], |it| it.map(Some));
            let [next, next_target] = hashes.get(at + 1).map_or([None; 2], |it| it.map(Some));
            unit.context = Context { previous, next, previous_target, next_target };
        }
        (stored, units)
    }

    /// The import that stores the beads; its identity includes the document and these options.
    fn import(&self, pair: &DocumentPair) -> Result<Import, EngineError> {
        let DocumentPair { source_lang, target_lang, source, target, memories } = pair;
        let what = (source_lang, target_lang, source, target, memories);
        let how = (&self.document, self.min_confidence.to_bits(), self.unconfirmed);
        let document = fingerprint(&(what, how));
        let document = document.map_err(|error| EngineError::Internal(error.to_string()))?;
        let import = Import::new(self.id, self.memory.clone(), DuplicatePolicy::SkipIdentical);
        Ok(Import { document: Some(document), ..import })
    }
}

/// A started import of beads, and its progress.
pub struct StoringBeads {
    import: Import,
    /// Digest of all beads.
    digest: u64,
    done: ImportProgress,
    /// Whether the stored batches come from the same beads.
    same: bool,
}

/// The result of storing beads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoredBeads {
    /// The counts of the import.
    pub counts: ImportCounts,
    /// Uncertain beads among those imported.
    pub unconfirmed: u64,
    /// Beads with both sides that were left out as uncertain.
    pub left_out: u64,
}

/// A text and its translation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextPair {
    /// The texts themselves.
    Texts(String, String),
    /// The texts of a stored unit.
    Unit(MemoryName, UnitId),
}

/// A pair of texts with its word links.
#[derive(Debug, Clone, PartialEq)]
pub struct AlignedWords {
    /// The text.
    pub source: String,
    /// Its translation.
    pub target: String,
    /// In order of the source.
    pub links: Vec<AlignedPair>,
}

/// A word and its translation.
#[derive(Debug, Clone, PartialEq)]
pub struct AlignedPair {
    /// Bytes of the source.
    pub source: Range<usize>,
    /// Bytes of the target.
    pub target: Range<usize>,
    /// Confidence, from 0 to 1.
    pub confidence: f32,
}

impl DocumentPair {
    /// Analyses both sides.
    ///
    /// # Errors
    /// [`Cancelled`] when `stop` returns `true`.
    pub fn sides(&self, stop: Stop<'_>) -> Result<(Side, Side), Cancelled> {
        let side = |sentences: &[String], lang| {
            let mut sentences = sentences.iter();
            let mut stopped = false;
            let unless_stopped = std::iter::from_fn(|| {
                stopped = stop();
                sentences.next().filter(|_| !stopped).map(String::as_str)
            });
            let side = Side::new(unless_stopped, &Analyzer::new(lang));
            if stopped { Err(Cancelled) } else { Ok(side) }
        };
        Ok((side(&self.source, &self.source_lang)?, side(&self.target, &self.target_lang)?))
    }

    /// The texts of a bead.
    pub fn texts(&self, bead: &Bead) -> (String, String) {
        let text = |sentences: &[String], range: &Range<usize>| sentences[range.clone()].join(" ");
        (text(&self.source, &bead.source), text(&self.target, &bead.target))
    }

    /// Converts a bead to the content of a unit.
    pub fn content(&self, bead: &Bead, document: String) -> UnitContent {
        let segment = |text| Segment { text, tags: Vec::new() };
        let (source, target) = self.texts(bead);
        let confidence = format!("{:.4}", bead.confidence);
        UnitContent {
            source: segment(source),
            target: segment(target),
            document,
            attributes: [(CONFIDENCE_ATTRIBUTE.to_owned(), confidence)].into(),
            ..UnitContent::default()
        }
    }
}

impl Engine {
    /// Aligns the sentences of a document, after training outdated lexicons. `training` and `aligning` receive the progress of each
    /// stage, from 0 to 1.
    ///
    /// # Errors
    /// No such memory; a memory of other languages; cancelled; the store.
    pub fn align_documents(
        &self,
        pair: &DocumentPair,
        cancel: &Cancel,
        training: TrainingProgress<'_>,
        aligning: TrainingProgress<'_>,
    ) -> Result<Vec<Bead>, EngineError> {
        let langs = (&pair.source_lang, &pair.target_lang);
        let trained = self.trained_lexicons(&pair.memories, langs, cancel, training)?;
        let lexicons = lexicons(langs, &trained);
        let stop = || cancel.is_cancelled();
        let (source, target) = pair.sides(&stop).map_err(|Cancelled| EngineError::Cancelled)?;
        self.bulk
            .install(|| align_document(&source, &target, &lexicons, &stop, &mut |it| aligning(it)))
            .map_err(|Cancelled| EngineError::Cancelled)
    }

    /// Starts storing beads: checks that they may be stored, before they are answered.
    ///
    /// # Errors
    /// No such memory; a memory of other languages; an id used before for something else, or with other beads.
    pub fn begin_storing(
        &self,
        pair: &DocumentPair,
        beads: &[Bead],
        store: &StoreOptions,
    ) -> Result<StoringBeads, EngineError> {
        self.accepts("store_in.memory", &store.memory, (&pair.source_lang, &pair.target_lang))?;
        let import = store.import(pair)?;
        let state = self.import_state(&import)?;
        let digest = fingerprint(&beads.iter().map(bead_numbers).collect::<Vec<_>>());
        // 64 bits are enough here.
        #[expect(clippy::cast_possible_truncation)]
        let digest = digest.map_err(|error| EngineError::Internal(error.to_string()))? as u64;
        let begun = state.progress.acked_through;
        let same = begun == 0 || state.last_digest() == Some(digest);
        if state.complete && !same {
            return Err(EngineError::RequestDone("store_in.request_id"));
        }
        Ok(StoringBeads { import, digest, done: state.progress(), same })
    }

    /// Checks, before the document is aligned, that the request id was not used for something else.
    ///
    /// # Errors
    /// It was; no such memory.
    pub fn check_storing(
        &self,
        pair: &DocumentPair,
        store: &StoreOptions,
    ) -> Result<(), EngineError> {
        self.import_state(&store.import(pair)?).map(drop)
    }

    /// Stores the beads of a document that have both sides.
    ///
    /// # Errors
    /// No such memory; the store.
    pub fn store_beads(
        &self,
        pair: &DocumentPair,
        beads: &[Bead],
        store: &StoreOptions,
        storing: &StoringBeads,
    ) -> Result<StoredBeads, EngineError> {
        let StoringBeads { import, digest, done, same } = storing;
        let (mut stored, units) = store.units(pair, beads);
        stored.counts = done.counts;
        if done.complete {
            return Ok(stored);
        }
        // The same beads resume after the last stored batch. Others are imported from the start; stored units are skipped as
        // duplicates.
        let skipped = if *same { done.acked_through } else { 0 };
        let mut number = done.acked_through - skipped;
        let mut units = units.into_iter().peekable();
        loop {
            number += 1;
            let batch: Vec<UnitContent> = units.by_ref().take(BATCH_UNITS_MAX).collect();
            let last = units.peek().is_none();
            if number > done.acked_through {
                let prepared = self.prepare(&store.memory, batch)?;
                let sent = prepared.len() as u64;
                let units: Vec<_> = prepared.into_iter().flatten().collect();
                let rejected = sent - units.len() as u64;
                let batch = PreparedBatch { number, units, rejected, last, digest: *digest };
                stored.counts = self.import(import, batch)?.wait()?.counts;
            }
            if last {
                return Ok(stored);
            }
        }
    }

    /// Links the words of pairs of texts.
    ///
    /// # Errors
    /// No such memory or unit; a memory of other languages; cancelled; the store.
    pub fn align_words(
        &self,
        langs: (&Lang, &Lang),
        memories: &[MemoryName],
        pairs: Vec<TextPair>,
        cancel: &Cancel,
    ) -> Result<Vec<AlignedWords>, EngineError> {
        let trained = self.trained_lexicons(memories, langs, cancel, &|_| ())?;
        let lexicons = lexicons(langs, &trained);
        let analyzers = (Analyzer::new(langs.0), Analyzer::new(langs.1));
        let mut aligned = Vec::with_capacity(pairs.len());
        for pair in pairs {
            if cancel.is_cancelled() {
                return Err(EngineError::Cancelled);
            }
            let (source, target) = match pair {
                TextPair::Texts(source, target) => (source, target),
                TextPair::Unit(memory, id) => {
                    let content = self.unit(&memory, id)?.content;
                    (content.source.text, content.target.text)
                }
            };
            let analyses = (analyzers.0.analyze(&source), analyzers.1.analyze(&target));
            let stop = || cancel.is_cancelled();
            let links = link_words(&analyses.0, &analyses.1, &lexicons, &stop);
            let links = links.map_err(|Cancelled| EngineError::Cancelled)?;
            let links = links.iter().map(|link| spans(link, &analyses.0, &analyses.1)).collect();
            aligned.push(AlignedWords { source, target, links });
        }
        Ok(aligned)
    }

    /// The lexicons of memories, trained if outdated.
    fn trained_lexicons(
        &self,
        memories: &[MemoryName],
        langs: (&Lang, &Lang),
        cancel: &Cancel,
        training: TrainingProgress<'_>,
    ) -> Result<Vec<Arc<TrainedLexicon>>, EngineError> {
        let of = |(index, name): (usize, &MemoryName)| {
            self.accepts(&format!("memories[{index}]"), name, langs)?;
            self.ensure_trained(name, cancel, training)
        };
        memories.iter().enumerate().map(of).collect()
    }

    fn accepts(
        &self,
        field: &str,
        name: &MemoryName,
        langs: (&Lang, &Lang),
    ) -> Result<(), EngineError> {
        let record = self.memory(name)?;
        if langs.0.accepts(&record.source_lang) && langs.1.accepts(&record.target_lang) {
            return Ok(());
        }
        let what = format!(
            "memory '{name}' is for {} to {}, not for {} to {}",
            record.source_lang, record.target_lang, langs.0, langs.1
        );
        Err(EngineError::invalid(field, what))
    }
}

/// The numbers that identify a bead.
fn bead_numbers(bead: &Bead) -> ([usize; 4], u32) {
    let Bead { source, target, confidence, .. } = bead;
    ([source.start, source.end, target.start, target.end], confidence.to_bits())
}

fn spans(link: &WordLink, source: &Analysis, target: &Analysis) -> AlignedPair {
    AlignedPair {
        source: source.span(&source.tokens()[link.source]),
        target: target.span(&target.tokens()[link.target]),
        confidence: link.confidence,
    }
}

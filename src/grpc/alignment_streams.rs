//! The calls of `AlignmentService` that take long: documents, lexicons, the hygiene of a memory; and links of words.
//!
//! Each runs where it may block, tells how far it is, and stops when its reader goes away.

use tonic::Status;

use crate::alignment::{Bead, pair_doubts};
use crate::engine::{
    AlignedWords, Cancel, CheckSettings, DocumentPair, Engine, EngineError, StoreOptions,
    SuspectUnit, TextPair, TrainedLexicon,
};
use crate::limits::{
    DOCUMENT_BYTES_MAX, DOCUMENT_SENTENCES_MAX, SEGMENT_BYTES_MAX, SUSPECTS_DEFAULT, SUSPECTS_MAX,
    WORD_PAIRS_MAX,
};
use crate::text::{SentenceOptions, SentenceRules};
use crate::unit::{Lang, MemoryName};

use super::alignment::at_most;
use super::convert::{CodePoints, memory_name, parse, request_id, signed, unit_name, unit_to_wire};
use super::lookups::CancelOnDrop;
use super::proto::align_documents_response::Message as AlignMessage;
use super::proto::check_units_response::Message as CheckMessage;
use super::proto::train_lexicon_response::Message as TrainMessage;
use super::proto::{
    AlignDocumentsRequest, AlignDocumentsResponse, AlignSummary, AlignWordsRequest,
    AlignWordsResponse, CheckSummary, CheckUnitsRequest, CheckUnitsResponse, DocumentSide,
    LexiconSummary, LinkedPair, SentencePage, StoreIn, TrainLexiconRequest, TrainLexiconResponse,
    WordLink, WordPair, WorkProgress, WorkStage,
};
use super::status::invalid;
use super::unit_streams::{Answers, Lifetime, Sender};
use super::{Api, proto, status};

/// Confidence of a bead that is stored as it is, when the request does not say.
const MIN_CONFIDENCE_DEFAULT: f64 = 0.5;
/// Suspicion of a unit that is listed, when the request does not say.
const MIN_SUSPICION_DEFAULT: f64 = 0.3;
/// Bytes of sentences in one message.
const PAGE_BYTES: usize = 256 * 1024;

/// A document as a request gives it.
struct Document {
    pair: DocumentPair,
    /// Which sides were split here.
    split: (bool, bool),
    store: Option<StoreOptions>,
}

impl Api {
    pub(super) fn align_documents_stream(
        &self,
        request: AlignDocumentsRequest,
    ) -> Result<Answers<AlignDocumentsResponse>, Status> {
        let bytes = |side: &Option<DocumentSide>| {
            side.iter().flat_map(|it| &it.sentences).map(String::len).sum::<usize>()
                + side.as_ref().map_or(0, |it| it.text.len())
        };
        let total = bytes(&request.source) + bytes(&request.target);
        if total > DOCUMENT_BYTES_MAX {
            let what =
                format!("{total} bytes on both sides; at most {DOCUMENT_BYTES_MAX} are taken");
            return Err(invalid("source", &what));
        }
        let store = request.store_in.map(store_in).transpose()?;
        let langs = langs(&request.source_lang, &request.target_lang)?;
        let memories = memory_names(&request.memories)?;
        let engine = self.engine()?;
        for name in memories.iter().chain(store.iter().map(|it| &it.memory)) {
            engine.memory(name).map_err(status::from_engine)?;
        }
        let (source, target) = (request.source, request.target);
        self.long_call(move |engine, cancel, answers| {
            let source = sentences("source", source, &langs.0, cancel)?;
            let target = sentences("target", target, &langs.1, cancel)?;
            let pair = DocumentPair {
                source_lang: langs.0,
                target_lang: langs.1,
                source: source.0,
                target: target.0,
                memories,
            };
            let document = Document { pair, split: (source.1, target.1), store };
            align(engine, &document, cancel, answers)
        })
    }

    pub(super) async fn link_words(
        &self,
        request: AlignWordsRequest,
    ) -> Result<AlignWordsResponse, Status> {
        if request.pairs.len() > WORD_PAIRS_MAX {
            let what = format!("{} pairs; at most {WORD_PAIRS_MAX} a call", request.pairs.len());
            return Err(invalid("pairs", &what));
        }
        let langs = langs(&request.source_lang, &request.target_lang)?;
        let memories = memory_names(&request.memories)?;
        let pairs = request.pairs.into_iter().enumerate();
        let pairs: Vec<TextPair> =
            pairs.map(|(index, pair)| text_pair(index, pair)).collect::<Result<_, _>>()?;
        let cancel = Cancel::default();
        let _stop_when_dropped = CancelOnDrop(cancel.clone());
        let linked = self
            .run(move |engine| {
                let linked = engine.align_words((&langs.0, &langs.1), &memories, pairs, &cancel)?;
                Ok(linked.into_iter().map(linked_pair).collect())
            })
            .await?;
        Ok(AlignWordsResponse { pairs: linked })
    }

    pub(super) fn train_stream(
        &self,
        request: &TrainLexiconRequest,
    ) -> Result<Answers<TrainLexiconResponse>, Status> {
        let memory = self.there("memory", &request.memory)?;
        self.long_call(move |engine, cancel, answers| {
            let told = |done| TrainLexiconResponse {
                message: Some(TrainMessage::Progress(at(WorkStage::Learning, done))),
            };
            let learning = |done| tell(answers, told(done));
            let taught = engine.train(&memory, cancel, &learning).map_err(status::from_engine)?;
            let message = TrainMessage::Lexicon(summary(&taught));
            send(answers, TrainLexiconResponse { message: Some(message) });
            Ok(())
        })
    }

    pub(super) fn check_stream(
        &self,
        request: &CheckUnitsRequest,
    ) -> Result<Answers<CheckUnitsResponse>, Status> {
        let memory = self.there("memory", &request.memory)?;
        let least = request.min_suspicion.unwrap_or(MIN_SUSPICION_DEFAULT);
        let max_units = match usize::try_from(request.max_units) {
            Ok(0) => SUSPECTS_DEFAULT,
            Ok(max) if max <= SUSPECTS_MAX => max,
            _ => {
                let what = format!("{} is not from 0 to {SUSPECTS_MAX}", request.max_units);
                return Err(invalid("max_units", &what));
            }
        };
        let settings = CheckSettings { min_suspicion: share("min_suspicion", least)?, max_units };
        self.long_call(move |engine, cancel, answers| {
            let told = |stage| {
                move |done| {
                    let message = Some(CheckMessage::Progress(at(stage, done)));
                    tell(answers, CheckUnitsResponse { message });
                }
            };
            let (learning, checking) = (told(WorkStage::Learning), told(WorkStage::Checking));
            let (suspects, checked) = engine
                .check_units(&memory, settings, cancel, &learning, &checking)
                .map_err(status::from_engine)?;
            let listed = suspects.len();
            for SuspectUnit { unit, verdict } in suspects {
                let suspect = proto::SuspectUnit {
                    unit: Some(unit_to_wire(&memory, unit)),
                    suspicion: verdict.suspicion.into(),
                    reasons: verdict.names().into_iter().map(str::to_owned).collect(),
                };
                let message = Some(CheckMessage::Suspect(suspect));
                if !send(answers, CheckUnitsResponse { message }) {
                    return Ok(());
                }
            }
            let summary =
                CheckSummary { units_checked: signed(checked), units_listed: signed(listed) };
            send(answers, CheckUnitsResponse { message: Some(CheckMessage::Summary(summary)) });
            Ok(())
        })
    }

    fn there(&self, field: &str, name: &str) -> Result<MemoryName, Status> {
        let name = memory_name(field, name)?;
        self.engine()?.memory(&name).map_err(status::from_engine)?;
        Ok(name)
    }

    /// Runs work that blocks and answers as it goes; it is cancelled when its reader goes away.
    pub(super) fn long_call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Engine, &Cancel, &Sender<T>) -> Result<(), Status> + Send + 'static,
    ) -> Result<Answers<T>, Status> {
        self.stream(Lifetime::Endless, |api, answers| async move {
            let cancel = Cancel::default();
            let _stop_when_dropped = CancelOnDrop(cancel.clone());
            tokio::task::spawn_blocking(move || work(api.engine()?, &cancel, &answers))
                .await
                .map_err(|error| status::internal(&format!("a call failed: {error}")))?
        })
    }
}

fn align(
    engine: &Engine,
    document: &Document,
    cancel: &Cancel,
    answers: &Sender<AlignDocumentsResponse>,
) -> Result<(), Status> {
    let Document { pair, split, store } = document;
    let answer = |message| AlignDocumentsResponse { message: Some(message) };
    let progress = |stage, done| tell(answers, answer(AlignMessage::Progress(at(stage, done))));
    let doubts = pair_doubts(&pair.source, &pair.target, (&pair.source_lang, &pair.target_lang));
    if let Some(fatal) = doubts.iter().find(|it| it.is_fatal()) {
        return Err(invalid("source", &fatal.to_string()));
    }
    if let Some(store) = store {
        engine.check_storing(pair, store).map_err(status::from_engine)?;
    }
    for (target, sentences, wanted) in
        [(false, &pair.source, split.0), (true, &pair.target, split.1)]
    {
        for page in pages(sentences).filter(|_| wanted) {
            let page = SentencePage { target, sentences: page.to_vec() };
            if !send(answers, answer(AlignMessage::Sentences(page))) {
                return Ok(());
            }
        }
    }
    let beads = engine
        .align_documents(pair, cancel, &|done| progress(WorkStage::Learning, done), &|done| {
            progress(WorkStage::Aligning, done);
        })
        .map_err(status::from_engine)?;
    let storing = store.as_ref().map(|store| engine.begin_storing(pair, &beads, store));
    let storing = storing.transpose().map_err(status::from_engine)?;
    for bead in &beads {
        if !send(answers, answer(AlignMessage::Bead(bead_to_wire(bead)))) {
            return Ok(());
        }
    }
    let mut summary = AlignSummary {
        source_sentences: count(pair.source.len()),
        target_sentences: count(pair.target.len()),
        beads: count(beads.len()),
        warnings: doubts.iter().map(ToString::to_string).collect(),
        ..AlignSummary::default()
    };
    if let Some((store, storing)) = store.as_ref().zip(storing) {
        progress(WorkStage::Storing, 0.0);
        let stored =
            engine.store_beads(pair, &beads, store, &storing).map_err(status::from_engine)?;
        summary.units_stored = signed(stored.counts.stored);
        summary.units_unconfirmed = signed(stored.unconfirmed);
        summary.units_duplicate = signed(stored.counts.duplicates);
        summary.units_rejected = signed(stored.counts.rejected);
        summary.beads_left_out = signed(stored.left_out);
    }
    send(answers, answer(AlignMessage::Summary(summary)));
    Ok(())
}

/// Waits until the reader has room; `false` when it is gone.
pub(super) fn send<T>(answers: &Sender<T>, message: T) -> bool {
    answers.blocking_send(Ok(message)).is_ok()
}

/// Tells how far it is, unless the reader is not even done with what it was told before.
pub(super) fn tell<T>(answers: &Sender<T>, message: T) {
    let _ = answers.try_send(Ok(message));
}

fn at(stage: WorkStage, done: f32) -> WorkProgress {
    WorkProgress { stage: stage.into(), done: done.into() }
}

fn langs(source: &str, target: &str) -> Result<(Lang, Lang), Status> {
    Ok((parse("source_lang", source)?, parse("target_lang", target)?))
}

fn memory_names(names: &[String]) -> Result<Vec<MemoryName>, Status> {
    let name = |(index, name): (usize, &String)| memory_name(&format!("memories[{index}]"), name);
    names.iter().enumerate().map(name).collect()
}

/// The sentences of a side, and whether they were split here.
fn sentences(
    field: &str,
    side: Option<DocumentSide>,
    lang: &Lang,
    cancel: &Cancel,
) -> Result<(Vec<String>, bool), Status> {
    let side = side.unwrap_or_default();
    let is_text = side.sentences.is_empty();
    if !is_text && !side.text.is_empty() {
        return Err(invalid(field, "give a text or sentences, not both"));
    }
    let sentences = if is_text {
        let options =
            SentenceOptions { wrapped_lines: side.wrapped_lines, ..SentenceOptions::default() };
        let rules = SentenceRules::new(lang);
        let found = rules.split_unless(&side.text, options, &|| cancel.is_cancelled());
        let found = found.ok_or_else(|| status::from_engine(EngineError::Cancelled))?;
        found
            .into_iter()
            .map(|it| side.text[it.text].to_owned())
            .filter(|it| !it.is_empty())
            .collect()
    } else {
        side.sentences
    };
    if sentences.len() > DOCUMENT_SENTENCES_MAX {
        let what = format!(
            "{} sentences; at most {DOCUMENT_SENTENCES_MAX} a call: align chapters or volumes one by one",
            sentences.len()
        );
        return Err(invalid(field, &what));
    }
    Ok((sentences, is_text))
}

fn store_in(store: StoreIn) -> Result<StoreOptions, Status> {
    let field = "store_in.min_confidence";
    let id = request_id("store_in.request_id", &store.request_id)?.ok_or_else(|| {
        invalid("store_in.request_id", "give a UUID, so that nothing is stored twice")
    })?;
    Ok(StoreOptions {
        memory: memory_name("store_in.memory", &store.memory)?,
        document: store.document,
        min_confidence: share(field, store.min_confidence.unwrap_or(MIN_CONFIDENCE_DEFAULT))?,
        unconfirmed: store.store_unconfirmed,
        id,
    })
}

#[expect(clippy::cast_possible_truncation)]
fn share(field: &str, value: f64) -> Result<f32, Status> {
    if (0.0..=1.0).contains(&value) {
        return Ok(value as f32);
    }
    Err(invalid(field, &format!("{value} is not from 0 to 1")))
}

fn text_pair(index: usize, pair: WordPair) -> Result<TextPair, Status> {
    if !pair.unit.is_empty() {
        let (memory, id) = unit_name(&format!("pairs[{index}].unit"), &pair.unit)?;
        return Ok(TextPair::Unit(memory, id));
    }
    at_most(&format!("pairs[{index}].source"), &pair.source, SEGMENT_BYTES_MAX)?;
    at_most(&format!("pairs[{index}].target"), &pair.target, SEGMENT_BYTES_MAX)?;
    Ok(TextPair::Texts(pair.source, pair.target))
}

fn linked_pair(pair: AlignedWords) -> LinkedPair {
    let (source, target) = (CodePoints::new(&pair.source), CodePoints::new(&pair.target));
    let links = pair.links.iter().map(|link| WordLink {
        source: Some(source.span(&link.source)),
        target: Some(target.span(&link.target)),
        confidence: link.confidence.into(),
    });
    let links = links.collect();
    LinkedPair { links, source: pair.source, target: pair.target }
}

fn summary(taught: &TrainedLexicon) -> LexiconSummary {
    let (source_terms, target_terms) = taught.terms();
    LexiconSummary {
        units: signed(taught.units),
        source_terms: signed(source_terms),
        target_terms: signed(target_terms),
    }
}

fn bead_to_wire(bead: &Bead) -> proto::Bead {
    proto::Bead {
        source_start: count(bead.source.start),
        source_end: count(bead.source.end),
        target_start: count(bead.target.start),
        target_end: count(bead.target.end),
        confidence: bead.confidence.into(),
    }
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Sentences that fit one message.
fn pages(mut sentences: &[String]) -> impl Iterator<Item = &[String]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fit = sentences.iter().take_while(|it| {
            bytes += it.len();
            bytes <= PAGE_BYTES
        });
        let (page, rest) = sentences.split_at(fit.count().max(1).min(sentences.len()));
        sentences = rest;
        (!page.is_empty()).then_some(page)
    })
}

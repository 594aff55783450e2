//! The calls of `AlignmentService` that take long: documents, lexicons, quality checks; and word links.
//!
//! Each runs on a thread that may block, reports its progress, and stops when its reader goes away.

use tonic::Status;

use crate::alignment::pair_doubts;
use crate::engine::{
    Cancel, CheckSettings, DocumentPair, Engine, EngineError, StoreOptions, TextPair,
};
use crate::limits::{
    DOCUMENT_BYTES_MAX, DOCUMENT_SENTENCES_MAX, SUSPECTS_DEFAULT, SUSPECTS_MAX, WORD_PAIRS_MAX,
};
use crate::text::{SentenceOptions, SentenceRules};
use crate::unit::{Lang, MemoryName};

use super::super::api::{Answers, Api, CancelOnDrop, Sender, report, send};
use super::super::convert::{
    FieldViolation, Within as _, count, linked_pair, memory_name, memory_names, offset_unit, parse,
    share, signed,
};
use super::super::proto::align_documents_response::Message as AlignMessage;
use super::super::proto::check_units_response::Message as CheckMessage;
use super::super::proto::train_lexicon_response::Message as TrainMessage;
use super::super::proto::{
    AlignDocumentsRequest, AlignDocumentsResponse, AlignSummary, AlignWordsRequest,
    AlignWordsResponse, CheckSummary, CheckUnitsRequest, CheckUnitsResponse, DocumentSide,
    SentencePage, TextSide, TrainLexiconRequest, TrainLexiconResponse, WorkStage,
};
use super::super::status::{self, invalid};

/// Suspicion of a unit that is listed, when the request does not say.
const MIN_SUSPICION_DEFAULT: f64 = 0.3;
/// Bytes of sentences in one message.
const PAGE_BYTES: usize = 256 * 1024;

/// A request to align whose fields are valid.
pub(super) struct AlignOrder {
    langs: (Lang, Lang),
    memories: Vec<MemoryName>,
    store: Option<StoreOptions>,
    source: Option<DocumentSide>,
    target: Option<DocumentSide>,
}

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
        let AlignOrder { langs, memories, store, source, target } = self.align_order(request)?;
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

    /// Checks the fields of a request.
    pub(super) fn align_order(&self, request: AlignDocumentsRequest) -> Result<AlignOrder, Status> {
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
        let store =
            request.store_options.map(|it| StoreOptions::try_from(it).within("store_options"));
        let store = store.transpose()?;
        let langs = langs(&request.source_language_code, &request.target_language_code)?;
        let memories = memory_names("memories", &request.memories)?;
        let engine = self.engine()?;
        for name in memories.iter().chain(store.iter().map(|it| &it.memory)) {
            engine.memory(name).map_err(status::from_engine)?;
        }
        let (source, target) = (request.source, request.target);
        Ok(AlignOrder { langs, memories, store, source, target })
    }

    pub(super) async fn link_words(
        &self,
        request: AlignWordsRequest,
    ) -> Result<AlignWordsResponse, Status> {
        if request.pairs.len() > WORD_PAIRS_MAX {
            let what = format!("{} pairs; at most {WORD_PAIRS_MAX} a call", request.pairs.len());
            return Err(invalid("pairs", &what));
        }
        let langs = langs(&request.source_language_code, &request.target_language_code)?;
        let memories = memory_names("memories", &request.memories)?;
        let offsets = offset_unit(request.offset_unit)?;
        let pairs = request.pairs.into_iter().enumerate();
        let pairs: Vec<TextPair> = pairs
            .map(|(index, pair)| TextPair::try_from(pair).within(format_args!("pairs[{index}]")))
            .collect::<Result<_, _>>()?;
        let cancel = Cancel::default();
        let _stop_when_dropped = CancelOnDrop(cancel.clone());
        let linked = self
            .run(move |engine| {
                let linked = engine.align_words((&langs.0, &langs.1), &memories, pairs, &cancel)?;
                Ok(linked.into_iter().map(|pair| linked_pair(pair, offsets)).collect())
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
            let progress = |done| TrainLexiconResponse {
                message: Some(TrainMessage::Progress((WorkStage::Training, done).into())),
            };
            let training = |done| report(answers, progress(done));
            let lexicon = engine.train(&memory, cancel, &training).map_err(status::from_engine)?;
            let message = TrainMessage::Summary((&*lexicon).into());
            send(answers, TrainLexiconResponse { message: Some(message) });
            Ok(())
        })
    }

    pub(super) fn check_stream(
        &self,
        request: &CheckUnitsRequest,
    ) -> Result<Answers<CheckUnitsResponse>, Status> {
        let (memory, settings) = self.check_order(request)?;
        self.long_call(move |engine, cancel, answers| {
            let progress = |stage| {
                move |done| {
                    let message = Some(CheckMessage::Progress((stage, done).into()));
                    report(answers, CheckUnitsResponse { message });
                }
            };
            let (training, checking) =
                (progress(WorkStage::Training), progress(WorkStage::Checking));
            let (suspects, checked) = engine
                .check_units(&memory, settings, cancel, &training, &checking)
                .map_err(status::from_engine)?;
            let listed = suspects.len();
            for suspect in suspects {
                let message = Some(CheckMessage::Suspect((&memory, suspect).into()));
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

    /// Checks the fields of a request.
    pub(super) fn check_order(
        &self,
        request: &CheckUnitsRequest,
    ) -> Result<(MemoryName, CheckSettings), Status> {
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
        Ok((memory, settings))
    }

    pub(super) fn there(&self, field: &str, name: &str) -> Result<MemoryName, Status> {
        let name = memory_name(field, name)?;
        self.engine()?.memory(&name).map_err(status::from_engine)?;
        Ok(name)
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
    let progress =
        |stage, done| report(answers, answer(AlignMessage::Progress((stage, done).into())));
    let doubts = pair_doubts(&pair.source, &pair.target, (&pair.source_lang, &pair.target_lang));
    if let Some(fatal) = doubts.iter().find(|it| it.is_fatal()) {
        return Err(invalid("source", &fatal.to_string()));
    }
    if let Some(store) = store {
        engine.check_storing(pair, store).map_err(status::from_engine)?;
    }
    for (side, sentences, wanted) in
        [(TextSide::Source, &pair.source, split.0), (TextSide::Target, &pair.target, split.1)]
    {
        for page in pages(sentences).filter(|_| wanted) {
            let page = SentencePage { side: side.into(), sentences: page.to_vec() };
            if !send(answers, answer(AlignMessage::Sentences(page))) {
                return Ok(());
            }
        }
    }
    let beads = engine
        .align_documents(pair, cancel, &|done| progress(WorkStage::Training, done), &|done| {
            progress(WorkStage::Aligning, done);
        })
        .map_err(status::from_engine)?;
    let storing = store.as_ref().map(|store| engine.begin_storing(pair, &beads, store));
    let storing = storing.transpose().map_err(status::from_engine)?;
    for bead in &beads {
        if !send(answers, answer(AlignMessage::Bead(bead.into()))) {
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

fn langs(source: &str, target: &str) -> Result<(Lang, Lang), FieldViolation> {
    Ok((parse("source_lang", source)?, parse("target_lang", target)?))
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

//! The calls of `AlignmentService`.

use tonic::{Request, Response, Status};

use crate::engine::{Cancel, EngineError};
use crate::limits::{DOCUMENT_BYTES_MAX, SENTENCE_RULES_BYTES_MAX};
use crate::text::{SentenceOptions, SentenceRules};
use crate::unit::{OffsetUnit, TextOffsets};

use super::super::api::Answers;
use super::super::api::Api;
use super::super::api::CancelOnDrop;
use super::super::convert::{at_most, offset_unit, parse, span_to_wire};
use super::super::proto::alignment_service_server::AlignmentService;
use super::super::proto::{
    AlignDocumentsRequest, AlignDocumentsResponse, AlignWordsRequest, AlignWordsResponse,
    CheckUnitsRequest, CheckUnitsResponse, Sentence, SplitSentencesRequest, SplitSentencesResponse,
    TrainLexiconRequest, TrainLexiconResponse,
};
use super::super::status::{from_engine, internal, invalid};

#[tonic::async_trait]
impl AlignmentService for Api {
    async fn split_sentences(
        &self,
        request: Request<SplitSentencesRequest>,
    ) -> Result<Response<SplitSentencesResponse>, Status> {
        let request = request.into_inner();
        at_most("text", &request.text, DOCUMENT_BYTES_MAX)?;
        at_most("extra_rules", &request.extra_rules, SENTENCE_RULES_BYTES_MAX)?;
        let mut rules = SentenceRules::new(&parse("language_code", &request.language_code)?);
        rules
            .add(&request.extra_rules)
            .map_err(|error| invalid("extra_rules", &error.to_string()))?;
        let options = SentenceOptions {
            semicolons: request.semicolons,
            wrapped_lines: request.wrapped_lines,
        };
        let offsets = offset_unit(request.offset_unit)?;
        let cancel = Cancel::default();
        let _stop_when_dropped = CancelOnDrop(cancel.clone());
        // A book takes a tenth of a second: not on a thread that others wait for.
        tokio::task::spawn_blocking(move || {
            split((&request.text, offsets), &rules, options, &cancel)
        })
        .await
        .map_err(|error| internal(&format!("a call failed: {error}")))?
        .map(Response::new)
        .map_err(from_engine)
    }

    type AlignDocumentsStream = Answers<AlignDocumentsResponse>;

    async fn align_documents(
        &self,
        request: Request<AlignDocumentsRequest>,
    ) -> Result<Response<Self::AlignDocumentsStream>, Status> {
        self.align_documents_stream(request.into_inner()).map(Response::new)
    }

    async fn align_words(
        &self,
        request: Request<AlignWordsRequest>,
    ) -> Result<Response<AlignWordsResponse>, Status> {
        self.link_words(request.into_inner()).await.map(Response::new)
    }

    type TrainLexiconStream = Answers<TrainLexiconResponse>;

    async fn train_lexicon(
        &self,
        request: Request<TrainLexiconRequest>,
    ) -> Result<Response<Self::TrainLexiconStream>, Status> {
        self.train_stream(&request.into_inner()).map(Response::new)
    }

    type CheckUnitsStream = Answers<CheckUnitsResponse>;

    async fn check_units(
        &self,
        request: Request<CheckUnitsRequest>,
    ) -> Result<Response<Self::CheckUnitsStream>, Status> {
        self.check_stream(&request.into_inner()).map(Response::new)
    }
}

fn split(
    (text, unit): (&str, OffsetUnit),
    rules: &SentenceRules,
    options: SentenceOptions,
    cancel: &Cancel,
) -> Result<SplitSentencesResponse, EngineError> {
    let sentences = rules.split_unless(text, options, &|| cancel.is_cancelled());
    let sentences = sentences.ok_or(EngineError::Cancelled)?;
    let offsets = TextOffsets::new(text, unit);
    let sentences = sentences.into_iter().map(|sentence| Sentence {
        span: Some(span_to_wire(&offsets, &sentence.text)),
        piece: Some(span_to_wire(&offsets, &sentence.piece)),
        text: text[sentence.text].to_owned(),
    });
    Ok(SplitSentencesResponse { sentences: sentences.collect() })
}

//! The calls of `AlignmentService`.

use tonic::{Request, Response, Status};

use crate::engine::{Cancel, EngineError};
use crate::limits::{DOCUMENT_BYTES_MAX, SENTENCE_RULES_BYTES_MAX};
use crate::text::{SentenceOptions, SentenceRules};

use super::Api;
use super::convert::parse;
use super::lookups::CancelOnDrop;
use super::proto::alignment_service_server::AlignmentService;
use super::proto::{
    AlignDocumentsRequest, AlignDocumentsResponse, AlignWordsRequest, AlignWordsResponse,
    CheckUnitsRequest, CheckUnitsResponse, Sentence, Span, SplitSentencesRequest,
    SplitSentencesResponse, TrainLexiconRequest, TrainLexiconResponse,
};
use super::status::{from_engine, internal, invalid};
use super::unit_streams::Answers;

#[tonic::async_trait]
impl AlignmentService for Api {
    async fn split_sentences(
        &self,
        request: Request<SplitSentencesRequest>,
    ) -> Result<Response<SplitSentencesResponse>, Status> {
        let request = request.into_inner();
        at_most("text", &request.text, DOCUMENT_BYTES_MAX)?;
        at_most("extra_rules", &request.extra_rules, SENTENCE_RULES_BYTES_MAX)?;
        let mut rules = SentenceRules::new(&parse("lang", &request.lang)?);
        rules
            .add(&request.extra_rules)
            .map_err(|error| invalid("extra_rules", &error.to_string()))?;
        let options = SentenceOptions {
            semicolons: request.semicolons,
            wrapped_lines: request.wrapped_lines,
        };
        let cancel = Cancel::default();
        let _stop_when_dropped = CancelOnDrop(cancel.clone());
        // A book takes a tenth of a second: not on a thread that others wait for.
        tokio::task::spawn_blocking(move || split(&request.text, &rules, options, &cancel))
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
    text: &str,
    rules: &SentenceRules,
    options: SentenceOptions,
    cancel: &Cancel,
) -> Result<SplitSentencesResponse, EngineError> {
    let sentences = rules.split_unless(text, options, &|| cancel.is_cancelled());
    let sentences = sentences.ok_or(EngineError::Cancelled)?;
    let mut counted = CodePoints { text, bytes: 0, points: 0 };
    let sentences = sentences.into_iter().map(|sentence| {
        // In the order in which they stand in the text, so that each is counted once.
        let piece_start = counted.at(sentence.piece.start);
        let start = counted.at(sentence.text.start);
        let end = counted.at(sentence.text.end);
        let piece_end = counted.at(sentence.piece.end);
        Sentence {
            text: text[sentence.text].to_owned(),
            span: Some(Span { start, end }),
            piece: Some(Span { start: piece_start, end: piece_end }),
        }
    });
    Ok(SplitSentencesResponse { sentences: sentences.collect() })
}

pub(super) fn at_most(field: &str, text: &str, bytes_max: usize) -> Result<(), Status> {
    if text.len() <= bytes_max {
        return Ok(());
    }
    Err(invalid(field, &format!("{} bytes; at most {bytes_max} are taken", text.len())))
}

/// Counts code points through a text, from one byte to a later one.
struct CodePoints<'a> {
    text: &'a str,
    bytes: usize,
    points: usize,
}

impl CodePoints<'_> {
    fn at(&mut self, bytes: usize) -> i32 {
        self.points += self.text.get(self.bytes..bytes).map_or(0, |passed| passed.chars().count());
        self.bytes = self.bytes.max(bytes);
        i32::try_from(self.points).unwrap_or(i32::MAX)
    }
}

//! The calls of `ServerService`.

use tonic::{Request, Response, Status};

use crate::formats::Format;
use crate::limits::{
    BATCH_UNITS_MAX, LOOKUP_MATCHES_MAX, LOOKUP_MEMORIES_MAX, LOOKUP_SEGMENTS_MAX,
    MESSAGE_BYTES_MAX, PAGE_SIZE_MAX, SEGMENT_BYTES_MAX, SEGMENT_TAGS_MAX, UNIT_ATTRIBUTES_MAX,
};
use crate::matching::SCORE_VERSION;
use crate::text::{LanguageKnowledge, TEXT_VERSION, known_languages};

use super::super::api::Api;
use super::super::convert::{count, signed};
use super::super::proto::server_service_server::ServerService;
use super::super::proto::{
    GetServerInfoRequest, GetServerInfoResponse, LanguageSupport, ServerLimits,
};

/// What clients may rely on, as the protocol documents it.
const CAPABILITIES: [&str; 8] = [
    "batch-writes",
    "context-matches",
    "field-masks",
    "history",
    "matching-writes",
    "offset-units",
    "penalties",
    "usage",
];

#[tonic::async_trait]
impl ServerService for Api {
    async fn get_server_info(
        &self,
        _: Request<GetServerInfoRequest>,
    ) -> Result<Response<GetServerInfoResponse>, Status> {
        let mut capabilities = CAPABILITIES.map(str::to_owned).to_vec();
        if self.kept().is_ok() {
            capabilities.push("operations".to_owned());
            capabilities.sort();
        }
        Ok(Response::new(GetServerInfoResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api_version: "v1".to_owned(),
            score_version: i32::try_from(SCORE_VERSION).unwrap_or(i32::MAX),
            text_version: i32::try_from(TEXT_VERSION).unwrap_or(i32::MAX),
            capabilities,
            limits: Some(limits()),
            languages: known_languages().into_iter().map(Into::into).collect(),
            import_formats: formats(),
        }))
    }
}

fn limits() -> ServerLimits {
    ServerLimits {
        segment_bytes: signed(SEGMENT_BYTES_MAX),
        request_bytes: signed(MESSAGE_BYTES_MAX),
        batch_units: count(BATCH_UNITS_MAX),
        lookup_segments: count(LOOKUP_SEGMENTS_MAX),
        lookup_memories: count(LOOKUP_MEMORIES_MAX),
        lookup_matches: count(LOOKUP_MATCHES_MAX),
        page_size: count(PAGE_SIZE_MAX),
        segment_tags: count(SEGMENT_TAGS_MAX),
        unit_attributes: count(UNIT_ATTRIBUTES_MAX),
    }
}

/// The formats of single files; a pair of files cannot be sent with one call.
fn formats() -> Vec<String> {
    Format::all().filter(|it| *it != Format::Moses).map(|it| it.name().to_owned()).collect()
}

impl From<LanguageKnowledge> for LanguageSupport {
    fn from(language: LanguageKnowledge) -> Self {
        Self {
            language_code: language.code.to_owned(),
            stems: language.stems,
            sentence_rules: language.sentence_rules,
            numerals: language.numerals,
        }
    }
}

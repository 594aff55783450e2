//! `SearchConcordance`, and its messages for the client.

use tonic::Status;

use crate::engine::{Cancel, ConcordancePage, ConcordancePlace, ConcordanceSettings, Engine};
use crate::limits::LOOKUP_MEMORIES_MAX;
use crate::matching::{ConcordanceMode, Place, Side, WordForm};
use crate::unit::{MemoryName, Unit, UnitId};

use super::convert::{
    CodePoints, memory_name, page_size, span_info, stored_unit, unit_filter, unit_filter_to_wire,
    unit_name, unit_to_wire,
};
use super::lookups::CancelOnDrop;
use super::page_token::PageToken;
use super::proto::{ConcordanceHit, SearchConcordanceRequest, SearchConcordanceResponse, TextSide};
use super::status::invalid;
use super::{Api, proto, status};

/// A unit in which an expression stands.
#[derive(Debug, Clone, PartialEq)]
pub struct PassageInfo {
    /// In which memory.
    pub memory: MemoryName,
    /// The unit.
    pub unit: Unit,
    /// Where, in code points of the text that was searched, end exclusive.
    pub highlights: Vec<(usize, usize)>,
}

impl Api {
    pub(crate) async fn concordance(
        &self,
        request: SearchConcordanceRequest,
    ) -> Result<SearchConcordanceResponse, Status> {
        let settings = settings(&request)?;
        let limit = page_size(request.page_size)?;
        let engine = self.engine()?;
        let (secret, listing) = (*engine.secret(), listing(engine, &settings)?);
        let after = PageToken::parse("page_token", &request.page_token, &secret, &listing)?
            .map(|token| place(token.position()))
            .transpose()?;
        let side = settings.side;
        let cancel = Cancel::default();
        let _stop_when_dropped = CancelOnDrop(cancel.clone());
        let search =
            |engine: &Engine, time: &Cancel| engine.concordance(&settings, after, limit, time);
        let page = match self.run_short(search)? {
            Some(page) => page,
            None => {
                self.run(move |engine| engine.concordance(&settings, after, limit, &cancel)).await?
            }
        };
        Ok(response(page, side, |position| PageToken::new(position).to_text(&secret, &listing)))
    }
}

fn settings(request: &SearchConcordanceRequest) -> Result<ConcordanceSettings, Status> {
    if request.memories.len() > LOOKUP_MEMORIES_MAX {
        let what = format!("at most {LOOKUP_MEMORIES_MAX} memories in one call");
        return Err(invalid("memories", &what));
    }
    let unknown = |field: &str, number: i32| invalid(field, &format!("there is no value {number}"));
    let memories = request.memories.iter().enumerate();
    Ok(ConcordanceSettings {
        memories: memories
            .map(|(index, name)| memory_name(&format!("memories[{index}]"), name))
            .collect::<Result<_, _>>()?,
        text: request.text.clone(),
        side: match TextSide::try_from(request.side) {
            Ok(TextSide::Unspecified | TextSide::Source) => Side::Source,
            Ok(TextSide::Target) => Side::Target,
            Err(_) => return Err(unknown("side", request.side)),
        },
        mode: match proto::ConcordanceMode::try_from(request.mode) {
            Ok(proto::ConcordanceMode::Unspecified | proto::ConcordanceMode::Phrase) => {
                ConcordanceMode::Phrase
            }
            Ok(proto::ConcordanceMode::Words) => ConcordanceMode::Words,
            Ok(proto::ConcordanceMode::Prefix) => ConcordanceMode::Prefix,
            Err(_) => return Err(unknown("mode", request.mode)),
        },
        word_form: match proto::WordForm::try_from(request.word_form) {
            Ok(proto::WordForm::Unspecified | proto::WordForm::Folded) => WordForm::Folded,
            Ok(proto::WordForm::Class) => WordForm::Class,
            Err(_) => return Err(unknown("word_form", request.word_form)),
        },
        filter: unit_filter("filter", request.filter.clone())?,
    })
}

/// A page token goes with the very same question, put to the very same memories.
fn listing(engine: &Engine, settings: &ConcordanceSettings) -> Result<String, Status> {
    let keys = settings.memories.iter().map(|name| engine.memory_key(name));
    let keys: Vec<_> = keys.collect::<Result<_, _>>().map_err(status::from_engine)?;
    Ok(format!("concordance {keys:?} {settings:?}"))
}

fn response(
    page: ConcordancePage,
    side: Side,
    token: impl Fn(&[u8]) -> String,
) -> SearchConcordanceResponse {
    let hits = page.passages.into_iter().map(|passage| {
        let content = &passage.unit.content;
        let text = match side {
            Side::Source => &content.source.text,
            Side::Target => &content.target.text,
        };
        let points = CodePoints::new(text);
        let highlights = passage.highlights.iter().map(|bytes| points.span(bytes)).collect();
        ConcordanceHit { highlights, unit: Some(unit_to_wire(&passage.memory, passage.unit)) }
    });
    SearchConcordanceResponse {
        hits: hits.collect(),
        next_page_token: page.next.map_or_else(String::new, |next| token(&position(next))),
    }
}

/// The place as the bytes of a page token.
fn position(place: ConcordancePlace) -> Vec<u8> {
    let memory = u32::try_from(place.memory).unwrap_or(u32::MAX);
    let mut bytes = memory.to_be_bytes().to_vec();
    bytes.extend_from_slice(&place.place.source_tokens.to_be_bytes());
    bytes.extend_from_slice(&place.place.unit.0.to_be_bytes());
    bytes
}

fn place(position: &[u8]) -> Result<ConcordancePlace, Status> {
    let read = || {
        let (memory, rest) = position.split_first_chunk::<4>()?;
        let (tokens, rest) = rest.split_first_chunk::<4>()?;
        let unit = rest.try_into().ok()?;
        let place = Place {
            source_tokens: u32::from_be_bytes(*tokens),
            unit: UnitId(u64::from_be_bytes(unit)),
        };
        Some(ConcordancePlace { memory: u32::from_be_bytes(*memory) as usize, place })
    };
    read().ok_or_else(|| invalid("page_token", "not a token of this listing"))
}

/// A question for the server.
pub(crate) fn request(
    settings: &ConcordanceSettings,
    page_size: usize,
    page_token: String,
) -> SearchConcordanceRequest {
    SearchConcordanceRequest {
        memories: settings.memories.iter().map(MemoryName::resource).collect(),
        text: settings.text.clone(),
        side: match settings.side {
            Side::Source => TextSide::Source,
            Side::Target => TextSide::Target,
        }
        .into(),
        mode: match settings.mode {
            ConcordanceMode::Words => proto::ConcordanceMode::Words,
            ConcordanceMode::Phrase => proto::ConcordanceMode::Phrase,
            ConcordanceMode::Prefix => proto::ConcordanceMode::Prefix,
        }
        .into(),
        word_form: match settings.word_form {
            WordForm::Folded => proto::WordForm::Folded,
            WordForm::Class => proto::WordForm::Class,
        }
        .into(),
        filter: Some(unit_filter_to_wire(&settings.filter)),
        page_size: i32::try_from(page_size).unwrap_or(i32::MAX),
        page_token,
    }
}

/// A hit as another process of this program gave it out.
pub(crate) fn passage_info(hit: proto::ConcordanceHit) -> Result<PassageInfo, Status> {
    let unit = hit.unit.unwrap_or_default();
    let (memory, _) = unit_name("hit.unit.name", &unit.name)?;
    let highlights = hit.highlights.into_iter().map(|it| span_info(Some(it))).collect();
    Ok(PassageInfo { memory, unit: stored_unit(unit)?, highlights })
}

//! `SearchConcordance`: the units in which an expression occurs, in pages.

use tonic::Status;

use crate::engine::{Cancel, ConcordancePage, ConcordancePlace, ConcordanceSettings, Engine};
use crate::matching::Place;
use crate::unit::UnitId;

use super::super::api::{Api, CancelOnDrop};
use super::super::convert::{HitView, PageToken, page_size};
use super::super::proto::{SearchConcordanceRequest, SearchConcordanceResponse};
use super::super::status::{self, invalid};

impl Api {
    pub(super) async fn concordance(
        &self,
        request: SearchConcordanceRequest,
    ) -> Result<SearchConcordanceResponse, Status> {
        let settings = ConcordanceSettings::try_from(&request)?;
        let limit = page_size(request.page_size)?;
        let engine = self.engine()?;
        let (secret, listing) = (*engine.secret(), listing(engine, &settings)?);
        let after = PageToken::parse("page_token", &request.page_token, &secret, &listing)?
            .map(|token| place(token.position()))
            .transpose()?;
        let view = HitView::new(settings.side, request.offset_unit, request.read_mask)?;
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
        Ok(response(page, &view, |position| PageToken::new(position).to_text(&secret, &listing)))
    }
}

/// A page token goes with the very same question, put to the very same memories.
fn listing(engine: &Engine, settings: &ConcordanceSettings) -> Result<String, Status> {
    let keys = settings.memories.iter().map(|name| engine.memory_key(name));
    let keys: Vec<_> = keys.collect::<Result<_, _>>().map_err(status::from_engine)?;
    Ok(format!("concordance {keys:?} {settings:?}"))
}

fn response(
    page: ConcordancePage,
    view: &HitView,
    token: impl Fn(&[u8]) -> String,
) -> SearchConcordanceResponse {
    let hits = page.passages.into_iter().map(|passage| view.hit(passage));
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

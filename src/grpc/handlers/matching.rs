//! `UpdateMatchingUnits` and `DeleteMatchingUnits`: a count with a confirmation token first, then the change.

use tonic::Status;

use crate::engine::{Cancel, Engine, MatchingChange, MatchingResult, UnitFilter, UnitPatch, now};
use crate::unit::OffsetUnit;

use super::super::api::{Api, CancelOnDrop};
use super::super::convert::{
    Confirmable, UnitView, Within as _, memory_name, request_id, signed, unit_patch,
};
use super::super::proto;
use super::super::proto::{
    DeleteMatchingUnitsRequest, DeleteMatchingUnitsResponse, UpdateMatchingUnitsRequest,
    UpdateMatchingUnitsResponse,
};
use super::super::status::{self, invalid};

/// Fields that may be changed in all units that match.
const FIELDS: [&str; 4] = ["context", "document", "author", "attributes"];

/// What both calls say.
struct Call {
    parent: String,
    filter: Option<proto::UnitFilter>,
    token: String,
    request_id: String,
}

enum Answer {
    Counted { count: u64, sample: Vec<proto::Unit>, token: String },
    Changed(MatchingResult),
}

impl Api {
    pub(super) async fn delete_matching(
        &self,
        request: DeleteMatchingUnitsRequest,
    ) -> Result<DeleteMatchingUnitsResponse, Status> {
        let DeleteMatchingUnitsRequest { parent, filter, confirmation_token, request_id } = request;
        let call = Call { parent, filter, token: confirmation_token, request_id };
        Ok(match self.change_matching(call, MatchingChange::Delete).await? {
            Answer::Counted { count, sample, token } => DeleteMatchingUnitsResponse {
                matching_count: signed(count),
                sample,
                confirmation_token: token,
                deleted_count: 0,
            },
            Answer::Changed(done) => DeleteMatchingUnitsResponse {
                matching_count: signed(done.matching),
                deleted_count: signed(done.changed),
                ..DeleteMatchingUnitsResponse::default()
            },
        })
    }

    pub(super) async fn update_matching(
        &self,
        request: UpdateMatchingUnitsRequest,
    ) -> Result<UpdateMatchingUnitsResponse, Status> {
        let patch = matching_patch(request.unit, request.update_mask)?;
        let call = Call {
            parent: request.parent,
            filter: request.filter,
            token: request.confirmation_token,
            request_id: request.request_id,
        };
        Ok(match self.change_matching(call, MatchingChange::Update(Box::new(patch))).await? {
            Answer::Counted { count, sample, token } => UpdateMatchingUnitsResponse {
                matching_count: signed(count),
                sample,
                confirmation_token: token,
                changed_count: 0,
            },
            Answer::Changed(done) => UpdateMatchingUnitsResponse {
                matching_count: signed(done.matching),
                changed_count: signed(done.changed),
                ..UpdateMatchingUnitsResponse::default()
            },
        })
    }

    async fn change_matching(&self, call: Call, change: MatchingChange) -> Result<Answer, Status> {
        let memory = memory_name("parent", &call.parent)?;
        let filter = UnitFilter::try_from(call.filter.unwrap_or_default()).within("filter")?;
        if filter == UnitFilter::default() {
            let what = "it must not be empty; to empty a memory, delete it";
            return Err(invalid("filter", what));
        }
        let id = request_id("request_id", &call.request_id)?;
        let engine = self.engine()?;
        let key = engine.memory_key(&memory).map_err(status::from_engine)?;
        let confirmable = Confirmable::new(*engine.secret(), key, &filter, &change);
        let confirmation = confirmable.confirmation(&call.token, id)?;
        if confirmation.is_none() && id.is_some() {
            let what =
                "without a confirmation token nothing is changed, so there is nothing to repeat";
            return Err(invalid("request_id", what));
        }
        let cancel = Cancel::default();
        let _stop_when_dropped = CancelOnDrop(cancel.clone());
        self.run(move |engine: &Engine| {
            if let Some(confirmation) = confirmation {
                let done =
                    engine.change_matching(&memory, &filter, &change, &confirmation, &cancel)?;
                Ok(Answer::Changed(done))
            } else {
                let counted = engine.count_matching(&memory, &filter, &change, &cancel)?;
                let token = confirmable.token(&counted, now());
                let sample = UnitView::default().units(&memory, counted.sample);
                Ok(Answer::Counted { count: counted.count, sample, token })
            }
        })
        .await
    }
}

/// The change of all units that match, which names neither texts nor times nor a unit.
fn matching_patch(
    unit: Option<proto::Unit>,
    mask: Option<prost_types::FieldMask>,
) -> Result<UnitPatch, Status> {
    let unit = unit.ok_or_else(|| invalid("unit", "say what to change"))?;
    if !unit.name.is_empty() || !unit.etag.is_empty() {
        let what = "name and etag are of one unit; the filter says which units to change";
        return Err(invalid("unit.name", what));
    }
    let paths = mask.iter().flat_map(|mask| &mask.paths);
    if paths.clone().next().is_none() {
        return Err(invalid("update_mask", "name the fields to change"));
    }
    for path in paths {
        if !FIELDS.contains(&path.as_str()) && !path.starts_with("attributes.") {
            let fields = FIELDS.join(", ");
            let what =
                format!("'{path}' cannot be changed by a filter; {fields} and attributes.KEY can");
            return Err(invalid("update_mask", &what));
        }
    }
    Ok(unit_patch(unit, mask, OffsetUnit::default())?)
}

//! `ExtractUnits`: every unit that matches any segment of a job.

use prost::Message as _;
use tokio_stream::StreamExt as _;
use tonic::{Status, Streaming};

use crate::engine::{Cancel, Engine, EngineError, Extraction, QuerySegment};
use crate::limits::{EXPORT_PAGE_UNITS, LOOKUP_SEGMENTS_MAX, MESSAGE_BYTES_MAX};
use crate::unit::OffsetUnit;

use super::super::api::{Api, CancelOnDrop, Sender, report};
use super::super::convert::{UnitView, Within as _, extracted_to_wire, query_segment};
use super::super::proto::extract_units_request::Message;
use super::super::proto::{ExtractUnitsRequest, ExtractUnitsResponse, JobSegments, LookupSettings};
use super::super::status::invalid;

pub(super) async fn extract(
    api: Api,
    mut requests: Streaming<ExtractUnitsRequest>,
    answers: Sender<ExtractUnitsResponse>,
) -> Result<(), Status> {
    let first = requests.next().await.transpose()?.and_then(|it| it.message);
    let Some(Message::Settings(settings)) = first else {
        return Err(invalid("message", "an extraction begins with its settings"));
    };
    let view = UnitView::whole(settings.offset_unit).within("settings")?;
    let settings = LookupSettings { max_matches: 0, read_mask: None, ..settings };
    let (settings, _) = api.settings(Some(settings))?;
    let mut job = api.run(move |engine| Extraction::new(engine, settings)).await?;
    let cancel = Cancel::default();
    let _stop_when_dropped = CancelOnDrop(cancel.clone());
    while let Some(request) = requests.next().await.transpose()? {
        let Some(Message::Segments(segments)) = request.message else {
            return Err(invalid("message", "after the settings every message holds segments"));
        };
        let segments = segments_of(segments, view.offsets())?;
        let cancel = cancel.clone();
        let step = move |engine: &Engine| {
            job.add(engine, &segments, &cancel).map_err(in_message)?;
            Ok(job)
        };
        job = api.run(step).await?;
        let counts = Some(job.counts().into());
        report(&answers, ExtractUnitsResponse { units: Vec::new(), counts });
    }
    send_units(&api, job, &view, &answers).await
}

/// Bytes of units in one message after which it is sent. With the largest unit it is still below our limit, and with most units below
/// the 4 MiB that gRPC clients take by default.
const MESSAGE_BYTES: usize = MESSAGE_BYTES_MAX / 8;

/// Sends the units, and the final counts.
async fn send_units(
    api: &Api,
    mut job: Extraction,
    view: &UnitView,
    answers: &Sender<ExtractUnitsResponse>,
) -> Result<(), Status> {
    let mut counts = job.counts();
    counts.units = 0;
    let (mut units, mut bytes) = (Vec::new(), 0);
    loop {
        let next = move |engine: &Engine| Ok((job.page(engine, EXPORT_PAGE_UNITS)?, job));
        let (page, rest) = api.run(next).await?;
        job = rest;
        let is_last = page.is_none();
        for found in page.into_iter().flatten() {
            counts.units += 1;
            let unit = extracted_to_wire(view, found);
            bytes += unit.encoded_len();
            units.push(unit);
            if bytes >= MESSAGE_BYTES {
                bytes = 0;
                let some = ExtractUnitsResponse { units: std::mem::take(&mut units), counts: None };
                if answers.send(Ok(some)).await.is_err() {
                    return Ok(());
                }
            }
        }
        let counts = is_last.then(|| counts.into());
        bytes = 0;
        let rest = ExtractUnitsResponse { units: std::mem::take(&mut units), counts };
        if answers.send(Ok(rest)).await.is_err() || is_last {
            return Ok(());
        }
    }
}

/// The error of the engine about a list of segments, as one about a message that holds them.
fn in_message(error: EngineError) -> EngineError {
    match error {
        EngineError::InvalidArgument { field, message } if field.starts_with("segments[") => {
            EngineError::InvalidArgument { field: format!("segments.{field}"), message }
        }
        error => error,
    }
}

fn segments_of(
    JobSegments { segments }: JobSegments,
    offsets: OffsetUnit,
) -> Result<Vec<QuerySegment>, Status> {
    if segments.len() > LOOKUP_SEGMENTS_MAX {
        let what = format!("{} segments; at most {LOOKUP_SEGMENTS_MAX} a message", segments.len());
        return Err(invalid("segments.segments", &what));
    }
    let segments = segments.into_iter().enumerate().map(|(index, query)| {
        Ok(query_segment(query, offsets).within(format_args!("segments.segments[{index}]"))?)
    });
    segments.collect()
}

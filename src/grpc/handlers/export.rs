//! `ExportUnits`: the units of a memory in pages.

use std::sync::Arc;

use tonic::Status;

use crate::engine::{Cancel, Engine, ExportQuery};
use crate::limits::{EXPORT_PAGE_UNITS, LOAD_PAGE_UNITS};
use crate::unit::{MemoryName, Unit, UnitId};

use super::super::api::{Answers, Api, CancelOnDrop, Lifetime, Sender};
use super::super::convert::UnitView;
use super::super::proto::ExportUnitsResponse;
use super::listing::UnitListing;

impl Api {
    pub(super) fn export_stream(
        &self,
        from: (MemoryName, ExportQuery, Option<UnitId>),
        listing: UnitListing,
        view: UnitView,
    ) -> Result<Answers<ExportUnitsResponse>, Status> {
        self.stream(Lifetime::UntilDone, |api, answers| {
            let to_answer =
                move |memory: &MemoryName, units: Vec<Unit>, last| ExportUnitsResponse {
                    units: view.units(memory, units),
                    cursor: listing.cursor(last),
                };
            export(api, from, EXPORT_PAGE_UNITS, answers, to_answer)
        })
    }

    /// The same pages for a client in this process, which needs no messages.
    pub(crate) fn export_units(
        &self,
        memory: MemoryName,
        wanted: ExportQuery,
    ) -> Result<Answers<Vec<Unit>>, Status> {
        self.stream(Lifetime::UntilDone, |api, answers| {
            export(api, (memory, wanted, None), LOAD_PAGE_UNITS, answers, |_, units, _| units)
        })
    }
}

/// Sends the pages of an export; `to_answer` receives the units of a page and the last of their numbers.
async fn export<T: Send + 'static>(
    api: Api,
    (memory, wanted, after): (MemoryName, ExportQuery, Option<UnitId>),
    page_units: usize,
    answers: Sender<T>,
    to_answer: impl Fn(&MemoryName, Vec<Unit>, UnitId) -> T + Send + Sync + 'static,
) -> Result<(), Status> {
    let to_answer = Arc::new(to_answer);
    let cancel = Cancel::default();
    let _stop_when_dropped = CancelOnDrop(cancel.clone());
    let name = memory.clone();
    let begin = move |engine: &Engine| engine.export(&name, wanted, after, &cancel);
    let mut export = api.run(begin).await?;
    loop {
        let (name, to_answer) = (memory.clone(), Arc::clone(&to_answer));
        let next = move |engine: &Engine| {
            let page = engine.export_page(&mut export, page_units)?;
            let answer =
                page.zip(export.after()).map(|(units, last)| to_answer(&name, units, last));
            Ok((export, answer))
        };
        let (rest, answer) = api.run(next).await?;
        export = rest;
        let Some(answer) = answer else {
            return Ok(());
        };
        if answers.send(Ok(answer)).await.is_err() {
            return Ok(());
        }
    }
}

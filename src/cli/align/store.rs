//! Stores beads in a new memory, which is created with the first unit.

use anyhow::bail;
use tokio_stream::StreamExt as _;
use uuid::Uuid;

use crate::client::{AlignReport, Client, ImportOrder, NumberedBatch, Progress};
use crate::engine::{CheckAction, DocumentPair, DuplicatePolicy, ImportCounts, StoreOptions};
use crate::limits::IMPORT_BATCH_UNITS;
use crate::unit::UnitContent;
use crate::validate::validate_content;

use super::super::memories::create_memory;

/// Aligns a document, creates the memory if a bead can be stored, and stores the beads in it.
pub(super) async fn store_in_new_memory(
    client: &mut Client,
    pair: &DocumentPair,
    store: &StoreOptions,
    told: Progress<'_>,
) -> anyhow::Result<AlignReport> {
    // A memory that is still to be made teaches nothing.
    let memories = pair.memories.iter().filter(|it| **it != store.memory).cloned().collect();
    let pair = DocumentPair { memories, ..pair.clone() };
    let mut report = client.align_documents(&pair, None, told).await?;
    let (beads, mut units) = store.units(&pair, &report.beads);
    let all = units.len();
    units.retain(|unit| validate_content(unit).is_ok());
    report.not_stored = [0, beads.left_out, (all - units.len()) as u64];
    if units.is_empty() {
        note!("dhakira: there is nothing to store; memory '{}' was not created", store.memory);
        return Ok(report);
    }
    create_memory(client, &store.memory, (pair.source_lang, pair.target_lang)).await?;
    told("storing", 0.0);
    let counts = import(client, store, &units).await?;
    report.stored = (counts.stored, beads.unconfirmed);
    report.not_stored[0] = counts.duplicates;
    report.not_stored[2] += counts.rejected;
    Ok(report)
}

async fn import(
    client: &mut Client,
    store: &StoreOptions,
    units: &[UnitContent],
) -> anyhow::Result<ImportCounts> {
    let order = ImportOrder {
        memory: store.memory.clone(),
        id: Uuid::from_bytes(store.id.0),
        policy: DuplicatePolicy::SkipIdentical,
        check: CheckAction::None,
        report_outcomes: false,
    };
    let batches = NumberedBatch::all(units, IMPORT_BATCH_UNITS);
    let mut answers = client.import(order, tokio_stream::iter(batches)).await?;
    let mut newest = None;
    while let Some(answer) = answers.next().await.transpose()? {
        newest = Some(answer);
    }
    match newest {
        Some(answer) if answer.complete => Ok(answer.counts),
        _ => bail!("the server ended before everything was stored"),
    }
}

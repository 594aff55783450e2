//! Imports of batches of units.

use tokio_stream::{Stream, StreamExt as _};
use uuid::Uuid;

use crate::engine::{CheckAction, DuplicatePolicy, Import};
use crate::grpc::convert::signed;
use crate::grpc::proto;
use crate::grpc::proto::import_units_request::Message as ImportMessage;
use crate::grpc::{ImportAck, ImportSession, IncomingBatch};
use crate::store::RequestKey;
use crate::unit::{MemoryName, UnitContent};

use super::connection::{Client, ClientStream};
use super::error::ClientError;

/// The options of an import.
#[derive(Debug, Clone)]
pub struct ImportOrder {
    /// The memory to import into.
    pub memory: MemoryName,
    /// Identifies the import when it is resumed.
    pub id: Uuid,
    /// What to do with duplicates.
    pub policy: DuplicatePolicy,
    /// What to do with suspect units.
    pub check: CheckAction,
    /// Whether answers report the outcome of each unit.
    pub report_outcomes: bool,
}

/// A batch of units for an import; the numbers rise by one from 1.
#[derive(Debug)]
pub struct NumberedBatch {
    /// Its number.
    pub number: u64,
    /// At most [`crate::limits::BATCH_UNITS_MAX`].
    pub units: Vec<UnitContent>,
    /// Whether it is the last one.
    pub last: bool,
}

impl NumberedBatch {
    /// Splits units into batches.
    pub fn all(
        units: &[UnitContent],
        batch_units: usize,
    ) -> impl ExactSizeIterator<Item = Self> + Send + 'static {
        let batches: Vec<Vec<UnitContent>> = units.chunks(batch_units).map(<[_]>::to_vec).collect();
        let count = batches.len();
        let batch = move |(at, units)| {
            let number = at as u64 + 1;
            Self { number, units, last: at + 1 == count }
        };
        batches.into_iter().enumerate().map(batch)
    }
}

impl Client {
    /// Imports batches; the first answer says what was stored before.
    ///
    /// # Errors
    /// The server's, at once or in the stream.
    pub async fn import(
        &mut self,
        order: ImportOrder,
        batches: impl Stream<Item = NumberedBatch> + Send + 'static,
    ) -> Result<ClientStream<ImportAck>, ClientError> {
        if let Some(api) = &self.local {
            let ImportOrder { memory, id, policy, check, .. } = order;
            let import = Import::new(RequestKey(id.into_bytes()), memory, policy);
            let batches = batches.map(|batch| {
                let units = batch.units.into_iter().map(Ok).collect();
                let number = signed(batch.number);
                Ok(IncomingBatch { number, units, rejected: 0, last: batch.last })
            });
            let acks = api.import_units(ImportSession { import, check }, batches)?;
            return Ok(Box::pin(acks.map(|ack| Ok(ack?))));
        }
        let header = proto::ImportHeader {
            parent: order.memory.resource(),
            import_id: order.id.to_string(),
            duplicate_policy: proto::DuplicatePolicy::from(order.policy).into(),
            check_action: proto::CheckAction::from(order.check).into(),
            report_outcomes: order.report_outcomes,
            ..proto::ImportHeader::default()
        };
        let batches = batches.map(|batch| {
            let units = batch.units.into_iter().map(Into::into).collect();
            let number = signed(batch.number);
            ImportMessage::Batch(proto::ImportBatch { number, units, last: batch.last })
        });
        let requests = tokio_stream::once(ImportMessage::Header(header))
            .chain(batches)
            .map(|message| proto::ImportUnitsRequest { message: Some(message) });
        let answers = self.units.import_units(requests).await?.into_inner();
        Ok(Box::pin(answers.map(|answer| Ok(answer?.into()))))
    }
}

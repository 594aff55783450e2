//! How does a program use the services? One client, whether they are behind a socket or in this very process.
//!
//! Speaks the types of the project; the generated ones stay behind it.

mod admin;
mod alignment;
mod export;
mod lookup;
mod memory;
mod transport;
mod unit;

use std::pin::Pin;

use tokio_stream::{Stream, StreamExt as _};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::engine::{CheckAction, DuplicatePolicy, ExportQuery, Import};
use crate::limits::{LOAD_PAGE_UNITS, MESSAGE_BYTES_MAX};
use crate::store::RequestKey;
use crate::unit::{MemoryName, Unit, UnitContent};

use crate::grpc::Api;
use crate::grpc::convert;
use crate::grpc::imports::{self, Course, Incoming};
use crate::grpc::proto;
use crate::grpc::proto::admin_service_client::AdminServiceClient;
use crate::grpc::proto::alignment_service_client::AlignmentServiceClient;
use crate::grpc::proto::import_units_request::Message as ImportMessage;
use crate::grpc::proto::lookup_service_client::LookupServiceClient;
use crate::grpc::proto::memory_service_client::MemoryServiceClient;
use crate::grpc::proto::unit_service_client::UnitServiceClient;
use crate::grpc::unit_streams::{Lifetime, export};
use transport::Transport;

pub use crate::grpc::{
    EditInfo, ImportAck, JobReport, MatchInfo, PassageInfo, RejectedUnit, SubstitutionInfo,
};
pub use admin::{BackupInfo, CompactInfo};
pub use alignment::{AlignReport, LexiconInfo, LinkInfo, SuspectInfo, Told};
pub use memory::MemoryInfo;
pub use transport::Credentials;
pub use unit::CommitInfo;

/// Why a call failed, in the words of the server.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server could not be reached.
    #[error(
        "no Dhakira server answers at {url}: {cause}. Start one with `dhakira serve`, or leave --server out to use --data"
    )]
    Connect {
        /// Where.
        url: String,
        /// What the network said.
        cause: String,
    },
    /// The server said no.
    #[error("{}", .0.message())]
    Refused(Box<Status>),
    /// What the server sent could not be written.
    #[error("cannot write the output")]
    Output(#[source] std::io::Error),
}

impl ClientError {
    /// Whether what was asked for is not held any more.
    pub fn is_out_of_range(&self) -> bool {
        matches!(self, Self::Refused(status) if status.code() == Code::OutOfRange)
    }

    /// Whether the thing that was asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(status) if status.code() == Code::NotFound)
    }
}

impl ClientError {
    /// What went wrong in few words, the same for the same fault: the code, and the reason if there is one.
    pub fn cause(&self) -> String {
        match self {
            Self::Connect { .. } => "no connection".to_owned(),
            Self::Output(_) => "output".to_owned(),
            Self::Refused(status) => {
                let reason = status.get_details_error_info().map(|info| info.reason);
                reason.map_or_else(
                    || format!("{:?}", status.code()),
                    |reason| format!("{:?} {reason}", status.code()),
                )
            }
        }
    }
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

/// What an import is to do.
#[derive(Debug, Clone)]
pub struct ImportOrder {
    /// Where the units go.
    pub memory: MemoryName,
    /// Names the import when it is resumed.
    pub id: Uuid,
    /// What to do with units that are there already.
    pub policy: DuplicatePolicy,
    /// What to do with those that are probably no good.
    pub check: CheckAction,
    /// Whether to be told what became of each unit.
    pub verdicts: bool,
}

/// A batch of units for an import; the numbers rise by one from 1.
#[derive(Debug)]
pub struct NumberedBatch {
    /// Its number.
    pub number: u64,
    /// At most [`crate::limits::BATCH_UNITS_MAX`].
    pub units: Vec<UnitContent>,
    /// None comes after it.
    pub last: bool,
}

impl NumberedBatch {
    /// All batches of units that are at hand.
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

/// What a streaming call answers.
pub type ClientStream<T> = Pin<Box<dyn Stream<Item = Result<T, ClientError>> + Send>>;

/// Calls the services.
#[derive(Clone)]
pub struct Client {
    memories: MemoryServiceClient<Transport>,
    units: UnitServiceClient<Transport>,
    lookups: LookupServiceClient<Transport>,
    alignment: AlignmentServiceClient<Transport>,
    admin: AdminServiceClient<Transport>,
    /// The services themselves, where they are in this process: units in bulk go there without being written as messages.
    local: Option<Api>,
}

impl Client {
    /// A client of a server at a URL such as `http://127.0.0.1:50051`; a bare `host:port` will do.
    ///
    /// # Errors
    /// Not a URL; nobody answers there.
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        Self::connect_with(url, &Credentials::default()).await
    }

    /// As [`Self::connect`], with what the server wants to see and what it is to show.
    ///
    /// # Errors
    /// Not a URL; certificates that are none; nobody answers there.
    pub async fn connect_with(url: &str, credentials: &Credentials) -> Result<Self, ClientError> {
        Ok(Self::over(Transport::connect(url, credentials).await?, None))
    }

    /// A client of the services in this process: the same answers without a socket.
    pub fn local(api: &Api) -> Self {
        Self::over(Transport::Local(api.routes()), Some(api.clone()))
    }

    /// Whether the services are in this process.
    pub fn is_local(&self) -> bool {
        self.local.is_some()
    }

    fn over(transport: Transport, local: Option<Api>) -> Self {
        let limit = MESSAGE_BYTES_MAX;
        Self {
            memories: MemoryServiceClient::new(transport.clone()).max_decoding_message_size(limit),
            units: UnitServiceClient::new(transport.clone()).max_decoding_message_size(limit),
            lookups: LookupServiceClient::new(transport.clone()).max_decoding_message_size(limit),
            alignment: AlignmentServiceClient::new(transport.clone())
                .max_decoding_message_size(limit),
            admin: AdminServiceClient::new(transport).max_decoding_message_size(limit),
            local,
        }
    }

    /// Imports batches; the first answer tells what is there already.
    ///
    /// # Errors
    /// The server's, at once or in the stream.
    pub async fn import(
        &mut self,
        order: ImportOrder,
        batches: impl Stream<Item = NumberedBatch> + Send + 'static,
    ) -> Result<ClientStream<ImportAck>, ClientError> {
        if let Some(api) = &self.local {
            let ImportOrder { memory, id, policy, check, verdicts } = order;
            let import = Import::new(RequestKey(id.into_bytes()), memory, policy);
            let batches = batches.map(|batch| {
                let units = batch.units.into_iter().map(Ok).collect();
                let number = convert::signed(batch.number);
                Ok(Incoming { number, units, rejected: 0, last: batch.last })
            });
            let course = Course { import, check, verdicts };
            let acks = api.stream(Lifetime::UntilDone, |api, answers| {
                imports::run(api, course, batches, answers, |ack| ack)
            })?;
            return Ok(Box::pin(acks.map(|ack| Ok(ack?))));
        }
        let header = proto::ImportHeader {
            parent: order.memory.resource(),
            import_id: order.id.to_string(),
            duplicate_policy: convert::duplicate_policy_to_wire(order.policy).into(),
            check: convert::check_action_to_wire(order.check).into(),
            verdicts: order.verdicts,
            ..proto::ImportHeader::default()
        };
        let batches = batches.map(|batch| {
            let units = batch.units.into_iter().map(convert::content_to_wire).collect();
            let number = convert::signed(batch.number);
            ImportMessage::Batch(proto::ImportBatch { number, units, last: batch.last })
        });
        let requests = tokio_stream::once(ImportMessage::Header(header))
            .chain(batches)
            .map(|message| proto::ImportUnitsRequest { message: Some(message) });
        let answers = self.units.import_units(requests).await?.into_inner();
        Ok(Box::pin(answers.map(|answer| Ok(import_ack(answer?)))))
    }

    /// The units of a memory that are wanted, in pages.
    ///
    /// # Errors
    /// The server's, at once or in the stream.
    pub async fn export(
        &mut self,
        memory: &MemoryName,
        wanted: ExportQuery,
    ) -> Result<ClientStream<Vec<Unit>>, ClientError> {
        if let Some(api) = &self.local {
            let from = (memory.clone(), wanted, None);
            let pages = api.stream(Lifetime::UntilDone, |api, answers| {
                export(api, from, LOAD_PAGE_UNITS, answers, |_, units, _| units)
            })?;
            return Ok(Box::pin(pages.map(|page| Ok(page?))));
        }
        let request = proto::ExportUnitsRequest {
            parent: memory.resource(),
            cursor: String::new(),
            filter: Some(convert::unit_filter_to_wire(&wanted.filter)),
            query: wanted.text,
        };
        let answers = self.units.export_units(request).await?.into_inner();
        Ok(Box::pin(answers.map(|answer| {
            let units = answer?.units.into_iter().map(convert::stored_unit);
            Ok(units.collect::<Result<Vec<_>, Status>>()?)
        })))
    }
}

fn import_ack(answer: proto::ImportUnitsResponse) -> ImportAck {
    let rejected = answer.diagnostics.into_iter().map(|diagnostic| RejectedUnit {
        batch: u64::try_from(diagnostic.batch).unwrap_or_default(),
        index: usize::try_from(diagnostic.index).unwrap_or_default(),
        cause: diagnostic.cause,
        field: diagnostic.field,
        message: diagnostic.message,
    });
    ImportAck {
        batch: u64::try_from(answer.batch).unwrap_or_default(),
        complete: answer.complete,
        verdicts: answer.verdicts.into_iter().filter_map(convert::verdict).collect(),
        acked_through: u64::try_from(answer.acked_through).unwrap_or_default(),
        counts: convert::counts(answer.counts.unwrap_or_default()),
        rejected: rejected.collect(),
    }
}

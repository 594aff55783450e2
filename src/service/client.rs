//! How does a program use the services? One client, whether they are behind a socket or in this very process.
//!
//! Speaks the types of the project; the generated ones stay behind it.

use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tower::Service;
use uuid::Uuid;

use crate::engine::{
    Band, BandCount, CheckAction, ConcordanceSettings, DuplicatePolicy, ImportCounts,
    LookupSettings, NewMemory, QuerySegment,
};
use crate::limits::MESSAGE_BYTES_MAX;
use crate::unit::{Lang, MemoryName, Timestamp, Unit, UnitContent};

use super::convert;
use super::proto;
use super::proto::admin_service_client::AdminServiceClient;
use super::proto::alignment_service_client::AlignmentServiceClient;
use super::proto::analyze_segments_request::Message as AnalyzeMessage;
use super::proto::import_units_request::Message as ImportMessage;
use super::proto::lookup_service_client::LookupServiceClient;
use super::proto::memory_service_client::MemoryServiceClient;
use super::proto::unit_service_client::UnitServiceClient;
use super::{Api, analysis, concordance, lookups};

pub use super::admin_client::CompactInfo;
pub use super::alignment_client::{AlignReport, LexiconInfo, LinkInfo, SuspectInfo, Told};

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

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

/// A memory as the server shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryInfo {
    /// Its name.
    pub name: MemoryName,
    /// What people call it.
    pub display_name: String,
    /// What it is for.
    pub description: String,
    /// Language of its sources.
    pub source_lang: Lang,
    /// Language of its targets.
    pub target_lang: Lang,
    /// When it was made.
    pub created: Timestamp,
    /// Units it holds.
    pub unit_count: u64,
}

/// What an import says of its batches.
#[derive(Debug, Clone)]
pub struct ImportAck {
    /// Batches 1 to this are on disk.
    pub acked_through: u64,
    /// Sums so far.
    pub counts: ImportCounts,
    /// Units that were not stored.
    pub rejected: Vec<RejectedUnit>,
}

/// A unit of a batch that was not stored.
#[derive(Debug, Clone)]
pub struct RejectedUnit {
    /// Number of the batch.
    pub batch: u64,
    /// 0-based place in the batch.
    pub index: usize,
    /// Stable name of the fault.
    pub cause: String,
    /// For a person.
    pub message: String,
}

/// What was put into a target, in code points, end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubstitutionInfo {
    /// In the query.
    pub query: (usize, usize),
    /// In the stored source.
    pub source: (usize, usize),
    /// In the stored target.
    pub target: (usize, usize),
    /// In the adapted target.
    pub adapted: (usize, usize),
}

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

/// How much of a file is in the memories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobReport {
    /// Its name.
    pub file: String,
    /// Every band.
    pub bands: Vec<(Band, BandCount)>,
}

/// A match as the server shows it. Scores and points in points, 0 to 100.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchInfo {
    /// 0 to 100.
    pub score: f64,
    /// `context`, `exact` or `fuzzy`.
    pub kind: &'static str,
    /// What lost how many points.
    pub deductions: Vec<(String, f64)>,
    /// In which memory.
    pub memory: MemoryName,
    /// The unit.
    pub unit: Unit,
    /// The differences.
    pub edits: Vec<EditInfo>,
    /// The target with the numbers and other placeables of the query; empty when there are none to put in.
    pub adapted_target: String,
    /// What was put in.
    pub substitutions: Vec<SubstitutionInfo>,
    /// Where words of the target stand for words of the source that the query does not have, in code points.
    pub to_change: Vec<(usize, usize)>,
}

/// One difference, as spans of code points in query and stored source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditInfo {
    /// `replaced`, `inserted`, `deleted` or `changed`.
    pub kind: &'static str,
    /// Start and end in the query.
    pub query: (usize, usize),
    /// Start and end in the stored source.
    pub source: (usize, usize),
}

/// Calls the services.
#[derive(Clone)]
pub struct Client {
    memories: MemoryServiceClient<Transport>,
    units: UnitServiceClient<Transport>,
    lookups: LookupServiceClient<Transport>,
    pub(super) alignment: AlignmentServiceClient<Transport>,
    pub(super) admin: AdminServiceClient<Transport>,
}

impl Client {
    /// A client of a server at a URL such as `http://127.0.0.1:50051`; a bare `host:port` will do.
    ///
    /// # Errors
    /// Not a URL; nobody answers there.
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let failed = |error: &dyn Error| {
            let cause = error.source().map_or_else(|| error.to_string(), deepest);
            ClientError::Connect { url: full.clone(), cause }
        };
        let endpoint = Endpoint::from_shared(full.clone()).map_err(|error| failed(&error))?;
        let channel = endpoint.connect().await.map_err(|error| failed(&error))?;
        Ok(Self::over(Transport::Remote(channel)))
    }

    /// A client of the services in this process: the same answers without a socket.
    pub fn local(api: &Api) -> Self {
        Self::over(Transport::Local(api.routes()))
    }

    fn over(transport: Transport) -> Self {
        let limit = MESSAGE_BYTES_MAX;
        Self {
            memories: MemoryServiceClient::new(transport.clone()).max_decoding_message_size(limit),
            units: UnitServiceClient::new(transport.clone()).max_decoding_message_size(limit),
            lookups: LookupServiceClient::new(transport.clone()).max_decoding_message_size(limit),
            alignment: AlignmentServiceClient::new(transport.clone())
                .max_decoding_message_size(limit),
            admin: AdminServiceClient::new(transport).max_decoding_message_size(limit),
        }
    }

    /// Makes a memory.
    ///
    /// # Errors
    /// The server's.
    pub async fn create_memory(&mut self, new: NewMemory) -> Result<MemoryInfo, ClientError> {
        let memory = proto::Memory {
            display_name: new.display_name,
            description: new.description,
            source_lang: new.source_lang.to_string(),
            target_lang: new.target_lang.to_string(),
            ..proto::Memory::default()
        };
        let request = proto::CreateMemoryRequest {
            memory_id: new.name.to_string(),
            memory: Some(memory),
            request_id: Uuid::new_v4().to_string(),
        };
        let response = self.memories.create_memory(request).await?.into_inner();
        memory_info(response.memory)
    }

    /// Reads a memory.
    ///
    /// # Errors
    /// The server's.
    pub async fn memory(&mut self, name: &MemoryName) -> Result<MemoryInfo, ClientError> {
        let request = proto::GetMemoryRequest { name: name.resource() };
        memory_info(self.memories.get_memory(request).await?.into_inner().memory)
    }

    /// Reads all memories, by name.
    ///
    /// # Errors
    /// The server's.
    pub async fn list_memories(&mut self) -> Result<Vec<MemoryInfo>, ClientError> {
        let mut memories = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = proto::ListMemoriesRequest { page_size: 1_000, page_token };
            let page = self.memories.list_memories(request).await?.into_inner();
            for memory in page.memories {
                memories.push(memory_info(Some(memory))?);
            }
            if page.next_page_token.is_empty() {
                return Ok(memories);
            }
            page_token = page.next_page_token;
        }
    }

    /// Changes what people call a memory and what it is for; `None` leaves one as it is.
    ///
    /// # Errors
    /// The server's.
    pub async fn update_memory(
        &mut self,
        name: &MemoryName,
        display_name: Option<String>,
        description: Option<String>,
    ) -> Result<MemoryInfo, ClientError> {
        let mut paths = Vec::new();
        paths.extend(display_name.is_some().then(|| "display_name".to_owned()));
        paths.extend(description.is_some().then(|| "description".to_owned()));
        let memory = proto::Memory {
            name: name.resource(),
            display_name: display_name.unwrap_or_default(),
            description: description.unwrap_or_default(),
            ..proto::Memory::default()
        };
        let request = proto::UpdateMemoryRequest {
            memory: Some(memory),
            update_mask: Some(prost_types::FieldMask { paths }),
            request_id: Uuid::new_v4().to_string(),
        };
        memory_info(self.memories.update_memory(request).await?.into_inner().memory)
    }

    /// Deletes a memory.
    ///
    /// # Errors
    /// The server's.
    pub async fn delete_memory(
        &mut self,
        name: &MemoryName,
        force: bool,
    ) -> Result<(), ClientError> {
        let request_id = Uuid::new_v4().to_string();
        let request = proto::DeleteMemoryRequest { name: name.resource(), force, request_id };
        self.memories.delete_memory(request).await?;
        Ok(())
    }

    /// Imports batches, numbered from 1 in the order in which they come; the first answer tells what is there already.
    ///
    /// # Errors
    /// The server's, at once or in the stream.
    pub async fn import(
        &mut self,
        memory: &MemoryName,
        import_id: Uuid,
        (policy, check): (DuplicatePolicy, CheckAction),
        batches: mpsc::Receiver<Vec<UnitContent>>,
    ) -> Result<impl Stream<Item = Result<ImportAck, ClientError>> + use<>, ClientError> {
        let header = proto::ImportHeader {
            parent: memory.resource(),
            import_id: import_id.to_string(),
            duplicate_policy: convert::duplicate_policy_to_wire(policy).into(),
            check: match check {
                CheckAction::None => proto::CheckAction::Unspecified,
                CheckAction::Tag => proto::CheckAction::Tag,
                CheckAction::Reject => proto::CheckAction::Reject,
            }
            .into(),
            ..proto::ImportHeader::default()
        };
        let mut number = 0;
        let batches = ReceiverStream::new(batches).map(move |contents| {
            number += 1;
            let units = contents.into_iter().map(convert::content_to_wire).collect();
            ImportMessage::Batch(proto::ImportBatch { number, units })
        });
        let requests = tokio_stream::once(ImportMessage::Header(header))
            .chain(batches)
            .map(|message| proto::ImportUnitsRequest { message: Some(message) });
        let answers = self.units.import_units(requests).await?.into_inner();
        Ok(answers.map(|answer| Ok(import_ack(answer?))))
    }

    /// All units of a memory, in pages.
    ///
    /// # Errors
    /// The server's, at once or in the stream.
    pub async fn export(
        &mut self,
        memory: &MemoryName,
    ) -> Result<impl Stream<Item = Result<Vec<Unit>, ClientError>> + use<>, ClientError> {
        let request =
            proto::ExportUnitsRequest { parent: memory.resource(), cursor: String::new() };
        let answers = self.units.export_units(request).await?.into_inner();
        Ok(answers.map(|answer| {
            let units = answer?.units.into_iter().map(convert::stored_unit);
            Ok(units.collect::<Result<Vec<_>, Status>>()?)
        }))
    }

    /// Looks segments up; results in their order.
    ///
    /// # Errors
    /// The server's.
    pub async fn lookup(
        &mut self,
        settings: &LookupSettings,
        segments: Vec<QuerySegment>,
    ) -> Result<Vec<Vec<MatchInfo>>, ClientError> {
        let request = proto::LookupSegmentsRequest {
            settings: Some(lookups::settings_to_wire(settings)),
            segments: segments.into_iter().map(lookups::query_to_wire).collect(),
        };
        let response = self.lookups.lookup_segments(request).await?.into_inner();
        let results = response.results.into_iter().map(|result| {
            result.matches.into_iter().map(lookups::match_info).collect::<Result<Vec<_>, _>>()
        });
        Ok(results.collect::<Result<_, Status>>()?)
    }

    /// A page of the units in which an expression stands, and the token of the next one; empty after the last.
    ///
    /// # Errors
    /// The server's.
    pub async fn concordance(
        &mut self,
        settings: &ConcordanceSettings,
        page_size: usize,
        page_token: String,
    ) -> Result<(Vec<PassageInfo>, String), ClientError> {
        let request = concordance::request(settings, page_size, page_token);
        let response = self.lookups.search_concordance(request).await?.into_inner();
        let hits = response.hits.into_iter().map(concordance::passage_info);
        Ok((hits.collect::<Result<_, Status>>()?, response.next_page_token))
    }

    /// Analyses a job: pieces of files, in their order, as (file, segments). The reports of the files, and of all.
    ///
    /// # Errors
    /// The server's.
    pub async fn analyze(
        &mut self,
        settings: &LookupSettings,
        pieces: impl Stream<Item = (String, Vec<String>)> + Send + 'static,
    ) -> Result<(Vec<JobReport>, JobReport), ClientError> {
        let message = |message| proto::AnalyzeSegmentsRequest { message: Some(message) };
        let settings = AnalyzeMessage::Settings(lookups::settings_to_wire(settings));
        let pieces = pieces.map(|(file, texts)| proto::FileSegments { file, texts });
        let first = tokio_stream::once(message(settings));
        let requests = first.chain(pieces.map(move |it| message(AnalyzeMessage::Segments(it))));
        let response = self.lookups.analyze_segments(requests).await?.into_inner();
        let files = response.files.into_iter().map(|it| analysis::report(it.file, &it.bands));
        Ok((files.collect(), analysis::report(String::new(), &response.total)))
    }
}

fn memory_info(memory: Option<proto::Memory>) -> Result<MemoryInfo, ClientError> {
    let memory = memory.unwrap_or_default();
    let created = memory.create_time.unwrap_or_default();
    Ok(MemoryInfo {
        name: convert::memory_name("memory.name", &memory.name)?,
        display_name: memory.display_name,
        description: memory.description,
        source_lang: convert::parse("memory.source_lang", &memory.source_lang)?,
        target_lang: convert::parse("memory.target_lang", &memory.target_lang)?,
        created: convert::timestamp("memory.create_time", created)?,
        unit_count: u64::try_from(memory.unit_count).unwrap_or_default(),
    })
}

fn import_ack(answer: proto::ImportUnitsResponse) -> ImportAck {
    let rejected = answer.diagnostics.into_iter().map(|diagnostic| RejectedUnit {
        batch: u64::try_from(diagnostic.batch).unwrap_or_default(),
        index: usize::try_from(diagnostic.index).unwrap_or_default(),
        cause: diagnostic.cause,
        message: diagnostic.message,
    });
    ImportAck {
        acked_through: u64::try_from(answer.acked_through).unwrap_or_default(),
        counts: convert::counts(answer.counts.unwrap_or_default()),
        rejected: rejected.collect(),
    }
}

fn deepest(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), deepest)
}

/// Where calls go.
#[derive(Clone)]
pub(super) enum Transport {
    Remote(Channel),
    Local(Routes),
}

type Failure = Box<dyn Error + Send + Sync>;

impl Service<http::Request<Body>> for Transport {
    type Response = http::Response<Body>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        match self {
            Self::Remote(channel) => channel.poll_ready(context).map_err(Into::into),
            Self::Local(routes) => {
                <Routes as Service<http::Request<Body>>>::poll_ready(routes, context).map_err(never)
            }
        }
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        match self {
            Self::Remote(channel) => {
                let response = channel.call(request);
                Box::pin(async move { response.await.map_err(Into::into) })
            }
            Self::Local(routes) => {
                let response = routes.call(request);
                Box::pin(async move { response.await.map_err(never) })
            }
        }
    }
}

fn never(error: Infallible) -> Failure {
    match error {}
}

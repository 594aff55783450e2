//! How does a program use the services? One client, whether they are behind a socket or in this very process.
//!
//! Speaks the types of the project; the generated ones stay behind it.

use std::pin::Pin;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::engine::{
    Band, BandCount, CheckAction, ConcordanceSettings, DuplicatePolicy, Import, ImportCounts,
    LookupSettings, MemoryPatch, NewMemory, QuerySegment, UnitVerdict, Wanted,
};
use crate::limits::{LOAD_PAGE_UNITS, MESSAGE_BYTES_MAX};
use crate::store::RequestKey;
use crate::unit::{Lang, MemoryName, Score, Segment, Timestamp, Unit, UnitContent};

use super::convert;
use super::imports::{self, Course, Incoming};
use super::proto;
use super::proto::admin_service_client::AdminServiceClient;
use super::proto::alignment_service_client::AlignmentServiceClient;
use super::proto::analyze_segments_request::Message as AnalyzeMessage;
use super::proto::import_units_request::Message as ImportMessage;
use super::proto::lookup_service_client::LookupServiceClient;
use super::proto::memory_service_client::MemoryServiceClient;
use super::proto::unit_service_client::UnitServiceClient;
use super::transport::Transport;
use super::unit_streams::{Lifetime, export};
use super::{Api, analysis, concordance, lookups};

pub use super::admin_client::{BackupInfo, CompactInfo};
pub use super::alignment_client::{AlignReport, LexiconInfo, LinkInfo, SuspectInfo, Told};
pub use super::transport::Credentials;
pub use super::unit_client::CommitInfo;

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

impl ClientError {
    /// What went wrong in few words, the same for the same fault: the code, and the reason if there is one.
    pub fn cause(&self) -> String {
        match self {
            Self::Connect { .. } => "no connection".to_owned(),
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
    /// What its matches lose when their translation is unfinished; `None` for the default.
    pub unfinished_penalty: Option<Score>,
}

/// What an import says of its batches.
#[derive(Debug, Clone)]
pub struct ImportAck {
    /// Number of the batch that it answers; 0 for what was there when the import began.
    pub batch: u64,
    /// Batches 1 to this are on disk.
    pub acked_through: u64,
    /// Sums so far.
    pub counts: ImportCounts,
    /// Whether the last batch is on disk.
    pub complete: bool,
    /// Units of the batch that were not stored.
    pub rejected: Vec<RejectedUnit>,
    /// What became of its other units, in their order; empty when it was on disk before.
    pub verdicts: Vec<UnitVerdict>,
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

/// A unit of a batch that was not stored.
#[derive(Debug, Clone)]
pub struct RejectedUnit {
    /// Number of the batch.
    pub batch: u64,
    /// 0-based place in the batch.
    pub index: usize,
    /// Stable name of the fault.
    pub cause: String,
    /// The field, such as `target.text`.
    pub field: String,
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

/// What a streaming call answers.
pub type ClientStream<T> = Pin<Box<dyn Stream<Item = Result<T, ClientError>> + Send>>;

/// Calls the services.
#[derive(Clone)]
pub struct Client {
    memories: MemoryServiceClient<Transport>,
    pub(super) units: UnitServiceClient<Transport>,
    lookups: LookupServiceClient<Transport>,
    pub(super) alignment: AlignmentServiceClient<Transport>,
    pub(super) admin: AdminServiceClient<Transport>,
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
            unfinished_penalty: new.unfinished_penalty.map(Score::points),
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

    /// Changes fields of a memory.
    ///
    /// # Errors
    /// The server's.
    pub async fn update_memory(
        &mut self,
        name: &MemoryName,
        patch: MemoryPatch,
    ) -> Result<MemoryInfo, ClientError> {
        let MemoryPatch { display_name, description, unfinished_penalty } = patch;
        let fields = [
            ("display_name", display_name.is_some()),
            ("description", description.is_some()),
            ("unfinished_penalty", unfinished_penalty.is_some()),
        ];
        let paths = fields.into_iter().filter(|(_, named)| *named);
        let paths = paths.map(|(path, _)| path.to_owned()).collect();
        let memory = proto::Memory {
            name: name.resource(),
            display_name: display_name.unwrap_or_default(),
            description: description.unwrap_or_default(),
            unfinished_penalty: unfinished_penalty.flatten().map(Score::points),
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

    /// Imports batches; the first answer tells what is there already.
    ///
    /// # Errors
    /// The server's, at once or in the stream.
    pub async fn import(
        &mut self,
        order: ImportOrder,
        batches: mpsc::Receiver<NumberedBatch>,
    ) -> Result<ClientStream<ImportAck>, ClientError> {
        let batches = ReceiverStream::new(batches);
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
        wanted: Wanted,
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
        pieces: impl Stream<Item = (String, Vec<Segment>)> + Send + 'static,
    ) -> Result<(Vec<JobReport>, JobReport), ClientError> {
        let message = |message| proto::AnalyzeSegmentsRequest { message: Some(message) };
        let settings = AnalyzeMessage::Settings(lookups::settings_to_wire(settings));
        let pieces = pieces.map(|(file, segments)| {
            let segments = segments.into_iter().map(convert::segment_to_wire).collect();
            proto::FileSegments { file, texts: Vec::new(), segments }
        });
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
        unfinished_penalty: convert::unfinished_penalty(memory.unfinished_penalty)?,
    })
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

//! Implements the use cases (write, look up, import, align, watch) on top of the store, the indexes and the aligner.
//!
//! Everything is derived from the commit log: a write is planned, appended to the log, applied by the follower, then answered. Knows
//! no protocol, no flags, and no files other than those it is handed.

mod cancel;
mod clock;
mod commit;
mod error;
mod etag;
mod handle;
mod jobs;
mod priority;
mod read;
mod replica;
mod write;

pub use cancel::Cancel;
pub(crate) use clock::now;
pub use commit::prepare::{Prepared, batch_digest};
pub use commit::progress::{ImportCounts, ImportProgress, StoredBatch, UnitOutcome};
pub use commit::work::{DuplicatePolicy, Etag, MemoryPatch, NewMemory, PreparedBatch, UnitUse};
pub use error::EngineError;
pub use etag::{memory_etag, unit_etag};
pub use handle::{Engine, RequestId};
pub use jobs::align::{
    AlignedPair, AlignedWords, DocumentPair, StoreOptions, StoredBeads, StoringBeads, TextPair,
};
pub use jobs::backup;
pub use jobs::check::{CHECK_ATTRIBUTE, CheckAction, CheckSettings, SuspectUnit};
pub use jobs::train::TrainingProgress;
pub use jobs::verify::{Finding, Severity, Verified};
pub use priority::lower_priority;
pub use read::analysis::{BandCount, BandCounts, JobAnalysis, MatchBands};
pub use read::concordance::{ConcordancePage, ConcordancePlace, ConcordanceSettings, FoundPassage};
pub use read::explain::Explain;
pub use read::export::{Export, ExportQuery};
pub use read::extract::{ExtractCounts, ExtractedUnit, Extraction};
pub use read::filter::{
    AttributeCondition, AttributeValue, NameCondition, TextCondition, TimeRange, UnitFilter,
};
pub use read::history::RevisionPage;
pub use read::list::{ListPage, ListPosition, ListQuery, UnitOrder};
pub use read::lookup::{FoundMatch, Hits, LookupSettings, MemoryChoice};
pub use read::query_segment::QuerySegment;
pub use read::watch::{WatchQuery, WatchedChange, WatchedCommit};
pub use replica::encoding::context_hash;
pub use replica::lexicon::TrainedLexicon;
pub use replica::load::{LoadProgress, Loaded};
pub use write::batches::{Batch, Batches, PlacedUnit, REJECTED_ATTRIBUTE};
pub use write::import_session::{Import, ImportAnswer};
pub use write::matching::{Confirmation, MatchingChange, MatchingCount, MatchingResult};
pub use write::patch::{SegmentPatch, UnitPatch};
pub use write::units::SavedUnit;
pub use write::update::UpdateRequest;

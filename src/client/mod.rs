//! Calls the services through one typed client, whether they are on a server or in this process.
//!
//! Speaks the types of the project; the generated ones stay behind it.

mod admin;
mod alignment;
mod connection;
mod error;
mod export;
mod fault;
mod import;
mod lookup;
mod memory;
mod operations;
mod probe;
mod transport;
mod unit;
mod units;
mod upload;
mod watch;

pub use crate::grpc::{ImportAck, JobReport, RejectedUnit};
pub use admin::{BackupInfo, CompactInfo};
pub use alignment::{AlignReport, LexiconInfo, Progress, SuspectInfo};
pub use connection::{Client, ClientStream};
pub use error::ClientError;
pub use fault::ConnectFault;
pub use import::{ImportOrder, NumberedBatch};
pub use lookup::ExtractPage;
pub use memory::MemoryInfo;
pub use operations::{Counts, OperationAnswer, OperationEnd, OperationInfo};
pub use transport::{Credentials, LocalService};
pub use units::{Matched, MatchingUnits};
pub use watch::ChangeFeed;

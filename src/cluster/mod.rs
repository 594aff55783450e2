//! Joins this process to a cluster: keeps a local copy of a shared store, and knows which node writes. Where do lookups read, and
//! where do writes go?
//!
//! Lookups read the copy and never leave the machine. The shared log is the truth: a copy that disagrees with it is thrown away and
//! made anew. Knows nothing of the database behind the log, of engines, or of calls.

mod bootstrap;
mod contact;
mod copied;
mod directory;
mod local_copy;
mod member;

pub use bootstrap::JoinProgress;
pub use contact::Contact;
pub use directory::{NodeDirectory, NodeError};
pub use local_copy::{Joined, join};
pub use member::{KnownNode, Member, MemberState, NodeNow, Overview};

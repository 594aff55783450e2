//! Risk: a node of a cluster answers from a copy that is not what the cluster holds, loses a write or doubles it, or stops answering
//! lookups when the database is away.

mod archive;
mod clients;
mod copies;
mod faults;
mod figures;
mod history;
mod link;
mod lookups;
mod nodes;
mod patroni;
mod program;
mod world;

//! Maintains what a process derives from the commit log: catalog, indexes, lexicons, checkpoints.

pub(crate) mod artifact;
pub(crate) mod catalog;
pub(crate) mod changes;
pub(crate) mod checkpoints;
pub(crate) mod encoding;
pub(crate) mod follower;
pub(crate) mod lexicon;
pub(crate) mod links;
pub(crate) mod load;

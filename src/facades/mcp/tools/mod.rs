//! Holds the tools, one in each file.

mod align;
mod check;
mod context_pack;
mod lookup;
mod memories;
mod save;
mod search;

use super::tool::Entry;

/// Every tool, in the order in which they are listed.
pub(super) fn all() -> Vec<Entry> {
    vec![
        Entry::of::<memories::ListMemories>(),
        Entry::of::<context_pack::ContextPack>(),
        Entry::of::<lookup::Lookup>(),
        Entry::of::<search::Search>(),
        Entry::of::<align::Align>(),
        Entry::of::<check::Check>(),
        Entry::of::<save::Save>(),
    ]
}

//! Scores a stored segment against a query, and says where the two differ and how to adapt the translation.

mod adapt;
mod align;
mod context;
mod context_parts;
mod deductions;
mod edits;
mod hit;
mod levenshtein;
mod penalties;
mod query;
mod scorer;
mod token_cost;

#[cfg(test)]
mod random_edits;

pub use adapt::{Adapted, Substitution, adapt, changed_placeables};
pub use context_parts::{AgreedContexts, ContextPart};
pub use deductions::{Deductions, GRADED_CHARS_MAX, NUMBER_COST, Reason, SCORE_VERSION, WORD_COST};
pub use edits::{ComparedText, Comparison, Edit, EditKind, compare};
pub use hit::{Hit, MatchKind, merge, merge_parts};
pub use penalties::{Penalties, PenaltyPoints, UnitPenalties};
pub use query::{Options, Query};

pub(crate) use deductions::distance_max;
pub(crate) use hit::Rank;
pub(crate) use levenshtein::Matcher;
pub(crate) use scorer::{Scorer, ScorerScratch, reachable};

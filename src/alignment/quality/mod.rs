//! Checks whether two texts look like translations of each other.

mod checks;
mod script;

pub use checks::{Doubt, Verdict, judge};
pub use script::{PairDoubt, is_in_other_script, pair_doubts};

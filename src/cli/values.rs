//! The values of flags that clap lists, completes, and suggests for a near miss.

use std::sync::LazyLock;

use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::formats::Format;

/// The number of a unit.
pub(super) fn unit_number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| {
        "a unit is named by its number alone, as `dhakira units list` shows it".to_owned()
    })
}

impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        static ALL: LazyLock<Vec<Format>> = LazyLock::new(|| Format::all().collect());
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

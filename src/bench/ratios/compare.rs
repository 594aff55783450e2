//! Compares ratios with those of a file.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// A change above this share counts as worse, or as better.
const CHANGE_MAX: f64 = 0.10;

/// Ratios by name. All of them are costs: less is better.
pub(super) type Ratios = BTreeMap<String, f64>;

/// Ratios of one degree of optimisation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) commit: String,
    pub(super) date: String,
    pub(super) ratios: Ratios,
}

/// The file: ratios by degree of optimisation, since those of an unoptimised program say nothing about another one.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Committed(BTreeMap<String, Measured>);

impl Committed {
    /// What a file holds; nothing when there is none.
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let doing = || format!("reading {}", file.display());
        match std::fs::read_to_string(file) {
            Ok(text) => serde_json::from_str(&text).with_context(doing),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(doing),
        }
    }

    pub(super) fn of(&self, optimisation: &str) -> Option<&Measured> {
        self.0.get(optimisation)
    }

    /// Replaces the ratios of one degree of optimisation.
    pub(super) fn write(
        mut self,
        file: &Path,
        optimisation: &str,
        measured: Measured,
    ) -> anyhow::Result<()> {
        self.0.insert(optimisation.to_owned(), measured);
        std::fs::write(file, serde_json::to_string_pretty(&self)? + "\n")
            .with_context(|| format!("writing {}", file.display()))
    }
}

/// What became of a ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Not in the file.
    New,
    /// In the file, and not measured now.
    Missing,
    /// Within a tenth.
    Same,
    Better,
    Worse,
}

/// One ratio, as committed and as measured.
#[derive(Debug, PartialEq)]
pub(super) struct Compared {
    pub(super) name: String,
    pub(super) committed: Option<f64>,
    pub(super) now: Option<f64>,
    pub(super) change: Change,
}

/// Each ratio that is committed or measured, in the order of the names.
pub(super) fn compare(committed: &Ratios, now: &Ratios) -> Vec<Compared> {
    let mut names: Vec<&String> = committed.keys().chain(now.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let compared = names.into_iter().map(|name| {
        let (committed, now) = (committed.get(name).copied(), now.get(name).copied());
        let change = match (committed, now) {
            (None, _) => Change::New,
            (_, None) => Change::Missing,
            (Some(before), Some(now)) if now > before * (1.0 + CHANGE_MAX) => Change::Worse,
            (Some(before), Some(now)) if now < before * (1.0 - CHANGE_MAX) => Change::Better,
            _ => Change::Same,
        };
        Compared { name: name.clone(), committed, now, change }
    });
    compared.collect()
}

impl Compared {
    /// A row of the table: name, committed, now, change, and what to make of it.
    pub(super) fn row(&self) -> Vec<String> {
        let shown = |value: Option<f64>| {
            value.map_or("-".to_owned(), |value| {
                if value < 1e3 { format!("{value:.2}") } else { format!("{value:.0}") }
            })
        };
        let change = match (self.committed, self.now) {
            (Some(before), Some(now)) => format!("{:+.0} %", (now / before - 1.0) * 100.0),
            _ => String::new(),
        };
        let remark = match self.change {
            Change::Same => "",
            Change::New => "not committed",
            Change::Missing => "not measured",
            Change::Better => "better",
            Change::Worse => "WORSE",
        };
        let name = self.name.clone();
        vec![name, shown(self.committed), shown(self.now), change, remark.to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratios(pairs: &[(&str, f64)]) -> Ratios {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    #[test]
    fn what_got_worse_by_more_than_a_tenth_is_marked() {
        let committed = ratios(&[("a", 2.0), ("b", 2.0), ("c", 2.0), ("d", 2.0), ("gone", 1.0)]);
        let now = ratios(&[("a", 2.3), ("b", 2.16), ("c", 1.7), ("d", 1.84), ("new", 5_000.0)]);
        let compared = compare(&committed, &now);
        let rows: Vec<String> = compared.iter().map(|it| it.row().join("|")).collect();
        assert_eq!(
            rows,
            [
                "a|2.00|2.30|+15 %|WORSE",
                "b|2.00|2.16|+8 %|",
                "c|2.00|1.70|-15 %|better",
                "d|2.00|1.84|-8 %|",
                "gone|1.00|-||not measured",
                "new|-|5000||not committed",
            ]
        );
    }

    #[test]
    fn only_the_ratios_of_one_degree_of_optimisation_are_replaced() {
        let directory = std::env::temp_dir().join(uuid::Uuid::new_v4().to_string());
        std::fs::create_dir(&directory).unwrap();
        let file = directory.join("ratios.json");
        let measured = |value| Measured {
            commit: "c".to_owned(),
            date: "d".to_owned(),
            ratios: ratios(&[("a", value)]),
        };
        for (optimisation, value) in [("one", 1.0), ("three", 3.0), ("one", 2.0)] {
            let committed = Committed::read(&file).unwrap();
            committed.write(&file, optimisation, measured(value)).unwrap();
        }
        let committed = Committed::read(&file).unwrap();
        assert_eq!(committed.of("one"), Some(&measured(2.0)));
        assert_eq!(committed.of("three"), Some(&measured(3.0)));
        assert_eq!(committed.of("two"), None);
        std::fs::write(&file, "{").unwrap();
        let error = format!("{:#}", Committed::read(&file).unwrap_err());
        assert!(error.starts_with("reading ") && error.contains("ratios.json"), "{error}");
        std::fs::remove_dir_all(&directory).unwrap();
    }
}

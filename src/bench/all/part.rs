//! The parts of `dhakira bench all`: each is one command of the program.

use std::ffi::OsString;

/// What is measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::bench) enum Part {
    /// Imports in every way, the store alone, bytes on disk.
    Import,
    /// Exports in every format.
    Export,
    /// The index alone.
    Search,
    /// The index alone, long segments at 50 points.
    Long,
    /// A full scan with the `rapidfuzz` crate, to compare with; needs a program built with `--features rapidfuzz`.
    Scan,
    /// Lookups in the engine and over gRPC, also during an import; concordance, opening, memory.
    Lookup,
    /// The same lookup by every protocol.
    Tools,
    /// Analysis of segments.
    Text,
    /// Training a lexicon, and checking units.
    Train,
    /// Accuracy and time of alignment; needs --docs, --list and --links.
    Align,
    /// Many clients for two minutes.
    Soak,
}

impl Part {
    pub(in crate::bench) fn name(self) -> String {
        clap::ValueEnum::to_possible_value(&self)
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }

    /// The arguments of the program, with names in capitals for what differs between runs.
    fn arguments(self) -> &'static str {
        match self {
            Self::Import => {
                "bench import CORPUS --units UNITS --runs 1 \
                 --only tsv --only tmx --only grpc --only file --only store"
            }
            Self::Export => "bench import CORPUS --units UNITS --runs 1 --only export",
            Self::Search => {
                "bench search --corpus CORPUS --queries QUERIES --units UNITS --min-score 70 --verify 50"
            }
            Self::Long => {
                "bench search --corpus CORPUS --queries QUERIES --units UNITS --words-min 25 --min-score 50"
            }
            Self::Scan => {
                "bench search --corpus CORPUS --queries QUERIES --units UNITS --min-score 70 --runs 1 \
                 --rapidfuzz 20"
            }
            Self::Lookup => {
                "bench lookup --corpus CORPUS --queries QUERIES --units UNITS --count 2000"
            }
            Self::Tools => "bench tools --corpus CORPUS --queries QUERIES",
            Self::Text => "bench text --corpus CORPUS",
            Self::Train => "bench train --corpus CORPUS",
            Self::Align => {
                "bench align --docs DOCS --list LIST --links LINKS --memory CORPUS --hygiene CORPUS \
                 --long 10000 --free 0 --free .3 --free .6"
            }
            Self::Soak => "bench soak --corpus CORPUS --units 100000 --clients 64 --minutes 2",
        }
    }

    /// Why this program cannot measure it at all.
    pub(super) fn impossible(self) -> Option<&'static str> {
        (self == Self::Scan && !cfg!(feature = "rapidfuzz"))
            .then_some("needs a program built with --features rapidfuzz")
    }

    /// The arguments with the values of what differs between runs, or the name of the value that is missing.
    pub(super) fn command(
        self,
        value: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Vec<OsString>, &'static str> {
        let words = self.arguments().split_whitespace();
        let filled = words.map(|word| {
            let is_name = word.chars().all(|it| it.is_ascii_uppercase());
            if is_name { value(word).ok_or(word) } else { Ok(OsString::from(word)) }
        });
        filled.collect()
    }

    /// The command as a user types it, with names in place of files.
    pub(in crate::bench) fn shown(self, units: usize) -> String {
        format!("dhakira {}", self.arguments().replace("UNITS", &units.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_value_is_put_in_its_place_or_named_as_missing() {
        let no_docs = |name: &str| (name != "DOCS").then(|| OsString::from(name.to_lowercase()));
        assert_eq!(Part::Align.command(no_docs), Err("DOCS"));
        assert_eq!(
            Part::Tools.command(no_docs).unwrap(),
            ["bench", "tools", "--corpus", "corpus", "--queries", "queries"]
        );
        let names = ["CORPUS", "QUERIES", "UNITS", "DOCS", "LIST", "LINKS"];
        for part in Part::value_variants() {
            let known = |name: &str| names.contains(&name).then(OsString::new);
            assert!(part.command(known).is_ok(), "{part:?}");
            assert!(!part.shown(7).contains("UNITS"), "{part:?}");
        }
    }
}

//! Documents with a known alignment, and how well beads agree with it.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::Context as _;

use crate::alignment::Bead;
use crate::bench::measure::number;

/// Sentences of both sides of a bead.
pub(super) type Numbers = (Vec<usize>, Vec<usize>);

/// A document, its translation, and their true alignment.
pub(super) struct Document {
    /// As the list of documents names it: `ntrex_mix-000`.
    pub(super) name: String,
    pub(super) source: Vec<String>,
    pub(super) target: Vec<String>,
    pub(super) gold: Vec<Numbers>,
}

impl Document {
    /// Reads `BASE.ar`, `BASE.en` and `BASE.gold`.
    pub(super) fn read(base: &Path) -> anyhow::Result<Self> {
        let text = |ending: &str| {
            let path = base.with_extension(ending);
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
        };
        let lines = |ending: &str| -> anyhow::Result<Vec<String>> {
            Ok(text(ending)?.lines().map(str::to_owned).collect())
        };
        let side = |text: &str| -> Vec<usize> {
            text.split(|letter: char| !letter.is_ascii_digit()).flat_map(str::parse).collect()
        };
        let gold = text("gold")?
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once(':'))
            .map(|(source, target)| (side(source), side(target.split(':').next().unwrap_or(""))))
            .collect();
        let name = base.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, source: lines("ar")?, target: lines("en")?, gold })
    }

    /// What kind of document it is: its name up to the dash.
    pub(super) fn family(&self) -> &str {
        self.name.rsplit_once('-').map_or(&self.name, |parts| parts.0)
    }

    /// The texts of a bead.
    pub(super) fn texts(&self, bead: &Numbers) -> (String, String) {
        let join = |all: &[String], numbers: &[usize]| {
            let texts = numbers.iter().filter_map(|it| all.get(*it).map(String::as_str));
            texts.collect::<Vec<_>>().join(" ")
        };
        (join(&self.source, &bead.0), join(&self.target, &bead.1))
    }
}

/// Source and target sentences of a bead.
type Kind = (usize, usize);
/// How many beads there are, and what was found in place of those that were missed.
type Missed = (usize, BTreeMap<String, usize>);

/// Agreement of beads with the truth, added up over documents.
#[derive(Default)]
pub(super) struct Score {
    right: usize,
    /// Beads of which some source sentence has a true counterpart among their target sentences.
    lax: usize,
    lax_of_both: usize,
    /// Beads with one side that are wrong.
    false_one_sided: usize,
    found: usize,
    right_of_both: usize,
    gold_of_both: usize,
    /// Confidence of each bead that was found, and whether it is right.
    confidences: Vec<(f32, bool)>,
    /// By kind of the true bead: how many there are, and what was found in place of those that were missed.
    kinds: BTreeMap<Kind, Missed>,
}

impl Score {
    pub(super) fn add(&mut self, beads: &[Bead], gold: &[Numbers]) {
        let both = |bead: &Numbers| !bead.0.is_empty() && !bead.1.is_empty();
        let wanted: HashSet<&Numbers> = gold.iter().collect();
        let found: Vec<Numbers> = beads.iter().map(numbers).collect();
        for (bead, numbers) in beads.iter().zip(&found) {
            let right = wanted.contains(numbers);
            self.right += usize::from(right);
            self.right_of_both += usize::from(right && both(numbers));
            self.lax += usize::from(right || meets(numbers, gold));
            self.false_one_sided += usize::from(!right && !both(numbers));
            self.confidences.push((bead.confidence, right));
        }
        self.found += found.len();
        self.gold_of_both += gold.iter().filter(|it| both(it)).count();
        let known: HashSet<&Numbers> = found.iter().collect();
        let lax = |bead: &&Numbers| both(bead) && (known.contains(bead) || meets(bead, &found));
        self.lax_of_both += gold.iter().filter(lax).count();
        for bead in gold {
            let (all, instead) = self.kinds.entry((bead.0.len(), bead.1.len())).or_default();
            *all += 1;
            if !known.contains(bead) {
                *instead.entry(in_place_of(bead, &found)).or_default() += 1;
            }
        }
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.right += other.right;
        self.found += other.found;
        self.right_of_both += other.right_of_both;
        self.lax += other.lax;
        self.lax_of_both += other.lax_of_both;
        self.false_one_sided += other.false_one_sided;
        self.gold_of_both += other.gold_of_both;
        self.confidences.extend(other.confidences);
        for (kind, (all, instead)) in other.kinds {
            let mine = self.kinds.entry(kind).or_default();
            mine.0 += all;
            for (found, count) in instead {
                *mine.1.entry(found).or_default() += count;
            }
        }
    }

    /// Strict F1 as Vecalign scores: all beads for precision, those with both sides for recall (Thompson and Koehn,
    /// "Vecalign", EMNLP 2019).
    pub(super) fn f1(&self) -> f64 {
        self.harmonic_mean(self.right, self.right_of_both)
    }

    /// Lax F1 of the same: a bead counts as right when a true bead joins some of its source to some of its target sentences.
    pub(super) fn lax_f1(&self) -> f64 {
        self.harmonic_mean(self.lax, self.lax_of_both)
    }

    fn harmonic_mean(&self, of_found: usize, of_gold: usize) -> f64 {
        let part = |right: usize, of: usize| number(right) / number(of.max(1));
        let precision = part(of_found, self.found);
        let recall = part(of_gold, self.gold_of_both);
        2.0 * precision * recall / (precision + recall).max(f64::MIN_POSITIVE)
    }

    /// Beads with one side that are wrong.
    pub(super) fn false_one_sided(&self) -> usize {
        self.false_one_sided
    }

    /// Beads of the documents that were not found.
    pub(super) fn wrong(&self) -> usize {
        self.kinds.values().flat_map(|it| it.1.values()).sum()
    }

    /// Expected calibration error over ten bins of equal width (Naeini, Cooper and Hauskrecht, AAAI 2015).
    pub(super) fn calibration_error(&self) -> f64 {
        let mut bins = [(0_usize, 0.0, 0.0); 10];
        for &(confidence, right) in &self.confidences {
            let bin = bins.iter().zip(1_u8..).position(|(_, it)| confidence < f32::from(it) / 10.0);
            let bin = &mut bins[bin.unwrap_or(9)];
            bin.0 += 1;
            bin.1 += f64::from(confidence);
            bin.2 += if right { 1.0 } else { 0.0 };
        }
        let off: f64 =
            bins.iter().map(|(_, sure, right): &(_, f64, f64)| (sure - right).abs()).sum();
        off / number(self.confidences.len().max(1))
    }

    /// Confidences and whether they were right, for fitting.
    pub(super) fn confidences(&self) -> &[(f32, bool)] {
        &self.confidences
    }

    /// Rows of a table: kind, how many, part found, and the three commonest things found instead.
    pub(super) fn confusion(&self) -> Vec<Vec<String>> {
        let mut kinds: Vec<_> = self.kinds.iter().collect();
        kinds.sort_by_key(|(kind, (all, _))| (std::cmp::Reverse(*all), **kind));
        let row = |(kind, (all, instead)): (&Kind, &Missed)| {
            let missed: usize = instead.values().sum();
            let mut instead: Vec<_> = instead.iter().collect();
            instead.sort_by_key(|it| std::cmp::Reverse(it.1));
            let instead =
                instead.into_iter().take(3).map(|(what, count)| format!("{what} ({count})"));
            vec![
                format!("{}-{}", kind.0, kind.1),
                all.to_string(),
                format!("{:.3}", number(all - missed) / number(*all)),
                instead.collect::<Vec<_>>().join(", "),
            ]
        };
        kinds.into_iter().map(row).collect()
    }
}

/// The sentences of a bead.
pub(super) fn numbers(bead: &Bead) -> Numbers {
    (bead.source.clone().collect(), bead.target.clone().collect())
}

/// Whether some bead joins a source sentence of another one to one of its target sentences.
fn meets(bead: &Numbers, others: &[Numbers]) -> bool {
    let joins = |other: &Numbers| {
        other.0.iter().any(|it| bead.0.contains(it)) && other.1.iter().any(|it| bead.1.contains(it))
    };
    others.iter().any(joins)
}

/// The kinds of the beads that hold the sentences of a bead that was missed.
fn in_place_of(bead: &Numbers, found: &[Numbers]) -> String {
    let meets = |other: &&Numbers| {
        other.0.iter().any(|it| bead.0.contains(it)) || other.1.iter().any(|it| bead.1.contains(it))
    };
    let kinds = found.iter().filter(meets).map(|it| format!("{}-{}", it.0.len(), it.1.len()));
    kinds.collect::<Vec<_>>().join("+")
}

/// A line of word links made by hand: source, target, pairs of words between spaces.
#[derive(Clone)]
pub(super) struct LinkedPair {
    pub(super) source: String,
    pub(super) target: String,
    pub(super) links: HashSet<(usize, usize)>,
}

impl LinkedPair {
    /// Whether one of the words of a link has other links too.
    pub(super) fn is_of_several(&self, link: (usize, usize)) -> bool {
        self.links.iter().any(|it| *it != link && (it.0 == link.0 || it.1 == link.1))
    }
}

/// Reads lines such as `ar ||| en ||| 0-0 1-2`.
pub(super) fn linked_pairs(path: &Path) -> anyhow::Result<Vec<LinkedPair>> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let line = |(number, line): (usize, &str)| {
        let parts: Vec<&str> = line.split(" ||| ").collect();
        let [source, target, links] = parts[..] else {
            anyhow::bail!("{}:{}: a line is `ar ||| en ||| 0-0 1-2`", path.display(), number + 1);
        };
        let link = |it: &str| {
            it.split_once('-').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)))
        };
        let links = links.split(' ').filter_map(link).collect();
        Ok(LinkedPair { source: source.to_owned(), target: target.to_owned(), links })
    };
    text.lines().enumerate().map(line).collect()
}

/// Part of the ranked items that are good at each good one's rank, on average: average precision.
pub(super) fn average_precision(ranked: impl Iterator<Item = bool>) -> f64 {
    let (mut good, mut sum) = (0_usize, 0.0);
    for (rank, is_good) in ranked.enumerate() {
        if is_good {
            good += 1;
            sum += number(good) / number(rank + 1);
        }
    }
    sum / number(good.max(1))
}

/// Hashes of all runs of words of a text by which it is known again; of a short text, one of the whole.
pub(super) fn fingerprints(text: &str) -> impl Iterator<Item = u64> {
    const WORDS: usize = 6;
    let words: Vec<&str> = text.split_whitespace().collect();
    let run = WORDS.min(words.len().max(1));
    let places: Range<usize> = 0..(words.len() + 1).saturating_sub(run);
    places.map(move |at| xxhash_rust::xxh3::xxh3_64(words[at..at + run].join(" ").as_bytes()))
}

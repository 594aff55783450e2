//! `dhakira bench align`: measures beads, their confidence, word links and quality checks against known answers.

mod free;
mod gold;

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{fs, io};

use anyhow::Context as _;
use clap::Args;
use rayon::prelude::*;

use crate::alignment::{Bead, Corpus, Lexicon, Side, align_document, builtin, judge, link_words};
use crate::terminal::table;
use crate::text::{Analyzer, Token};
use crate::unit::Lang;

use free::free_documents;
use gold::{Document, Score, average_precision, fingerprints, linked_pairs, numbers};

use super::corpus::read_units;
use super::grow::Random;
use super::measure::{Figures, number, peak_resident_mb};

/// Measures alignment against known answers: cold, with the built-in lexicon; warm, each half of the documents after training on
/// memories and the other half.
#[derive(Debug, Args)]
#[command(
    after_help = "DOCS holds NAME.ar, NAME.en (one sentence a line) and NAME.gold (`[0]:[0, 1]` a line) for each name in \
    LIST. Cold figures are of all documents; warm ones of each half of them (every other document of a family), after learning from the other half \
    and from the files given with --memory, less every pair that shares six words in a row with a document that is scored."
)]
pub(super) struct BenchAlign {
    /// Directory of the documents.
    #[arg(long, value_name = "DOCS")]
    docs: PathBuf,
    /// File with the names of the documents, one a line.
    #[arg(long, value_name = "LIST")]
    list: PathBuf,
    /// One more document, by its path without ending; its wrong beads are counted; may be repeated.
    #[arg(long, value_name = "BASE")]
    article: Vec<PathBuf>,
    /// A file of units to train on; may be repeated. Without any, only cold alignment is measured.
    #[arg(long, value_name = "FILE")]
    memory: Vec<PathBuf>,
    /// Sentence pairs whose words were linked by hand, `ar ||| en ||| 0-0 1-2` a line.
    #[arg(long, value_name = "FILE")]
    links: Option<PathBuf>,
    /// A file of units of which one in twenty gets the target of another, to be found again.
    #[arg(long, value_name = "FILE")]
    hygiene: Option<PathBuf>,
    /// Also align so many lines a side at once: documents of the family `biblebook`, over and over.
    #[arg(long, value_name = "LINES", default_value_t = 0)]
    long: usize,
    /// Also align the documents of the families `bible` and `ntrex_nat` as a free translator would leave them: sentences broken at
    /// clauses, and this part of the words replaced by other words, from 0 to 1; may be repeated.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    free: Vec<f64>,
    /// Show what was found in place of each kind of bead, and this many of the worst documents.
    #[arg(long, value_name = "DOCUMENTS", num_args = 0..=1, default_missing_value = "10")]
    explain: Option<usize>,
    /// Write a line for each bead that was found: temperature, family, confidence, whether it is right.
    #[arg(long, value_name = "FILE")]
    confidences: Option<PathBuf>,
    /// One JSON object with all figures.
    #[arg(long)]
    json: bool,
}

/// What reads both sides.
struct Analyzers {
    source: Analyzer,
    target: Analyzer,
}

type Aligned<'a> = (&'a Document, Vec<Bead>);

impl BenchAlign {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let langs: (Lang, Lang) = ("ar".parse()?, "en".parse()?);
        let analyzers =
            Analyzers { source: Analyzer::new(&langs.0), target: Analyzer::new(&langs.1) };
        let built_in = builtin(&langs.0, &langs.1);
        let documents = self.documents()?;
        let free = self.free.iter().flat_map(|share| free_documents(&documents, *share));
        let free: Vec<Document> = free.collect();
        let articles = self.article.iter().map(|it| Document::read(it));
        let articles = articles.collect::<anyhow::Result<Vec<_>>>()?;
        let mut figures = Figures::default();
        let all: Vec<&Document> = documents.iter().chain(&free).collect();
        let articles: Vec<&Document> = articles.iter().collect();
        let cold = align_all(&all, &analyzers, &[built_in])?;
        let of_articles = align_all(&articles, &analyzers, &[built_in])?;
        self.score("cold", &mut figures, cold, &of_articles)?;
        self.link("cold", &mut figures, &analyzers, &[built_in])?;
        if self.long > 0 {
            long_document(&mut figures, &all, self.long, &analyzers, built_in)?;
        }
        if !self.memory.is_empty() {
            self.warm(&mut figures, &all, &articles, &analyzers, built_in)?;
        }
        if let Some(file) = &self.hygiene {
            hygiene(&mut figures, file, &analyzers, &langs)?;
        }
        figures.put("peak_resident_mb", peak_resident_mb());
        figures.show(self.json)
    }

    /// Each half of the documents is scored after learning from the other one.
    fn warm(
        &self,
        figures: &mut Figures,
        documents: &[&Document],
        articles: &[&Document],
        analyzers: &Analyzers,
        built_in: &Lexicon,
    ) -> anyhow::Result<()> {
        let halves = halves(documents);
        let (mut warm, mut of_articles) = (Vec::new(), Vec::new());
        for (learnt_from, scored) in [(&halves.0, &halves.1), (&halves.1, &halves.0)] {
            let corpus = self.corpus(learnt_from, scored, analyzers)?;
            let pairs = number(corpus.len());
            let since = Instant::now();
            let learnt = corpus.train(&|| false, &|_| ())?;
            let seconds = since.elapsed().as_secs_f64();
            let lexicons = [built_in, &learnt];
            if warm.is_empty() {
                figures.put("warm_pairs_learnt", pairs);
                figures.put("warm_training_seconds", seconds);
                of_articles = align_all(articles, analyzers, &lexicons)?;
                self.link("warm", figures, analyzers, &lexicons)?;
            }
            warm.extend(align_all(scored, analyzers, &lexicons)?);
        }
        self.score("warm", figures, warm, &of_articles)
    }

    fn documents(&self) -> anyhow::Result<Vec<Document>> {
        let doing = || format!("reading {}", self.list.display());
        let names = fs::read_to_string(&self.list).with_context(doing)?;
        names.split_whitespace().map(|name| Document::read(&self.docs.join(name))).collect()
    }

    /// Says how well documents were aligned, by family and over all.
    fn score(
        &self,
        temperature: &str,
        figures: &mut Figures,
        aligned: Vec<Aligned<'_>>,
        articles: &[Aligned<'_>],
    ) -> anyhow::Result<()> {
        let mut families: BTreeMap<&str, Score> = BTreeMap::new();
        for (document, beads) in &aligned {
            families.entry(document.family()).or_default().add(beads, &document.gold);
        }
        let mut all = Score::default();
        let mut calibration_error_max: f64 = 0.0;
        let mut lines = String::new();
        for (family, score) in families {
            figures.put(format!("{temperature}_{family}_f1"), score.f1());
            figures.put(format!("{temperature}_{family}_lax_f1"), score.lax_f1());
            figures.put(
                format!("{temperature}_{family}_false_one_sided"),
                number(score.false_one_sided()),
            );
            figures.put(
                format!("{temperature}_{family}_calibration_error"),
                score.calibration_error(),
            );
            calibration_error_max = calibration_error_max.max(score.calibration_error());
            for (confidence, right) in score.confidences() {
                let right = u8::from(*right);
                // Writing to a string cannot fail.
                let _ = writeln!(lines, "{temperature}	{family}	{confidence}	{right}");
            }
            all.extend(score);
        }
        figures.put(format!("{temperature}_calibration_error"), all.calibration_error());
        figures.put(format!("{temperature}_calibration_error_max"), calibration_error_max);
        if let Some(path) = &self.confidences {
            let file = fs::File::options().create(true).append(true).open(path);
            file.and_then(|mut file| io::Write::write_all(&mut file, lines.as_bytes()))
                .with_context(|| format!("writing {}", path.display()))?;
        }
        for (document, beads) in articles {
            let mut score = Score::default();
            score.add(beads, &document.gold);
            figures.put(
                format!("{temperature}_{}_beads_missed", document.name),
                number(score.wrong()),
            );
            if self.explain.is_some() {
                explain(document, beads);
            }
        }
        if let Some(most) = self.explain {
            note!("\n{temperature}: kind, beads, found, what was found instead");
            note!("{}", table(&all.confusion()).trim_end());
            worst(aligned, most);
        }
        Ok(())
    }

    /// Links the words of the pairs that were linked by hand.
    fn link(
        &self,
        temperature: &str,
        figures: &mut Figures,
        analyzers: &Analyzers,
        lexicons: &[&Lexicon],
    ) -> anyhow::Result<()> {
        let Some(path) = &self.links else { return Ok(()) };
        let (mut found, mut wanted, mut right, mut missed_of_several) = (0, 0, 0, 0);
        for pair in linked_pairs(path)? {
            let source = analyzers.source.analyze(&pair.source);
            let target = analyzers.target.analyze(&pair.target);
            let word = |text: &str, at: usize| text[..at].split(' ').count() - 1;
            let start =
                |analysis: &crate::text::Analysis, token: &Token| analysis.span(token).start;
            let links = link_words(&source, &target, lexicons, &|| false)?;
            let links = links.into_iter().map(|link| {
                let here = start(&source, &source.tokens()[link.source]);
                let there = start(&target, &target.tokens()[link.target]);
                (word(&pair.source, here), word(&pair.target, there))
            });
            let links: HashSet<(usize, usize)> = links.collect();
            found += links.len();
            wanted += pair.links.len();
            right += links.intersection(&pair.links).count();
            let missed = pair.links.difference(&links);
            missed_of_several += missed.filter(|it| pair.is_of_several(**it)).count();
        }
        // All links of the gold are sure ones (Och and Ney, Computational Linguistics 29, 2003).
        let error_rate = 1.0 - 2.0 * number(right) / number(found + wanted);
        figures.put(format!("{temperature}_alignment_error_rate"), error_rate);
        // Part of the errors, false links included.
        let errors = (wanted - right) + (found - right);
        let of_several = number(missed_of_several) / number(errors.max(1));
        figures.put(format!("{temperature}_link_errors_one_to_many"), of_several);
        Ok(())
    }

    fn corpus(
        &self,
        learnt_from: &[&Document],
        scored: &[&Document],
        analyzers: &Analyzers,
    ) -> anyhow::Result<Corpus> {
        let known: HashSet<u64> = scored
            .iter()
            .flat_map(|it| it.source.iter().flat_map(|text| fingerprints(text)))
            .collect();
        let mut corpus = Corpus::default();
        let mut add = |source: &str, target: &str| {
            if !fingerprints(source).any(|it| known.contains(&it)) {
                corpus.add(&analyzers.source.analyze(source), &analyzers.target.analyze(target));
            }
        };
        for file in &self.memory {
            for unit in read_units(file, usize::MAX)? {
                add(&unit.source.text, &unit.target.text);
            }
        }
        let mut seen = HashSet::new();
        for document in learnt_from {
            let both = document.gold.iter().filter(|it| !it.0.is_empty() && !it.1.is_empty());
            for (source, target) in both.map(|bead| document.texts(bead)) {
                if seen.insert(xxhash_rust::xxh3::xxh3_64(source.as_bytes())) {
                    add(&source, &target);
                }
            }
        }
        // Every aligner of words learns from the sentences that it links.
        for pair in
            self.links.iter().map(|it| linked_pairs(it)).collect::<Result<Vec<_>, _>>()?.concat()
        {
            add(&pair.source, &pair.target);
        }
        Ok(corpus)
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("'{text}' is not a share from 0 to 1, such as 0.3"))
}

/// Every other document of each family, and the rest.
fn halves<'a>(documents: &[&'a Document]) -> (Vec<&'a Document>, Vec<&'a Document>) {
    let mut of_family: BTreeMap<&str, usize> = BTreeMap::new();
    documents.iter().partition(|document| {
        let count = of_family.entry(document.family()).or_default();
        *count += 1;
        *count % 2 == 1
    })
}

fn align(
    document: &Document,
    analyzers: &Analyzers,
    lexicons: &[&Lexicon],
) -> anyhow::Result<Vec<Bead>> {
    let source = Side::new(document.source.iter().map(String::as_str), &analyzers.source);
    let target = Side::new(document.target.iter().map(String::as_str), &analyzers.target);
    Ok(align_document(&source, &target, lexicons, &|| false, &mut |_| ())?)
}

fn align_all<'a>(
    documents: &[&'a Document],
    analyzers: &Analyzers,
    lexicons: &[&Lexicon],
) -> anyhow::Result<Vec<Aligned<'a>>> {
    let documents = documents.par_iter();
    documents.map(|document| Ok((*document, align(document, analyzers, lexicons)?))).collect()
}

/// Shows the beads of a document that are wrong, and what they should be.
fn explain(document: &Document, beads: &[Bead]) {
    let found: HashSet<_> = beads.iter().map(numbers).collect();
    let gold: HashSet<_> = document.gold.iter().cloned().collect();
    note!(
        "\n{}: {} of {} beads missed",
        document.name,
        gold.difference(&found).count(),
        gold.len()
    );
    for bead in &document.gold {
        if !found.contains(bead) {
            let (source, target) = document.texts(bead);
            note!("  missed {:?}:{:?}  {source} | {target}", bead.0, bead.1);
        }
    }
    for bead in beads.iter().filter(|bead| !gold.contains(&numbers(bead))) {
        note!("  found  {:?}:{:?}  {:.2}", bead.source, bead.target, bead.confidence);
    }
}

/// Shows the documents with the most wrong beads.
fn worst(aligned: Vec<Aligned<'_>>, most: usize) {
    let f1 = |(document, beads): &Aligned<'_>| {
        let mut score = Score::default();
        score.add(beads, &document.gold);
        score.f1()
    };
    let mut ranked: Vec<(f64, Aligned<'_>)> = aligned.into_iter().map(|it| (f1(&it), it)).collect();
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (f1, (document, beads)) in ranked.iter().take(most) {
        note!("\nF1 {f1:.3}");
        explain(document, beads);
    }
}

/// Time and memory of one document as long as wanted.
fn long_document(
    figures: &mut Figures,
    documents: &[&Document],
    lines: usize,
    analyzers: &Analyzers,
    lexicon: &Lexicon,
) -> anyhow::Result<()> {
    let books: Vec<_> = documents.iter().filter(|it| it.family() == "biblebook").collect();
    anyhow::ensure!(!books.is_empty(), "--long needs documents of the family biblebook");
    let repeated = |side: fn(&Document) -> &Vec<String>| -> Vec<String> {
        books.iter().flat_map(|it| side(it).iter().cloned()).cycle().take(lines).collect()
    };
    let document = Document {
        name: "long".to_owned(),
        source: repeated(|it| &it.source),
        target: repeated(|it| &it.target),
        gold: Vec::new(),
    };
    let since = Instant::now();
    align(&document, analyzers, &[lexicon])?;
    figures.put("long_document_seconds", since.elapsed().as_secs_f64());
    figures.put("long_document_peak_resident_mb", peak_resident_mb());
    Ok(())
}

/// Gives one unit in twenty the target of the next one of those, and looks for them by what all of them teach.
fn hygiene(
    figures: &mut Figures,
    file: &Path,
    analyzers: &Analyzers,
    langs: &(Lang, Lang),
) -> anyhow::Result<()> {
    const ONE_IN: usize = 20;
    let units = read_units(file, usize::MAX)?;
    let mut random = Random::new(3);
    let moved: Vec<usize> = (0..units.len()).filter(|_| random.below(ONE_IN) == 0).collect();
    let mut pairs: Vec<(&str, &str, bool)> =
        units.iter().map(|it| (&*it.source.text, &*it.target.text, false)).collect();
    for (at, next) in moved.iter().zip(moved.iter().cycle().skip(1)) {
        let target = &*units[*next].target.text;
        // The same text from elsewhere is no fault.
        pairs[*at].2 = target != pairs[*at].1;
        pairs[*at].1 = target;
    }
    let mut corpus = Corpus::default();
    for (source, target, _) in &pairs {
        corpus.add(&analyzers.source.analyze(source), &analyzers.target.analyze(target));
    }
    let learnt = corpus.train(&|| false, &|_| ())?;
    let lexicons = [builtin(&langs.0, &langs.1), &learnt];
    let judged = pairs.par_iter().map(|(source, target, is_moved)| {
        let (source, target) = (analyzers.source.analyze(source), analyzers.target.analyze(target));
        (judge((&source, &langs.0), (&target, &langs.1), &lexicons).suspicion, *is_moved)
    });
    let mut ranked: Vec<(f32, bool)> = judged.collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    figures.put("hygiene_units", number(units.len()));
    figures.put("hygiene_moved", number(ranked.iter().filter(|it| it.1).count()));
    figures.put("hygiene_average_precision", average_precision(ranked.iter().map(|it| it.1)));
    Ok(())
}

//! `align`: the sentences of a text with those of its translation.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::super::answer::{Answer, Failure, Room, check_length};
use super::super::session::Session;
use super::super::tool::Tool;
use crate::alignment::{Bead, pair_doubts};
use crate::client::AlignReport;
use crate::engine::DocumentPair;
use crate::limits::{MCP_DOCUMENT_BYTES_MAX, MCP_LEXICON_WAIT};
use crate::text::{SentenceOptions, SentenceRules};
use crate::unit::Lang;

pub(super) struct Align;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// The text, of at most 24 KiB. It is split into sentences; a line end ends one.
    source: String,
    /// Its translation, of at most 24 KiB.
    target: String,
    /// BCP-47, such as `ar`; the language of the memories when absent.
    source_language: Option<String>,
    /// BCP-47, such as `en`; the language of the memories when absent.
    target_language: Option<String>,
    /// Memories whose vocabulary helps; without them, a built-in lexicon does.
    #[serde(default)]
    memories: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// In order; every sentence is in exactly one.
    pairs: Vec<Pair>,
    /// Sentences of the source without a translation.
    untranslated: usize,
    /// Sentences of the target without a source.
    added: usize,
    /// Pairs of a confidence below 0.5.
    unsure: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    /// Pairs at the end that are left out, because the answer is full.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<usize>,
}

#[derive(Serialize, JsonSchema)]
struct Pair {
    /// One or more sentences; empty when the target was added.
    source: String,
    /// One or more sentences; empty when the source is not translated.
    target: String,
    /// 0 to 1.
    confidence: f32,
}

/// Pairs below it are counted as unsure.
const UNSURE: f32 = 0.5;

fn sentences(text: &str, lang: &Lang) -> Vec<String> {
    let sentences = SentenceRules::new(lang).split(text, SentenceOptions::default()).into_iter();
    sentences.map(|it| text[it.text].to_owned()).filter(|it| !it.is_empty()).collect()
}

/// Aligns with the lexicons of the memories; with the built-in one if they are not there in time.
async fn aligned(session: &mut Session, pair: &mut DocumentPair) -> Result<AlignReport, Failure> {
    if !pair.memories.is_empty() {
        let mut ignored = |_, _| ();
        let call = session.client.align_documents(pair, None, &mut ignored);
        if let Ok(report) = timeout(MCP_LEXICON_WAIT, call).await {
            return Ok(report?);
        }
        pair.memories.clear();
        let mut report = session.client.align_documents(pair, None, &mut |_, _| ()).await?;
        report.warnings.push(LEXICON_LATE.to_owned());
        return Ok(report);
    }
    Ok(session.client.align_documents(pair, None, &mut |_, _| ()).await?)
}

/// What is said when the lexicons of memories are not used.
pub(super) const LEXICON_LATE: &str = "the vocabulary of the memories was not ready in time, so that the built-in lexicon is used; \
    `dhakira train --memory NAME` prepares it";

fn output(pair: &DocumentPair, beads: &[Bead], warnings: Vec<String>) -> Output {
    let mut room = Room::default();
    let pairs = beads.iter().map(|bead| {
        let (source, target) = pair.texts(bead);
        Pair { source, target, confidence: bead.confidence }
    });
    let pairs: Vec<Pair> = pairs.take_while(|it| room.take(it)).collect();
    let count = |is: fn(&&Bead) -> bool| beads.iter().filter(is);
    let left_out = beads.len() - pairs.len();
    Output {
        pairs,
        untranslated: count(|it| it.target.is_empty()).map(|it| it.source.len()).sum(),
        added: count(|it| it.source.is_empty()).map(|it| it.target.len()).sum(),
        unsure: count(|it| it.confidence < UNSURE).count(),
        warnings,
        left_out: Some(left_out).filter(|it| *it > 0),
    }
}

fn text(output: &Output) -> String {
    let mut text = String::new();
    for warning in &output.warnings {
        let _ = writeln!(text, "Warning: {warning}");
    }
    for (number, Pair { source, target, confidence }) in (1..).zip(&output.pairs) {
        let [source, target] =
            [source, target].map(|it| if it.is_empty() { "(nothing)" } else { it });
        let _ =
            writeln!(text, "{number}. {confidence:.2}\n   source: {source}\n   target: {target}");
    }
    let Output { untranslated, added, unsure, .. } = output;
    let _ = writeln!(
        text,
        "{untranslated} sentences without a translation, {added} added sentences, {unsure} pairs of a confidence below {UNSURE}."
    );
    if let Some(left_out) = output.left_out {
        let _ = writeln!(
            text,
            "{left_out} pairs at the end are left out, because the answer is full: send shorter texts."
        );
    }
    text
}

impl Tool for Align {
    const NAME: &'static str = "align";
    const TITLE: &'static str = "Align a text and its translation";
    const DESCRIPTION: &'static str = "Pairs the sentences of a text with those of its translation, with a confidence from 0 to 1 for \
        each pair; shows what was not translated and what was added. Nothing is stored.";
    type Input = Input;
    type Output = Output;

    async fn call(input: Input, mut session: Session) -> Result<Answer<Output>, Failure> {
        check_length("source", &input.source, MCP_DOCUMENT_BYTES_MAX)?;
        check_length("target", &input.target, MCP_DOCUMENT_BYTES_MAX)?;
        let langs = (input.source_language.as_deref(), input.target_language.as_deref());
        let choice = session.languages(&input.memories, langs).await?;
        let (source, target) = (&choice.source_lang, &choice.target_lang);
        let mut pair = DocumentPair {
            source: sentences(&input.source, source),
            target: sentences(&input.target, target),
            source_lang: source.clone(),
            target_lang: target.clone(),
            memories: choice.memories,
        };
        let doubts =
            pair_doubts(&pair.source, &pair.target, (&pair.source_lang, &pair.target_lang));
        if let Some(doubt) = doubts.iter().find(|doubt| doubt.is_fatal()) {
            return Err(Failure::argument(doubt.to_string()));
        }
        let report = aligned(&mut session, &mut pair).await?;
        let mut warnings = report.warnings;
        for doubt in doubts.iter().map(ToString::to_string) {
            if !warnings.contains(&doubt) {
                warnings.push(doubt);
            }
        }
        let structured = output(&pair, &report.beads, warnings);
        let text = text(&structured);
        Ok(Answer { structured, text })
    }
}

//! `check`: a translation before it is handed over, or the suspect units of a memory.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::answer::{Answer, Failure, Room, check_length, check_range};
use super::super::matches::unit_name;
use super::super::session::{Choice, Session};
use super::super::tool::Tool;
use super::lookup::query;
use crate::alignment::{builtin, judge};
use crate::limits::{MCP_MATCHES_MAX, MCP_SEGMENT_BYTES_MAX, MCP_SUSPECTS_MAX};
use crate::matching::MatchKind;
use crate::text::Analyzer;
use crate::unit::Score;
use crate::validate::validate_text;

pub(super) struct Check;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// To check one translation: the text, of at most 16 KiB.
    source: Option<String>,
    /// To check one translation: the translation, of at most 16 KiB.
    target: Option<String>,
    /// Memories whose stored translations of the same text are compared; all of the language pair when absent.
    #[serde(default)]
    memories: Vec<String>,
    /// Only needed when the memories have several language pairs: BCP-47, such as `ar`.
    source_language: Option<String>,
    /// As `source_language`, such as `en`.
    target_language: Option<String>,
    /// To list the suspect units of a whole memory instead: its name.
    memory: Option<String>,
    /// With `memory`: least suspicion of a unit that is listed, 0 to 1; above 0.5 are the misaligned ones.
    #[serde(default = "min_suspicion")]
    #[schemars(range(min = 0, max = 1))]
    min_suspicion: f64,
    /// With `memory`: most units listed.
    #[serde(default = "max")]
    #[schemars(range(min = 1, max = MCP_SUSPECTS_MAX))]
    max: usize,
}

fn min_suspicion() -> f64 {
    0.3
}

fn max() -> usize {
    10
}

#[derive(Default, Serialize, JsonSchema)]
pub(super) struct Output {
    /// What is wrong with the one translation; nothing in most cases.
    issues: Vec<Issue>,
    /// Probability that the translation is wrong, 0 to 1; 0 without issues.
    suspicion: f32,
    /// Other stored translations of the same text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stored_otherwise: Vec<Stored>,
    /// The same translation is stored in this unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_as: Option<String>,
    /// The suspect units of the memory, worst first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suspects: Vec<Suspect>,
    /// Units of the memory that were checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    units_checked: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
struct Issue {
    /// `misaligned`, `wrong-language`, `untranslated`, `placeables`, `numbers` or `length`.
    name: String,
    meaning: &'static str,
}

#[derive(Serialize, JsonSchema)]
struct Stored {
    target: String,
    unit: String,
}

#[derive(Serialize, JsonSchema)]
struct Suspect {
    unit: String,
    /// 0 to 1.
    suspicion: f64,
    issues: Vec<Issue>,
    source: String,
    target: String,
}

impl Issue {
    fn new(name: &str) -> Self {
        let meaning = match name {
            "misaligned" => {
                "the texts hardly correspond: few words have a counterpart, or the lengths do not fit"
            }
            "wrong-language" => "one text is in the language of the other, by its letters",
            "untranslated" => "the target says the same as the source, word for word",
            "placeables" => "a placeholder, tag or address is on one side only",
            "numbers" => "a number or date is on one side only",
            "length" => "one text is far too long for the other",
            _ => "see the documentation of the server",
        };
        Self { name: name.to_owned(), meaning }
    }

    fn text(&self) -> String {
        format!("{}: {}", self.name, self.meaning)
    }
}

fn texts(issues: &[Issue]) -> String {
    issues.iter().map(Issue::text).collect::<Vec<_>>().join("; ")
}

/// Judges one translation by its words, numbers, placeholders and length.
fn judged(source: &str, target: &str, choice: &Choice) -> (Vec<Issue>, f32) {
    let (source_lang, target_lang) = (&choice.source_lang, &choice.target_lang);
    let source = Analyzer::new(source_lang).analyze(source);
    let target = Analyzer::new(target_lang).analyze(target);
    let lexicon = builtin(source_lang, target_lang);
    let verdict = judge((&source, source_lang), (&target, target_lang), &[lexicon]);
    let issues = verdict.names().into_iter().map(Issue::new).collect();
    let suspicion = if verdict.doubts.is_empty() { 0.0 } else { verdict.suspicion };
    (issues, suspicion)
}

async fn one(
    session: &mut Session,
    input: &Input,
    source: &str,
    target: &str,
) -> Result<Answer<Output>, Failure> {
    for (name, text) in [("source", source), ("target", target)] {
        check_length(name, text, MCP_SEGMENT_BYTES_MAX)?;
        validate_text(text)
            .map_err(|fault| Failure::argument(format!("`{name}`: {}", fault.message)))?;
    }
    let langs = (input.source_language.as_deref(), input.target_language.as_deref());
    let choice = session.choose(&input.memories, langs).await?;
    let (issues, suspicion) = judged(source, target, &choice);
    let mut output = Output { issues, suspicion, ..Output::default() };
    let settings = session.lookup(&choice.memories, Score::FULL, MCP_MATCHES_MAX);
    let found = session.client.lookup(&settings, vec![query(source, None, None)]).await?;
    let mut room = Room::default();
    for found in found.into_iter().flatten().filter(|it| it.kind != MatchKind::Fuzzy) {
        let unit = unit_name(&found.memory, found.unit.id);
        let stored = Stored { target: found.unit.content.target.text, unit };
        let is_known = output.stored_otherwise.iter().any(|it| it.target == stored.target);
        if stored.target.trim() == target.trim() {
            output.stored_as.get_or_insert(stored.unit);
        } else if !is_known && room.take(&stored) {
            output.stored_otherwise.push(stored);
        }
    }
    let mut text = String::new();
    if output.issues.is_empty() {
        text.push_str("No issue found.\n");
    } else {
        let _ = writeln!(text, "Suspicion {:.2}. {}", output.suspicion, texts(&output.issues));
    }
    if let Some(unit) = &output.stored_as {
        let _ = writeln!(text, "This translation is stored: {unit}");
    }
    for Stored { target, unit } in &output.stored_otherwise {
        let _ = writeln!(text, "Stored for the same text: {target} ({unit})");
    }
    Ok(Answer { structured: output, text })
}

async fn memory(
    session: &mut Session,
    input: &Input,
    name: &str,
) -> Result<Answer<Output>, Failure> {
    let memory = session.memory(name).await?.name;
    let most = check_range("max", input.max, 1..=MCP_SUSPECTS_MAX)?;
    let most = i32::try_from(most).unwrap_or(i32::MAX);
    let least = Some(input.min_suspicion);
    let (found, checked) = session.client.check_units(&memory, least, most, &mut |_, _| ()).await?;
    let mut text = String::new();
    let mut output = Output { units_checked: Some(checked), ..Output::default() };
    let mut room = Room::default();
    let mut left_out = 0;
    for found in found {
        let content = found.unit.content;
        let suspect = Suspect {
            unit: unit_name(&memory, found.unit.id),
            suspicion: found.suspicion,
            issues: found.reasons.iter().map(|name| Issue::new(name)).collect(),
            source: content.source.text,
            target: content.target.text,
        };
        if !room.take(&suspect) {
            left_out += 1;
            continue;
        }
        let Suspect { unit, suspicion, issues, source, target } = &suspect;
        let number = output.suspects.len() + 1;
        let _ = writeln!(
            text,
            "{number}. {suspicion:.2} {unit}: {}\n   source: {source}\n   target: {target}",
            texts(issues)
        );
        output.suspects.push(suspect);
    }
    let _ =
        writeln!(text, "{} suspect units shown; {checked} units checked.", output.suspects.len());
    if left_out > 0 {
        let _ = writeln!(
            text,
            "{left_out} long ones are left out, because the answer is full: use a smaller `max`."
        );
    }
    Ok(Answer { structured: output, text })
}

impl Tool for Check {
    const NAME: &'static str = "check";
    const TITLE: &'static str = "Check translations";
    const DESCRIPTION: &'static str = "Checks one translation (`source` and `target`): lost numbers, dates, placeholders and tags, \
        wrong language, nothing translated, texts that hardly correspond (by a built-in lexicon), and whether the memories translate the \
        same text otherwise. Or lists the suspect units of a whole memory (`memory`), which can take minutes for a large one. Does \
        not judge style or grammar.";
    type Input = Input;
    type Output = Output;

    async fn call(input: Input, mut session: Session) -> Result<Answer<Output>, Failure> {
        match (&input.source, &input.target, &input.memory) {
            (Some(source), Some(target), None) => one(&mut session, &input, source, target).await,
            (None, None, Some(name)) => memory(&mut session, &input, name).await,
            _ => Err(Failure::argument(
                "give either `source` and `target`, to check one translation, or `memory`, to list the suspect units of a memory",
            )),
        }
    }
}

//! `dhakira memories`: list, create, change and delete memories.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::client::{Client, MemoryInfo};
use crate::engine::{MemoryPatch, NewMemory};
use crate::limits::STATE_PENALTY_HUNDREDTHS;
use crate::unit::{ContextMode, Lang, MemoryName, PenaltyRule, Score, Scoring, ValidationError};
use crate::validate::parse_language;

use super::outcome::Outcome;
use super::penalties::WrittenRule;
use super::place::{MissingData, Place};
use crate::terminal::{grouped, json_line, table};

/// List, create, change and delete memories; lists them by default.
#[derive(Debug, Args)]
pub(super) struct Memories {
    #[command(flatten)]
    place: Place,
    /// One JSON object a memory, one a line.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show all memories.
    List,
    /// Show one memory.
    Show {
        /// Its name.
        name: MemoryName,
    },
    /// Create an empty memory.
    Create {
        /// Its name: letters, digits, '-', '_', '.'.
        name: MemoryName,
        /// Language of the sources.
        #[arg(long, value_name = "LANG", default_value = "ar", value_parser = parse_language)]
        source_lang: Lang,
        /// Language of the targets.
        #[arg(long, value_name = "LANG", default_value = "en", value_parser = parse_language)]
        target_lang: Lang,
        /// Display name.
        #[arg(long, value_name = "TEXT", default_value = "")]
        display_name: String,
        /// Description.
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
        /// Points that a match loses when its file marks the translation as unfinished, from 0 to 100; `default` is 10.
        #[arg(long, value_name = "POINTS", default_value = "default", value_parser = penalty)]
        unfinished_penalty: Penalty,
        /// Points that every match loses when a lookup does not give the memory points of its own, from 0 to 100.
        #[arg(long, visible_alias = "penalty", value_name = "POINTS", default_value = "0", value_parser = points)]
        default_penalty: Score,
        /// Deduct points from its matches that meet a condition, in every lookup, as `lookup --penalty-rule` does; may be repeated.
        #[arg(long = "penalty-rule", value_name = "CONDITION:POINTS")]
        penalty_rules: Vec<WrittenRule>,
        /// How contexts that are missing count: `simple`, never as agreeing; `double`, as agreeing when query and unit both lack the
        /// context and the other one (text flow or context id) agrees.
        #[arg(long, value_name = "MODE", default_value = "simple", value_parser = context_modes())]
        context_mode: ContextMode,
    },
    /// Change the display name, the description, what matches lose, and how missing contexts count.
    #[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
    Update {
        /// Its name.
        name: MemoryName,
        /// Display name.
        #[arg(long, value_name = "TEXT", group = "change")]
        display_name: Option<String>,
        /// Description.
        #[arg(long, value_name = "TEXT", group = "change")]
        description: Option<String>,
        /// Points that a match loses when its file marks the translation as unfinished, from 0 to 100; `default` is 10.
        #[arg(long, value_name = "POINTS", group = "change", value_parser = penalty)]
        unfinished_penalty: Option<Penalty>,
        /// Points that every match loses when a lookup does not give the memory points of its own, from 0 to 100.
        #[arg(long, visible_alias = "penalty", value_name = "POINTS", group = "change", value_parser = points)]
        default_penalty: Option<Score>,
        /// Deduct points from its matches that meet a condition, in every lookup, as `lookup --penalty-rule` does; may be repeated.
        /// Replaces all earlier rules of the memory.
        #[arg(long = "penalty-rule", value_name = "CONDITION:POINTS", group = "change")]
        penalty_rules: Vec<WrittenRule>,
        /// Remove all its rules.
        #[arg(long, group = "change", conflicts_with = "penalty_rules")]
        no_penalty_rules: bool,
        /// How contexts that are missing count: `simple`, never as agreeing; `double`, as agreeing when query and unit both lack the
        /// context and the other one (text flow or context id) agrees.
        #[arg(long, value_name = "MODE", group = "change", value_parser = context_modes())]
        context_mode: Option<ContextMode>,
    },
    /// Delete a memory.
    Delete {
        /// Its name.
        name: MemoryName,
        /// Delete its units too.
        #[arg(long)]
        force: bool,
    },
}

/// What a memory deducts from unfinished translations; `None` for the default.
#[derive(Debug, Clone, Copy)]
struct Penalty(Option<Score>);

fn penalty(text: &str) -> Result<Penalty, ValidationError> {
    if text == "default" {
        return Ok(Penalty(None));
    }
    let points = text.parse().map_err(|_| {
        ValidationError(format!("'{text}' is not a number from 0 to 100, or 'default'"))
    })?;
    Score::from_points(points).map(|score| Penalty(Some(score)))
}

fn points(text: &str) -> Result<Score, ValidationError> {
    let invalid = |_| ValidationError(format!("'{text}' is not a number from 0 to 100"));
    Score::from_points(text.parse().map_err(invalid)?)
}

fn rules(written: Vec<WrittenRule>) -> Vec<PenaltyRule> {
    written.into_iter().map(|WrittenRule(rule)| rule).collect()
}

/// Parses `simple` or `double`.
fn context_modes() -> impl TypedValueParser<Value = ContextMode> {
    let modes = [ContextMode::Simple, ContextMode::Double];
    PossibleValuesParser::new(modes.map(ContextMode::name))
        .map(move |name| modes.into_iter().find(|mode| mode.name() == name).unwrap_or_default())
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    display_name: &'a str,
    description: &'a str,
    source_lang: &'a str,
    target_lang: &'a str,
    units: u64,
    unfinished_penalty: f64,
    default_penalty: f64,
    penalty_rules: Vec<String>,
    context_mode: &'static str,
}

impl Memories {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let missing = match self.action {
            Some(Action::Create { .. }) => MissingData::Create,
            _ => MissingData::Refuse,
        };
        let mut client = self.place.client("memories", missing).await?;
        let shown = act(&mut client, self.action.unwrap_or(Action::List)).await?;
        report(&shown, self.json)?;
        Ok(Outcome::Done)
    }
}

async fn act(client: &mut Client, action: Action) -> anyhow::Result<Vec<MemoryInfo>> {
    Ok(match action {
        Action::List => {
            let memories = client.list_memories().await?;
            if memories.is_empty() {
                note!(
                    "dhakira: no memories yet; `dhakira import --memory NAME FILE` creates one from a file"
                );
            }
            memories
        }
        Action::Show { name } => vec![client.memory(&name).await?],
        Action::Create {
            name,
            source_lang,
            target_lang,
            display_name,
            description,
            unfinished_penalty: Penalty(unfinished_penalty),
            default_penalty,
            penalty_rules,
            context_mode,
        } => {
            let new = NewMemory {
                display_name,
                description,
                unfinished_penalty,
                scoring: Scoring {
                    default_penalty,
                    penalty_rules: rules(penalty_rules),
                    context_mode,
                },
                ..NewMemory::new(name, source_lang, target_lang)
            };
            vec![client.create_memory(new).await?]
        }
        Action::Update {
            name,
            display_name,
            description,
            unfinished_penalty,
            default_penalty,
            penalty_rules,
            no_penalty_rules,
            context_mode,
        } => {
            let named_rules = no_penalty_rules || !penalty_rules.is_empty();
            let unfinished_penalty = unfinished_penalty.map(|Penalty(penalty)| penalty);
            let patch = MemoryPatch {
                display_name,
                description,
                unfinished_penalty,
                default_penalty,
                penalty_rules: named_rules.then(|| rules(penalty_rules)),
                context_mode,
            };
            vec![client.update_memory(&name, patch).await?]
        }
        Action::Delete { name, force } => {
            client.delete_memory(&name, force).await?;
            note!("dhakira: memory '{name}' is deleted");
            Vec::new()
        }
    })
}

fn written(rules: &[PenaltyRule]) -> Vec<String> {
    rules.iter().map(|rule| WrittenRule(rule.clone()).to_string()).collect()
}

fn report(memories: &[MemoryInfo], json: bool) -> anyhow::Result<()> {
    if json {
        let default = f64::from(STATE_PENALTY_HUNDREDTHS) / 100.0;
        for memory in memories {
            json_line(&Line {
                name: memory.name.as_str(),
                display_name: &memory.display_name,
                description: &memory.description,
                source_lang: memory.source_lang.as_str(),
                target_lang: memory.target_lang.as_str(),
                units: memory.unit_count,
                unfinished_penalty: memory.unfinished_penalty.map_or(default, Score::points),
                default_penalty: memory.scoring.default_penalty.points(),
                penalty_rules: written(&memory.scoring.penalty_rules),
                context_mode: memory.scoring.context_mode.name(),
            })?;
        }
        return Ok(());
    }
    if memories.is_empty() {
        return Ok(());
    }
    let header = ["NAME", "LANGUAGES", "UNITS", "DESCRIPTION"].map(str::to_owned).to_vec();
    let rows = memories.iter().map(|memory| {
        let texts = [memory.display_name.as_str(), memory.description.as_str()];
        let about: Vec<&str> = texts.into_iter().filter(|text| !text.is_empty()).collect();
        vec![
            memory.name.to_string(),
            format!("{} > {}", memory.source_lang, memory.target_lang),
            grouped(memory.unit_count),
            about.join(": "),
        ]
    });
    show!("{}", table(&std::iter::once(header).chain(rows).collect::<Vec<_>>()))?;
    Ok(())
}

/// Creates a memory that another command needs, and reports it.
pub(super) async fn create_memory(
    client: &mut Client,
    name: &MemoryName,
    (source_lang, target_lang): (Lang, Lang),
) -> anyhow::Result<()> {
    let new = NewMemory::new(name.clone(), source_lang, target_lang);
    let made = client.create_memory(new).await?;
    note!("dhakira: created memory '{}' ({} to {})", made.name, made.source_lang, made.target_lang);
    Ok(())
}

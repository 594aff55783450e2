//! `dhakira operations`: starts, lists, shows, watches, cancels and deletes operations of a server, and shows their results.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::Serialize;
use tokio_stream::StreamExt as _;
use uuid::Uuid;

use crate::client::{Client, ImportOrder, OperationAnswer, OperationEnd, OperationInfo};
use crate::engine::CheckAction;
use crate::engine::backup::BackupDirectory;
use crate::formats::Format;
use crate::limits::{PAGE_SIZE_MAX, SUSPECTS_MAX};
use crate::unit::{MemoryName, Timestamp};

use super::import::Policy;
use super::outcome::Outcome;
use super::place::{MissingData, Place};
use crate::terminal::{Progress, grouped, isolate, json_line, paragraph, table};

/// Start long calls that a server finishes by itself, and show their progress and results.
///
/// An operation survives a restart of the server and is kept for seven days after its end.
#[derive(Debug, Args)]
pub(super) struct Operations {
    #[command(flatten)]
    place: Place,
    /// One JSON object a line on standard output, nothing else there.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the operations of the token, the newest first; all with the role admin of all memories.
    List {
        /// Most operations.
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// Show one operation.
    Show {
        /// Its name, with or without `operations/`.
        name: String,
    },
    /// Show the progress of an operation until it is done, and how it ended.
    Watch {
        /// Its name.
        name: String,
    },
    /// Show what the call of an operation has answered: diagnostics, beads, suspect units.
    Result {
        /// Its name.
        name: String,
        /// Backup directory that the part of a backup is added to; created when missing.
        #[arg(long, value_name = "DIR")]
        backup_dir: Option<PathBuf>,
    },
    /// Cancel an operation; what it has stored stays.
    Cancel {
        /// Its name.
        name: String,
    },
    /// Delete an operation that is done, with its result.
    Delete {
        /// Its name.
        name: String,
    },
    /// Upload a file and import it into a memory, which must exist.
    StartImport {
        /// The memory to fill.
        #[arg(long, short, value_name = "NAME")]
        memory: MemoryName,
        /// Format of the file; detected from its content when not given.
        #[arg(long, value_name = "FORMAT")]
        format: Option<Format>,
        /// What to do with a unit that the memory already has.
        #[arg(long, value_enum, default_value_t = Policy::SkipIdentical)]
        duplicates: Policy,
        /// The file.
        file: PathBuf,
    },
    /// Train the lexicon of a memory.
    StartTrain {
        /// The memory to train on.
        #[arg(long, short, value_name = "NAME")]
        memory: MemoryName,
    },
    /// Look for the suspect units of a memory.
    StartCheck {
        /// The memory to check.
        #[arg(long, short, value_name = "NAME")]
        memory: MemoryName,
        /// Least suspicion of a unit that is listed, from 0 to 1.
        #[arg(long, value_name = "SUSPICION", default_value_t = 0.3)]
        min_suspicion: f64,
        /// Most units listed.
        #[arg(long, value_name = "UNITS", default_value_t = 1_000, value_parser = clap::value_parser!(i32).range(1..=SUSPECTS_MAX as i64))]
        max: i32,
    },
    /// Save all memories, to be fetched with `result --backup-dir`.
    StartBackup {
        /// Save only what came after the last part in this backup directory.
        #[arg(long, value_name = "DIR")]
        after: Option<PathBuf>,
    },
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    kind: &'a str,
    created: Option<String>,
    ended: Option<String>,
    done: bool,
    stage: Option<&'a str>,
    progress: Option<f64>,
    error: Option<&'a str>,
    counts: Option<BTreeMap<&'a str, u64>>,
}

#[derive(Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
enum ResultLine<'a> {
    Diagnostic {
        line: u64,
        unit: u64,
        cause: &'a str,
        message: &'a str,
    },
    Sentences {
        side: &'a str,
        sentences: &'a [String],
    },
    Bead {
        source: [usize; 2],
        target: [usize; 2],
        confidence: f32,
    },
    Suspect {
        unit: String,
        suspicion: f64,
        reasons: &'a [String],
        source: &'a str,
        target: &'a str,
    },
    Summary {
        counts: BTreeMap<&'a str, u64>,
    },
}

impl Operations {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        self.place.check_server("operations run on a server")?;
        let mut client = self.place.client("operations", MissingData::Refuse).await?;
        let json = self.json;
        let started = match self.action {
            Action::List { limit } => return list(&mut client, limit, json).await,
            Action::Show { name } => client.operation(&full(&name)).await?,
            Action::Watch { name } => return watch(&mut client, &full(&name), json).await,
            Action::Result { name, backup_dir } => {
                return match backup_dir {
                    Some(directory) => add_part(&mut client, &full(&name), &directory).await,
                    None => result(&mut client, &full(&name), json).await,
                };
            }
            Action::Cancel { name } => {
                let name = full(&name);
                client.cancel_operation(&name).await?;
                client.operation(&name).await?
            }
            Action::Delete { name } => {
                client.delete_operation(&full(&name)).await?;
                note!("dhakira: {} is deleted", full(&name));
                return Ok(Outcome::Done);
            }
            Action::StartImport { memory, format, duplicates, file } => {
                let opened = open(&file).with_context(|| format!("opening {}", file.display()))?;
                let order = ImportOrder {
                    memory,
                    id: Uuid::new_v4(),
                    policy: duplicates.into(),
                    check: CheckAction::None,
                    report_outcomes: false,
                };
                client.start_import(order, format, opened).await?
            }
            Action::StartTrain { memory } => client.start_train(&memory).await?,
            Action::StartCheck { memory, min_suspicion, max } => {
                client.start_check(&memory, Some(min_suspicion), max).await?
            }
            Action::StartBackup { after } => {
                let last = after.map(|it| BackupDirectory::open(&it)).transpose()?;
                let after = last.and_then(|it| it.last());
                client.start_backup(after.is_none(), after).await?
            }
        };
        show(&started, json)?;
        Ok(Outcome::Done)
    }
}

fn full(name: &str) -> String {
    if name.contains('/') { name.to_owned() } else { format!("operations/{name}") }
}

fn open(path: &Path) -> std::io::Result<(File, u64)> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    Ok((file, bytes))
}

async fn list(client: &mut Client, limit: usize, json: bool) -> anyhow::Result<Outcome> {
    let mut operations: Vec<OperationInfo> = Vec::new();
    let mut token = String::new();
    while operations.len() < limit {
        let size = (limit - operations.len()).min(PAGE_SIZE_MAX);
        let (page, next) = client.list_operations((size, token)).await?;
        operations.extend(page);
        if next.is_empty() {
            break;
        }
        token = next;
    }
    if json {
        for operation in &operations {
            show(operation, true)?;
        }
    } else if !operations.is_empty() {
        let header = ["NAME", "KIND", "STARTED", "STATE"].map(str::to_owned).to_vec();
        let rows = operations.iter().map(|it| {
            vec![
                it.name.clone(),
                it.kind.to_owned(),
                time(it.created).unwrap_or_default(),
                state(it),
            ]
        });
        show!("{}", table(&std::iter::once(header).chain(rows).collect::<Vec<_>>()))?;
    }
    Ok(Outcome::Done)
}

async fn watch(client: &mut Client, name: &str, json: bool) -> anyhow::Result<Outcome> {
    let mut states = client.watch_operation(name).await?;
    let bar = Progress::new();
    let mut last = None;
    while let Some(state) = states.next().await {
        let state = state?;
        if let Some((stage, fraction)) = state.progress {
            bar.show(stage, fraction);
        }
        last = Some(state);
    }
    drop(bar);
    let last = last.context("the server ended the watch at once")?;
    show(&last, json)?;
    match last.end {
        Some(OperationEnd::Failed(_, message)) => anyhow::bail!("{name} failed: {message}"),
        _ => Ok(Outcome::Done),
    }
}

async fn result(client: &mut Client, name: &str, json: bool) -> anyhow::Result<Outcome> {
    let mut answers = client.operation_result(name).await?;
    while let Some(part) = answers.next().await {
        for answer in part? {
            show_answer(&answer, json)?;
        }
    }
    Ok(Outcome::Done)
}

/// Adds the part of a backup to a backup directory.
async fn add_part(client: &mut Client, name: &str, directory: &Path) -> anyhow::Result<Outcome> {
    let mut answers = client.operation_result(name).await?;
    let mut backup = BackupDirectory::create(directory)?;
    let mut part = backup.begin()?;
    let copied = async {
        let mut summary = None;
        while let Some(answers) = answers.next().await {
            for answer in answers? {
                match answer {
                    OperationAnswer::Content(bytes) => {
                        std::io::Write::write_all(&mut part, &bytes)?;
                    }
                    OperationAnswer::Backup(info) => summary = Some(info),
                    _ => anyhow::bail!("{name} is not a backup"),
                }
            }
        }
        summary.with_context(|| format!("{name} is not a backup"))
    };
    let info = match copied.await {
        Ok(info) if info.part.full || info.part.commits > 0 => info,
        Ok(info) => {
            part.discard();
            note!("dhakira: nothing new since commit {}", info.part.through.sequence.0);
            return Ok(Outcome::Done);
        }
        Err(error) => {
            part.discard();
            return Err(error);
        }
    };
    if let Some(tokens_required) = info.tokens_required {
        backup.record_access(tokens_required)?;
    }
    let part = backup.add(part, info.part)?;
    say!("{}: up to commit {}", part.file, part.through.sequence.0)?;
    Ok(Outcome::Done)
}

fn show_answer(answer: &OperationAnswer, json: bool) -> anyhow::Result<()> {
    let line = match answer {
        OperationAnswer::Diagnostic { line, unit, cause, message } => {
            ResultLine::Diagnostic { line: *line, unit: *unit, cause, message }
        }
        OperationAnswer::Sentences(is_source, sentences) => {
            ResultLine::Sentences { side: if *is_source { "source" } else { "target" }, sentences }
        }
        OperationAnswer::Bead(bead) => ResultLine::Bead {
            source: [bead.source.start, bead.source.end],
            target: [bead.target.start, bead.target.end],
            confidence: bead.confidence,
        },
        OperationAnswer::Suspect(it) => ResultLine::Suspect {
            unit: it.unit.id.to_string(),
            suspicion: it.suspicion,
            reasons: &it.reasons,
            source: &it.unit.content.source.text,
            target: &it.unit.content.target.text,
        },
        OperationAnswer::Summary(counts) => {
            ResultLine::Summary { counts: counts.iter().copied().collect() }
        }
        OperationAnswer::Content(_) | OperationAnswer::Backup(_) => {
            anyhow::bail!("this is a backup: --backup-dir DIR adds it to a backup directory")
        }
    };
    if json {
        return json_line(&line);
    }
    match line {
        ResultLine::Diagnostic { line, unit, cause, message } => {
            say!("line {line}, unit {unit}: {cause}: {message}")
        }
        ResultLine::Sentences { side, sentences } => {
            sentences.iter().try_for_each(|it| say!("{side}: {}", isolate(it)))
        }
        ResultLine::Bead { source, target, confidence } => {
            let numbers =
                |[start, end]: [usize; 2]| format!("{:?}", (start..end).collect::<Vec<_>>());
            say!("{}:{}\t{confidence:.4}", numbers(source), numbers(target))
        }
        ResultLine::Suspect { unit, suspicion, reasons, source, target } => {
            say!("{suspicion:.2}  {}  unit {unit}", reasons.join(", "))?;
            say!("      {}\n      {}", paragraph(source, 6), paragraph(target, 6))
        }
        ResultLine::Summary { .. } => Ok(()),
    }
}

fn time(time: Option<Timestamp>) -> Option<String> {
    let time = jiff::Timestamp::from_microsecond(time?.micros).ok()?;
    Some(time.to_string())
}

/// The state of an operation in some words.
fn state(operation: &OperationInfo) -> String {
    match (&operation.end, operation.progress) {
        (Some(OperationEnd::Failed(tonic::Code::Cancelled, _)), _) => "cancelled".to_owned(),
        (Some(OperationEnd::Failed(_, message)), _) => format!("failed: {message}"),
        (Some(OperationEnd::Done(counts)), _) => {
            let count = |(name, count): &(&str, u64)| {
                format!("{} {}", grouped(*count), name.replace('_', " "))
            };
            let counts = counts.iter().filter(|(_, count)| *count > 0).map(count);
            format!("done: {}", counts.collect::<Vec<_>>().join(", "))
        }
        (None, Some((stage, fraction))) => format!("{stage}, {:.0} %", 100.0 * fraction),
        (None, None) => "waiting".to_owned(),
    }
}

fn show(operation: &OperationInfo, json: bool) -> anyhow::Result<()> {
    if !json {
        return say!("{}: {}, {}", operation.name, operation.kind, state(operation));
    }
    let (error, counts) = match &operation.end {
        Some(OperationEnd::Failed(_, message)) => (Some(message.as_str()), None),
        Some(OperationEnd::Done(counts)) => (None, Some(counts.iter().copied().collect())),
        None => (None, None),
    };
    json_line(&Line {
        name: &operation.name,
        kind: operation.kind,
        created: time(operation.created),
        ended: time(operation.ended),
        done: operation.end.is_some(),
        stage: operation.progress.map(|(stage, _)| stage),
        progress: operation.progress.map(|(_, fraction)| fraction),
        error,
        counts,
    })
}

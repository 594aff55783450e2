//! `dhakira units`: list, show, roll back, delete and change units.

use std::collections::BTreeMap;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::Serialize;
use uuid::Uuid;

use crate::client::{Client, Matched, MatchingUnits};
use crate::engine::{ListQuery, UnitFilter, UnitOrder};
use crate::limits::{BATCH_UNITS_MAX, PAGE_SIZE_MAX};
use crate::unit::{MemoryName, Timestamp, Unit, UnitContent, UnitId};

use super::filter::FilterFlags;
use super::outcome::Outcome;
use super::place::{MissingData, Place};
use crate::terminal::{counted, isolate, json_line, table};

/// List, show, roll back, delete and change the units of a memory.
#[derive(Debug, Args)]
pub(super) struct Units {
    #[command(flatten)]
    place: Place,
    /// The memory.
    #[arg(long, global = true, value_name = "NAME")]
    memory: Option<MemoryName>,
    /// One JSON object a unit, one a line.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show units: all, or those that match.
    List {
        #[command(flatten)]
        filter: FilterFlags,
        /// Order by the creation, the last change, the number of uses or the last use, instead of by number.
        #[arg(long, value_name = "ORDER")]
        order_by: Option<Order>,
        /// The greatest or latest first.
        #[arg(long, requires = "order_by")]
        descending: bool,
        /// Most units.
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// Show single units.
    Get {
        /// Their numbers.
        #[arg(required = true, value_name = "UNIT")]
        units: Vec<u64>,
    },
    /// Show the contents that a unit has had, the newest first, as far as the commit log goes back.
    History {
        /// Its number.
        unit: u64,
    },
    /// Give a unit the content of an earlier revision, as a new revision.
    Rollback {
        /// Its number.
        unit: u64,
        /// The revision, as `history` lists it.
        #[arg(long, value_name = "N")]
        revision: u64,
    },
    /// Delete units: by their numbers, or all that match. Without --yes, only says how many match.
    Delete {
        /// Their numbers.
        #[arg(value_name = "UNIT")]
        units: Vec<u64>,
        #[command(flatten)]
        filter: FilterFlags,
        /// Delete those that match, after counting them.
        #[arg(long)]
        yes: bool,
    },
    /// Change the author, document or attributes of all units that match. Without --yes, only says how many match.
    #[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
    Update {
        #[command(flatten)]
        filter: FilterFlags,
        /// The new author.
        #[arg(long, value_name = "NAME", group = "change")]
        set_author: Option<String>,
        /// The new document.
        #[arg(long, value_name = "NAME", group = "change")]
        set_document: Option<String>,
        /// An attribute to set; may be repeated.
        #[arg(long, value_name = "KEY=VALUE", group = "change", value_parser = key_value)]
        set_attribute: Vec<(String, String)>,
        /// An attribute to remove; may be repeated.
        #[arg(long, value_name = "KEY", group = "change")]
        remove_attribute: Vec<String>,
        /// Change them, after counting them.
        #[arg(long)]
        yes: bool,
    },
}

/// What units are listed by.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Order {
    Created,
    Changed,
    Uses,
    LastUse,
}

impl From<Order> for UnitOrder {
    fn from(order: Order) -> Self {
        match order {
            Order::Created => Self::Created,
            Order::Changed => Self::Changed,
            Order::Uses => Self::UseCount,
            Order::LastUse => Self::LastUse,
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    unit: String,
    revision: u64,
    source: &'a str,
    target: &'a str,
    document: &'a str,
    author: &'a str,
    created: Option<String>,
    changed: Option<String>,
    use_count: u64,
    last_use: Option<String>,
    attributes: &'a BTreeMap<String, String>,
}

/// The result of a change by filter, with `--json`.
#[derive(Serialize)]
struct MatchedLine {
    matching: u64,
    changed: u64,
}

impl Units {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let Self { place, memory, json, action } = self;
        let memory = memory.context("say of which memory: --memory NAME")?;
        let mut client = place.client("units", MissingData::Refuse).await?;
        match action {
            Action::List { filter, order_by, descending, limit } => {
                let order = order_by.map(UnitOrder::from).unwrap_or_default();
                let query = ListQuery { filter: filter.filter(), order, descending };
                let units = list(&mut client, &memory, &query, limit).await?;
                show_units(&memory, &units, json)?;
            }
            Action::Get { units } => {
                let units = client.get_units(&memory, &ids(&units)).await?;
                show_units(&memory, &units, json)?;
            }
            Action::History { unit } => {
                let revisions = client.unit_revisions(&memory, UnitId(unit)).await?;
                show_units(&memory, &revisions, json)?;
            }
            Action::Rollback { unit, revision } => {
                let id = UnitId(unit);
                let unit = client.rollback_unit(&memory, id, revision, Uuid::new_v4()).await?;
                show_units(&memory, &[unit], json)?;
            }
            Action::Delete { units, filter, yes } => {
                let which = (units, filter.filter());
                return delete(&mut client, &memory, which, (yes, json)).await;
            }
            Action::Update {
                filter,
                set_author,
                set_document,
                set_attribute,
                remove_attribute,
                yes,
            } => {
                let filter = filter.filter();
                anyhow::ensure!(
                    filter != UnitFilter::default(),
                    "say which units by flags such as --by-author or --in-document"
                );
                let (content, paths) =
                    update((set_author, set_document), set_attribute, remove_attribute);
                let change = || MatchingUnits::Update(Box::new(content.clone()), paths.clone());
                return change_matching(&mut client, (&memory, &filter), change, (yes, json)).await;
            }
        }
        Ok(Outcome::Done)
    }
}

fn ids(numbers: &[u64]) -> Vec<UnitId> {
    numbers.iter().map(|number| UnitId(*number)).collect()
}

/// Deletes units by their numbers, or those that match.
async fn delete(
    client: &mut Client,
    memory: &MemoryName,
    (units, filter): (Vec<u64>, UnitFilter),
    flags: (bool, bool),
) -> anyhow::Result<Outcome> {
    anyhow::ensure!(
        units.is_empty() != (filter == UnitFilter::default()),
        "say which units: by their numbers, or by flags such as --by-author; not both"
    );
    if units.is_empty() {
        let change = || MatchingUnits::Delete;
        return change_matching(client, (memory, &filter), change, flags).await;
    }
    anyhow::ensure!(
        units.len() <= BATCH_UNITS_MAX,
        "{} units; at most {BATCH_UNITS_MAX} at a time",
        units.len()
    );
    client.delete_units(memory, &ids(&units), Uuid::new_v4()).await?;
    note!("dhakira: {} deleted", counted(units.len() as u64, "unit"));
    Ok(Outcome::Done)
}

/// The new values, and the fields that they are for.
fn update(
    (author, document): (Option<String>, Option<String>),
    set: Vec<(String, String)>,
    remove: Vec<String>,
) -> (UnitContent, Vec<String>) {
    let mut content = UnitContent::default();
    let mut paths = Vec::new();
    if let Some(author) = author {
        content.author = author;
        paths.push("author".to_owned());
    }
    if let Some(document) = document {
        content.document = document;
        paths.push("document".to_owned());
    }
    let attribute = |key: &str| format!("attributes.`{key}`");
    paths.extend(set.iter().map(|(key, _)| attribute(key)));
    paths.extend(remove.iter().map(|key| attribute(key)));
    content.attributes.extend(set);
    (content, paths)
}

async fn list(
    client: &mut Client,
    memory: &MemoryName,
    query: &ListQuery,
    limit: usize,
) -> anyhow::Result<Vec<Unit>> {
    let mut units = Vec::new();
    let mut token = String::new();
    while units.len() < limit {
        let size = (limit - units.len()).min(PAGE_SIZE_MAX);
        let (page, next) = client.list_units(memory, query, (size, token)).await?;
        units.extend(page);
        if next.is_empty() {
            break;
        }
        token = next;
    }
    Ok(units)
}

/// Counts the units that match, shows some, and with `yes` changes them.
async fn change_matching(
    client: &mut Client,
    (memory, filter): (&MemoryName, &UnitFilter),
    change: impl Fn() -> MatchingUnits,
    (yes, json): (bool, bool),
) -> anyhow::Result<Outcome> {
    let (deed, action) = match change() {
        MatchingUnits::Delete => ("deleted", "deletes"),
        MatchingUnits::Update(..) => ("changed", "changes"),
    };
    let counted_units = client.change_matching(memory, filter, change(), String::new()).await?;
    let Matched { matching, sample, token, .. } = counted_units;
    let mut changed = 0;
    if yes && matching > 0 {
        changed = client.change_matching(memory, filter, change(), token).await?.changed;
    }
    if json {
        json_line(&MatchedLine { matching, changed })?;
    } else if yes {
        say!("{changed} of {} {deed}", counted(matching, "unit"))?;
    } else {
        show_units(memory, &sample, false)?;
        say!("{} would be {deed}; --yes {action} them", counted(matching, "unit"))?;
    }
    Ok(Outcome::Done)
}

fn show_units(memory: &MemoryName, units: &[Unit], json: bool) -> anyhow::Result<()> {
    let time = |time: Option<Timestamp>| {
        time.and_then(|time| jiff::Timestamp::from_microsecond(time.micros).ok())
            .map(|time| time.to_string())
    };
    if json {
        for unit in units {
            let content = &unit.content;
            json_line(&Line {
                unit: format!("{}/units/{}", memory.resource(), unit.id),
                revision: unit.revision,
                source: &content.source.text,
                target: &content.target.text,
                document: &content.document,
                author: &content.author,
                created: time(content.created),
                changed: time(content.changed),
                use_count: unit.usage.count,
                last_use: time(unit.usage.last),
                attributes: &content.attributes,
            })?;
        }
        return Ok(());
    }
    if units.is_empty() {
        return Ok(());
    }
    let header = ["UNIT", "REVISION", "CHANGED", "USES", "AUTHOR", "SOURCE", "TARGET"];
    let header = header.map(str::to_owned).to_vec();
    let one_line = |text: &str| isolate(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    let rows = units.iter().map(|unit| {
        let content = &unit.content;
        vec![
            unit.id.to_string(),
            unit.revision.to_string(),
            time(content.changed).unwrap_or_default(),
            unit.usage.count.to_string(),
            content.author.clone(),
            one_line(&content.source.text),
            one_line(&content.target.text),
        ]
    });
    show!("{}", table(&std::iter::once(header).chain(rows).collect::<Vec<_>>()))?;
    Ok(())
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(key, _)| !key.is_empty());
    parts
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("'{text}' is not KEY=VALUE"))
}

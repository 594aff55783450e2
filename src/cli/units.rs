//! `dhakira units`: list, show, add, edit, roll back, delete and change units.

use clap::{Args, Subcommand};
use serde::Serialize;
use uuid::Uuid;

use crate::client::{Client, Matched, MatchingUnits};
use crate::engine::{ListQuery, UnitFilter, UnitOrder};
use crate::limits::{BATCH_UNITS_MAX, PAGE_SIZE_MAX};
use crate::unit::{MemoryName, Unit, UnitId};

use super::filter::FilterFlags;
use super::near_misses::no_memory_named;
use super::outcome::Outcome;
use super::place::{MissingData, Place};
use super::unit_edits::{Add, Edit, FieldFlags};
use super::unit_table::show_units;
use super::values::unit_number;
use crate::terminal::{counted, json_line};

/// List, show, add, edit, roll back, delete and change the units of a memory.
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
        #[arg(required = true, value_name = "UNIT", value_parser = unit_number)]
        units: Vec<u64>,
    },
    /// Add a unit: a text and its translation.
    Add(Add),
    /// Change the texts, author, document or attributes of one unit.
    Edit(Edit),
    /// Show the contents that a unit has had, the newest first, as far as the commit log goes back.
    History {
        /// Its number.
        #[arg(value_parser = unit_number)]
        unit: u64,
    },
    /// Give a unit the content of an earlier revision, as a new revision.
    Rollback {
        /// Its number.
        #[arg(value_parser = unit_number)]
        unit: u64,
        /// The revision, as `history` lists it.
        #[arg(long, value_name = "N")]
        revision: u64,
    },
    /// Delete units: by their numbers, or all that match. Without --yes, only says how many match.
    Delete {
        /// Their numbers.
        #[arg(value_name = "UNIT", value_parser = unit_number)]
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
        #[command(flatten)]
        fields: FieldFlags,
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

/// The result of a change by filter, with `--json`.
#[derive(Serialize)]
struct MatchedLine {
    matching: u64,
    changed: u64,
}

impl Units {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let Self { place, memory, json, action } = self;
        let mut client = place.client("units", MissingData::Refuse).await?;
        let Some(memory) = memory else { return Err(no_memory_named(&mut client).await) };
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
            Action::Add(add) => return add.run(&mut client, &memory, json).await,
            Action::Edit(edit) => return edit.run(&mut client, &memory, json).await,
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
            Action::Update { filter, fields, remove_attribute, yes } => {
                let filter = filter.filter();
                anyhow::ensure!(
                    filter != UnitFilter::default(),
                    "say which units by flags such as --by-author or --in-document"
                );
                let (content, paths) = fields.update(remove_attribute);
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

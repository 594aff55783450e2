//! `dhakira units add` and `edit`: one unit, its texts and fields.

use anyhow::Context as _;
use clap::Args;
use uuid::Uuid;

use crate::client::Client;
use crate::engine::UnitOutcome;
use crate::unit::{MemoryName, Segment, UnitContent, UnitId};

use super::import::Policy;
use super::outcome::Outcome;
use super::unit_table::show_units;
use super::values::unit_number;

/// Fields of a unit beside its texts.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub(super) struct FieldFlags {
    /// The author.
    #[arg(id = "set_author", long = "set-author", value_name = "NAME", group = "change")]
    author: Option<String>,
    /// The document.
    #[arg(id = "set_document", long = "set-document", value_name = "NAME", group = "change")]
    document: Option<String>,
    /// An attribute to set; may be repeated.
    #[arg(id = "set_attribute", long = "set-attribute", value_name = "KEY=VALUE", group = "change", value_parser = key_value)]
    attribute: Vec<(String, String)>,
}

impl FieldFlags {
    /// A content with the new values, and the names of the fields that they are for.
    pub(super) fn update(self, remove_attribute: Vec<String>) -> (UnitContent, Vec<String>) {
        let mut content = UnitContent::default();
        let mut paths = Vec::new();
        if let Some(author) = self.author {
            content.author = author;
            paths.push("author".to_owned());
        }
        if let Some(document) = self.document {
            content.document = document;
            paths.push("document".to_owned());
        }
        let attribute = |key: &str| format!("attributes.`{key}`");
        paths.extend(self.attribute.iter().map(|(key, _)| attribute(key)));
        paths.extend(remove_attribute.iter().map(|key| attribute(key)));
        content.attributes.extend(self.attribute);
        (content, paths)
    }
}

/// Add a unit: a text and its translation.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").multiple(true))]
pub(super) struct Add {
    /// The text.
    source: String,
    /// Its translation.
    target: String,
    #[command(flatten)]
    fields: FieldFlags,
    /// What to do when the memory already has the unit.
    #[arg(long, value_enum, default_value_t = Policy::SkipIdentical)]
    duplicates: Policy,
}

impl Add {
    pub(super) async fn run(
        self,
        client: &mut Client,
        memory: &MemoryName,
        json: bool,
    ) -> anyhow::Result<Outcome> {
        let (fields, _) = self.fields.update(Vec::new());
        let content = UnitContent {
            source: Segment::plain(self.source),
            target: Segment::plain(self.target),
            ..fields
        };
        let policy = self.duplicates.into();
        let saved = client.save_units(memory, vec![content], policy, Uuid::new_v4()).await?;
        let (unit, outcome) = saved.into_iter().next().context("the server returned no unit")?;
        match outcome {
            UnitOutcome::Stored => {}
            UnitOutcome::Replaced => note!("dhakira: it replaced the unit with the same source"),
            UnitOutcome::Duplicate => {
                note!("dhakira: the memory already had it; nothing was stored");
            }
        }
        show_units(memory, &[unit], json)?;
        Ok(Outcome::Done)
    }
}

/// Change the texts, author, document or attributes of one unit.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
pub(super) struct Edit {
    /// Its number.
    #[arg(value_parser = unit_number)]
    unit: u64,
    /// The new source.
    #[arg(long, value_name = "TEXT", group = "change")]
    source: Option<String>,
    /// The new target.
    #[arg(long, value_name = "TEXT", group = "change")]
    target: Option<String>,
    #[command(flatten)]
    fields: FieldFlags,
    /// An attribute to remove; may be repeated.
    #[arg(long, value_name = "KEY", group = "change")]
    remove_attribute: Vec<String>,
    /// Replace a text that has inline tags, which the new one has not.
    #[arg(long)]
    drop_tags: bool,
}

impl Edit {
    pub(super) async fn run(
        self,
        client: &mut Client,
        memory: &MemoryName,
        json: bool,
    ) -> anyhow::Result<Outcome> {
        let id = UnitId(self.unit);
        self.check_tags(client, memory, id).await?;
        let (mut content, mut paths) = self.fields.update(self.remove_attribute);
        let texts = [
            ("source", self.source, &mut content.source),
            ("target", self.target, &mut content.target),
        ];
        for (name, text, segment) in texts {
            if let Some(text) = text {
                *segment = Segment::plain(text);
                paths.push(name.to_owned());
            }
        }
        let unit = client.update_unit(memory, id, content, &paths, Uuid::new_v4()).await?;
        show_units(memory, &[unit], json)?;
        Ok(Outcome::Done)
    }

    /// Refuses to replace a text with inline tags, unless told to.
    async fn check_tags(
        &self,
        client: &mut Client,
        memory: &MemoryName,
        id: UnitId,
    ) -> anyhow::Result<()> {
        if self.drop_tags || self.source.is_none() && self.target.is_none() {
            return Ok(());
        }
        let stored = client.get_units(memory, &[id]).await?;
        let content = &stored.first().context("the server returned no unit")?.content;
        let texts =
            [("source", &self.source, &content.source), ("target", &self.target, &content.target)];
        for (name, text, segment) in texts {
            anyhow::ensure!(
                text.is_none() || segment.tags.is_empty(),
                "the {name} of unit {id} has inline tags, which the new text would lose; --drop-tags replaces it all the same"
            );
        }
        Ok(())
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(key, _)| !key.is_empty());
    parts
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("'{text}' is not KEY=VALUE"))
}

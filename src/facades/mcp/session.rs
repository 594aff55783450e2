//! Holds what a call of a tool works with: a client, and the memories that are offered.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::client::{Client, MemoryInfo};
use crate::engine::{Explain, LookupSettings, MemoryChoice};
use crate::limits::LOOKUP_MEMORIES_MAX;
use crate::unit::{Lang, MemoryName, Score};

use super::super::settings::FacadeSettings;
use super::answer::Failure;

/// What a call of a tool works with.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) settings: Arc<FacadeSettings>,
}

/// Memories of one pair of languages.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    pub(super) source_lang: Lang,
    pub(super) target_lang: Lang,
    /// At least one.
    pub(super) memories: Vec<MemoryName>,
}

/// Languages that a client names; either may be absent.
pub(super) type Langs<'a> = (Option<&'a str>, Option<&'a str>);

/// Names of memories in a message; more are counted.
const NAMES_SHOWN: usize = 50;

impl Session {
    /// How to look up in some memories, with every explanation.
    pub(super) fn lookup(
        &self,
        memories: &[MemoryName],
        min_score: Score,
        max_matches: usize,
    ) -> LookupSettings {
        let choice = |memory: &MemoryName| MemoryChoice {
            memory: memory.clone(),
            penalty: self.settings.penalty(memory),
        };
        let min_score = min_score.max(self.settings.min_score);
        let memories = memories.iter().map(choice).collect();
        let explain = Explain::default();
        LookupSettings { min_score, max_matches, explain, ..self.settings.lookup(memories) }
    }

    /// The memories that are offered and may be read, by name.
    pub(super) async fn memories(&mut self) -> Result<Vec<MemoryInfo>, Failure> {
        let mut memories = self.client.list_memories().await?;
        memories.retain(|memory| self.settings.serves(&memory.name));
        Ok(memories)
    }

    /// The memory of a name, with or without `memories/` before it.
    pub(super) async fn memory(&mut self, name: &str) -> Result<MemoryInfo, Failure> {
        let mut memories = self.memories().await?;
        match place(&memories, name) {
            Some(place) => Ok(memories.swap_remove(place)),
            None => Err(unknown(name, &memories)),
        }
    }

    /// The named memories; without names, all that are offered of the languages.
    pub(super) async fn choose(
        &mut self,
        names: &[String],
        langs: Langs<'_>,
    ) -> Result<Choice, Failure> {
        let known = self.memories().await?;
        let langs = (lang("source_language", langs.0)?, lang("target_language", langs.1)?);
        let mut by_pair: BTreeMap<(&Lang, &Lang), Vec<&MemoryName>> = BTreeMap::new();
        let mut add = |place: usize| {
            let memory = &known[place];
            let names = by_pair.entry((&memory.source_lang, &memory.target_lang)).or_default();
            if !names.contains(&&memory.name) {
                names.push(&memory.name);
            }
        };
        for name in names {
            add(place(&known, name).ok_or_else(|| unknown(name, &known))?);
        }
        if names.is_empty() {
            let fits = |wanted: &Option<Lang>, lang| {
                wanted.as_ref().is_none_or(|wanted| wanted.accepts(lang))
            };
            let fitting = known.iter().enumerate().filter(|(_, memory)| {
                fits(&langs.0, &memory.source_lang) && fits(&langs.1, &memory.target_lang)
            });
            fitting.for_each(|(place, _)| add(place));
        }
        let mut pairs = by_pair.into_iter();
        match (pairs.next(), pairs.next()) {
            (None, _) if known.is_empty() => Err(no_memories()),
            (None, _) => {
                Err(Failure::argument(format!("no memory has these languages; {}", listed(&known))))
            }
            (Some(((source, target), memories)), None) => {
                if memories.len() > LOOKUP_MEMORIES_MAX {
                    return Err(Failure::argument(format!(
                        "{} memories fit, and one call takes at most {LOOKUP_MEMORIES_MAX}: name some in `memories`; {}",
                        memories.len(),
                        listed(&known)
                    )));
                }
                let memories = memories.into_iter().cloned().collect();
                Ok(Choice { source_lang: source.clone(), target_lang: target.clone(), memories })
            }
            (Some(_), Some(_)) => Err(Failure::argument(format!(
                "the memories have several pairs of languages, and one call uses one pair: name some in `memories`, or give \
                 `source_language` and `target_language`; {}",
                listed(&known)
            ))),
        }
    }

    /// The languages of texts: those given, or those of the memories. The memories are those named, for their lexicons.
    pub(super) async fn languages(
        &mut self,
        names: &[String],
        langs: Langs<'_>,
    ) -> Result<Choice, Failure> {
        if let (Some(source), Some(target), true) = (langs.0, langs.1, names.is_empty()) {
            let given =
                (lang("source_language", Some(source))?, lang("target_language", Some(target))?);
            if let (Some(source_lang), Some(target_lang)) = given {
                return Ok(Choice { source_lang, target_lang, memories: Vec::new() });
            }
        }
        let mut choice = self.choose(names, langs).await?;
        if names.is_empty() {
            choice.memories.clear();
        }
        Ok(choice)
    }
}

fn lang(name: &str, text: Option<&str>) -> Result<Option<Lang>, Failure> {
    let parsed = text.map(str::parse::<Lang>).transpose();
    parsed.map_err(|error| Failure::argument(format!("`{name}`: {error}")))
}

fn place(known: &[MemoryInfo], name: &str) -> Option<usize> {
    let bare = name.trim();
    let bare = bare.strip_prefix("memories/").unwrap_or(bare);
    known.iter().position(|memory| memory.name.as_str() == bare)
}

fn unknown(name: &str, known: &[MemoryInfo]) -> Failure {
    if known.is_empty() {
        return no_memories();
    }
    let shown: String = name.chars().take(100).collect();
    Failure::argument(format!("there is no memory '{shown}' here; {}", listed(known)))
}

fn no_memories() -> Failure {
    Failure::argument(
        "there is no memory to read yet: `dhakira import --memory NAME FILE` makes one from a file of translations",
    )
}

/// The names of memories with their languages, as a clause.
pub(super) fn listed(known: &[MemoryInfo]) -> String {
    let mut text = "the memories are ".to_owned();
    for (number, memory) in known.iter().take(NAMES_SHOWN).enumerate() {
        let comma = if number > 0 { ", " } else { "" };
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "{comma}{} ({} to {})",
            memory.name, memory.source_lang, memory.target_lang
        );
    }
    if known.len() > NAMES_SHOWN {
        let _ = write!(text, " and {} more", known.len() - NAMES_SHOWN);
    }
    text
}

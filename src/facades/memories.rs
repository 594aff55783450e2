//! Chooses the memories that a facade serves to a caller, and looks segments up in them.

use crate::client::{Client, MemoryInfo};
use crate::engine::{FoundMatch, LookupSettings, MemoryChoice, QuerySegment};
use crate::limits::LOOKUP_MEMORIES_MAX;
use crate::unit::{Lang, MemoryName};

use super::refusal::Refusal;
use super::settings::FacadeSettings;

/// The memories that a facade serves and the caller may read, in the order of the settings, then by name; a name chooses one.
pub(super) async fn served(
    client: &mut Client,
    settings: &FacadeSettings,
    name: Option<&MemoryName>,
) -> Result<Vec<MemoryInfo>, Refusal> {
    let mut memories = client.list_memories().await?;
    memories.retain(|it| settings.serves(&it.name) && name.is_none_or(|name| it.name == *name));
    let place =
        |memory: &MemoryInfo| settings.memories.iter().position(|it| it.memory == memory.name);
    memories.sort_by_key(|memory| (place(memory), memory.name.clone()));
    match name {
        Some(name) if memories.is_empty() => Err(no_memory(name)),
        _ => Ok(memories),
    }
}

pub(super) fn no_memory(name: &MemoryName) -> Refusal {
    Refusal::not_found(&format!("there is no memory '{name}' here"))
}

/// The memories for texts of a language pair.
pub(super) fn of_pair(
    mut memories: Vec<MemoryInfo>,
    (source, target): (&Lang, &Lang),
) -> Vec<MemoryInfo> {
    memories.retain(|it| it.source_lang.accepts(source) && it.target_lang.accepts(target));
    memories
}

/// Divides memories into groups that can be searched together: of compatible languages, and not too many.
fn groups(memories: &[MemoryInfo]) -> Vec<Vec<&MemoryInfo>> {
    let mut groups: Vec<Vec<&MemoryInfo>> = Vec::new();
    for memory in memories {
        let fits = |group: &&mut Vec<&MemoryInfo>| {
            group.len() < LOOKUP_MEMORIES_MAX
                && group.iter().all(|it| {
                    it.source_lang.accepts(&memory.source_lang)
                        && it.target_lang.accepts(&memory.target_lang)
                })
        };
        match groups.iter_mut().find(fits) {
            Some(group) => group.push(memory),
            None => groups.push(vec![memory]),
        }
    }
    groups
}

/// The best matches of a segment in some memories, best first.
pub(super) async fn lookup(
    client: &mut Client,
    settings: &FacadeSettings,
    memories: &[MemoryInfo],
    segment: &QuerySegment,
    adjust: impl Fn(&mut LookupSettings),
) -> Result<Vec<FoundMatch>, Refusal> {
    let (mut found, mut max) = (Vec::new(), 0);
    let groups = groups(memories);
    for group in &groups {
        let chosen = group.iter().map(|memory| MemoryChoice {
            memory: memory.name.clone(),
            penalty: settings.penalty(&memory.name),
        });
        let mut lookup = settings.lookup(chosen.collect());
        adjust(&mut lookup);
        max = lookup.max_matches;
        let mut results = client.lookup(&lookup, vec![segment.clone()]).await?;
        found.append(&mut results.pop().unwrap_or_default());
    }
    if groups.len() > 1 {
        // Each group is in order; of equals, those of an earlier group come first.
        found.sort_by_key(|it| (it.kind, std::cmp::Reverse(it.score)));
        found.truncate(max);
    }
    Ok(found)
}

/// The memory that units of a pair are stored in: the only one that is served, or the first of the settings.
pub(super) fn for_writing<'a>(
    settings: &FacadeSettings,
    memories: &'a [MemoryInfo],
) -> Result<&'a MemoryInfo, Refusal> {
    match memories {
        [] => Err(Refusal::not_found("no memory of this language pair is served here")),
        [first, rest @ ..] if rest.is_empty() || !settings.memories.is_empty() => Ok(first),
        several => {
            let names: Vec<&str> = several.iter().take(8).map(|it| it.name.as_str()).collect();
            Err(Refusal::bad_request(&format!(
                "several memories are of this language pair ({}): name one in the address or in the settings",
                names.join(", ")
            )))
        }
    }
}

//! The parameters that the calls of MyMemory share: the language pair, and the keys, which stand for memories.

use crate::client::MemoryInfo;
use crate::engine::context_hash;
use crate::unit::{Context, Lang, MemoryName};

use super::super::memories::{no_memory, of_pair, served};
use super::super::refusal::Refusal;
use super::super::settings::FacadeTable;
use super::super::visit::{Visit, is_token};

/// The language pair, `ar|en`.
pub(super) fn pair(visit: &Visit) -> Result<(Lang, Lang), Refusal> {
    let text = required(visit, "langpair")?;
    let wrong = || Refusal::bad_request("langpair is two language codes, such as langpair=ar|en");
    let (source, target) = text.split_once('|').ok_or_else(wrong)?;
    let lang = |code: &str| code.trim().replace('_', "-").parse().map_err(|_| wrong());
    Ok((lang(source)?, lang(target)?))
}

/// A parameter that must be there, and hold something.
pub(super) fn required<'a>(visit: &'a Visit, name: &str) -> Result<&'a str, Refusal> {
    let value = visit.parameter(name).filter(|value| !value.trim().is_empty());
    value.ok_or_else(|| Refusal::bad_request(&format!("the parameter {name} is missing")))
}

/// The neighbours of the segment, as far as they are given.
pub(super) fn context(visit: &Visit) -> Context {
    let hash = |name: &str| {
        let text = visit.parameter(name).filter(|text| !text.trim().is_empty());
        text.map(context_hash)
    };
    Context { previous: hash("context_before"), next: hash("context_after"), ..Context::default() }
}

/// The memories of the pair that the keys stand for: all that are served when there is no key.
pub(super) async fn memories(
    visit: &mut Visit,
    table: &FacadeTable,
    (source, target): (&Lang, &Lang),
) -> Result<Vec<MemoryInfo>, Refusal> {
    let wanted = keys(visit, table)?;
    let mut memories = served(&mut visit.client, &table.mymemory, None).await?;
    if !wanted.is_empty() {
        let missing = wanted.iter().find(|it| !memories.iter().any(|memory| memory.name == **it));
        if let Some(missing) = missing {
            return Err(no_memory(missing));
        }
        memories.retain(|memory| wanted.contains(&memory.name));
    }
    Ok(of_pair(memories, (source, target)))
}

/// The memory that a key stands for.
pub(super) fn memory_of_key(table: &FacadeTable, key: &str) -> Result<MemoryName, Refusal> {
    let by_settings = table.mymemory_keys.iter().find(|(it, _)| it == key);
    if let Some((_, memory)) = by_settings {
        return Ok(memory.clone());
    }
    key.parse().map_err(|_| Refusal::new(http::StatusCode::FORBIDDEN, "the key is unknown"))
}

/// The memories that the keys stand for.
pub(super) fn keys(visit: &Visit, table: &FacadeTable) -> Result<Vec<MemoryName>, Refusal> {
    let values = visit.query.iter().filter(|(name, _)| matches!(name.as_str(), "key" | "keys"));
    let keys = values.flat_map(|(_, value)| value.split(',')).map(str::trim);
    let keys = keys.filter(|key| !key.is_empty() && !is_token(key));
    keys.map(|key| memory_of_key(table, key)).collect()
}

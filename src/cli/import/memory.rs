//! The memory that an import fills: created with the first unit, and deleted again when no unit was stored.

use crate::client::{Client, MemoryInfo};
use crate::unit::{Lang, MemoryName};

use super::super::memories::create_memory;

/// The memory that units are imported into.
pub(in crate::cli) struct TargetMemory {
    name: MemoryName,
    pub(in crate::cli) langs: (Lang, Lang),
    /// `None` while it does not exist: it is created when there is a unit for it.
    pub(super) info: Option<MemoryInfo>,
    is_new: bool,
    /// Another memory, whose name is so near that it may be meant.
    near: Option<String>,
}

impl TargetMemory {
    pub(in crate::cli) fn existing(info: MemoryInfo) -> Self {
        let langs = (info.source_lang.clone(), info.target_lang.clone());
        Self { name: info.name.clone(), langs, info: Some(info), is_new: false, near: None }
    }

    pub(in crate::cli) fn missing(
        name: MemoryName,
        langs: (Lang, Lang),
        near: Option<String>,
    ) -> Self {
        Self { name, langs, info: None, is_new: false, near }
    }

    /// The memory, created if it does not exist.
    pub(super) async fn created(&mut self, client: &mut Client) -> anyhow::Result<MemoryInfo> {
        if let Some(info) = &self.info {
            return Ok(info.clone());
        }
        create_memory(client, &self.name, self.langs.clone()).await?;
        self.is_new = true;
        if let Some(near) = &self.near {
            note!(
                "dhakira: there is also a memory '{near}'; if that is meant, stop, and delete the new one with \
                 `dhakira memories delete {} --force`",
                self.name
            );
        }
        let info = client.memory(&self.name).await?;
        self.info = Some(info.clone());
        Ok(info)
    }

    /// Deletes the memory that this import created if all its units were rejected.
    pub(in crate::cli) async fn delete_if_empty(&self, client: &mut Client) -> anyhow::Result<()> {
        if !self.is_new || client.memory(&self.name).await?.unit_count > 0 {
            return Ok(());
        }
        client.delete_memory(&self.name, false).await?;
        note!("dhakira: no unit was stored; memory '{}' is deleted again", self.name);
        Ok(())
    }
}

//! Roles, and the grants that give a principal a role for some memories: `reader:news`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::unit::{MemoryName, ValidationError};

/// What a principal may do with a memory; each role includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Looks up, searches and analyses.
    Reader,
    /// Lists, creates, changes and deletes single units.
    Translator,
    /// Imports and exports units, follows changes, trains lexicons and checks quality.
    Manager,
    /// Creates and deletes memories.
    Admin,
}

impl Role {
    /// All roles, the lowest first.
    pub const ALL: [Self; 4] = [Self::Reader, Self::Translator, Self::Manager, Self::Admin];

    /// The name on the command line and in the token file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Translator => "translator",
            Self::Manager => "manager",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = ValidationError;

    fn from_str(text: &str) -> Result<Self, ValidationError> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| {
            ValidationError(format!("'{text}' is not a role: reader, translator, manager or admin"))
        })
    }
}

/// The memories of a grant: one (`news`), those with a common prefix (`client-*`), or all (`*`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Memories {
    /// One memory.
    One(MemoryName),
    /// All memories whose names start with a prefix, those created later included; an empty prefix is all memories.
    Prefix(String),
}

impl Memories {
    /// Whether the grant covers every memory, those created later included.
    pub fn is_all(&self) -> bool {
        matches!(self, Self::Prefix(prefix) if prefix.is_empty())
    }

    fn contains(&self, memory: &MemoryName) -> bool {
        match self {
            Self::One(name) => name == memory,
            Self::Prefix(prefix) => memory.as_str().starts_with(prefix.as_str()),
        }
    }
}

impl fmt::Display for Memories {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(name) => out.write_str(name.as_str()),
            Self::Prefix(prefix) => write!(out, "{prefix}*"),
        }
    }
}

impl FromStr for Memories {
    type Err = ValidationError;

    fn from_str(text: &str) -> Result<Self, ValidationError> {
        let Some(prefix) = text.strip_suffix('*') else {
            return text.parse().map(Self::One);
        };
        if !prefix.is_empty() {
            // The prefix of a name is a name itself.
            prefix.parse::<MemoryName>()?;
        }
        Ok(Self::Prefix(prefix.strip_prefix("memories/").unwrap_or(prefix).to_owned()))
    }
}

impl TryFrom<String> for Memories {
    type Error = ValidationError;

    fn try_from(text: String) -> Result<Self, ValidationError> {
        text.parse()
    }
}

impl From<Memories> for String {
    fn from(memories: Memories) -> Self {
        memories.to_string()
    }
}

/// A role for some memories, written `reader:news`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// The memories that it applies to.
    pub memories: Memories,
}

impl fmt::Display for Grant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.role, self.memories)
    }
}

impl FromStr for Grant {
    type Err = ValidationError;

    fn from_str(text: &str) -> Result<Self, ValidationError> {
        let (role, memories) = text.split_once(':').ok_or_else(|| {
            let what = "is not ROLE:MEMORY, such as reader:news, manager:client-* or admin:*";
            ValidationError(format!("'{text}' {what}"))
        })?;
        Ok(Self { role: role.parse()?, memories: memories.parse()? })
    }
}

/// All grants of a principal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grants(pub Vec<Grant>);

impl Grants {
    /// The highest role for one memory.
    pub fn role_for(&self, memory: &MemoryName) -> Option<Role> {
        let fitting = self.0.iter().filter(|grant| grant.memories.contains(memory));
        fitting.map(|grant| grant.role).max()
    }

    /// The highest role for all memories.
    pub fn role_for_all(&self) -> Option<Role> {
        self.0.iter().filter(|grant| grant.memories.is_all()).map(|grant| grant.role).max()
    }

    /// The highest role for any memory.
    pub fn highest(&self) -> Option<Role> {
        self.0.iter().map(|grant| grant.role).max()
    }
}

/// The grants of the caller, for calls that list memories; absent where no authentication is required.
#[derive(Debug, Clone)]
pub struct Visible(pub Arc<Grants>);

impl Visible {
    /// Whether the caller may see a memory.
    pub fn shows(&self, memory: &MemoryName) -> bool {
        self.0.role_for(memory).is_some()
    }
}

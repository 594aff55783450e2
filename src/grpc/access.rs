//! Who may call what? The table of methods, the roles they ask for, and where a request names its memories.
//!
//! A method that is not in the table is denied. The table speaks of places in messages (numbers of fields), so that one
//! layer in front of every handler can see which memories a message is about before any handler sees the message. Reads
//! messages with the very routines that decode them afterwards; where a field comes twice, both are looked at.

use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost::{DecodeError, Message as _};
use prost_types::FileDescriptorSet;
use serde::{Deserialize, Serialize};

use super::DESCRIPTORS;
pub use crate::engine::backup::{TOKENS_REQUIRED_FILE, write_token_mark};
use crate::unit::{MemoryName, ValidationError};

/// What somebody may do with a memory; each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Looks up, searches and analyses.
    Reader,
    /// Lists, makes, changes and deletes single units.
    Translator,
    /// Takes units in and out in bulk, follows changes, learns and checks.
    Manager,
    /// Makes and deletes memories.
    Admin,
}

impl Role {
    /// All, the least first.
    pub const ALL: [Self; 4] = [Self::Reader, Self::Translator, Self::Manager, Self::Admin];

    /// Its name on the command line and in the file of tokens.
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

/// Which memories a grant is for: `news`, every memory whose name begins so (`client-*`), or all (`*`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Memories {
    /// This one.
    One(MemoryName),
    /// All whose names begin so; empty is all, those that are still to be made included.
    Beginning(String),
}

impl Memories {
    /// Whether it is for every memory there may ever be.
    pub fn is_all(&self) -> bool {
        matches!(self, Self::Beginning(begin) if begin.is_empty())
    }

    fn holds(&self, memory: &MemoryName) -> bool {
        match self {
            Self::One(name) => name == memory,
            Self::Beginning(begin) => memory.as_str().starts_with(begin.as_str()),
        }
    }
}

impl fmt::Display for Memories {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(name) => out.write_str(name.as_str()),
            Self::Beginning(begin) => write!(out, "{begin}*"),
        }
    }
}

impl FromStr for Memories {
    type Err = ValidationError;

    fn from_str(text: &str) -> Result<Self, ValidationError> {
        let Some(begin) = text.strip_suffix('*') else {
            return text.parse().map(Self::One);
        };
        if !begin.is_empty() {
            // What a name begins with is a name itself.
            begin.parse::<MemoryName>()?;
        }
        Ok(Self::Beginning(begin.strip_prefix("memories/").unwrap_or(begin).to_owned()))
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
    /// What may be done.
    pub role: Role,
    /// To what.
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

/// Everything that somebody may do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grants(pub Vec<Grant>);

impl Grants {
    /// The highest role for one memory.
    pub fn role_for(&self, memory: &MemoryName) -> Option<Role> {
        let fitting = self.0.iter().filter(|grant| grant.memories.holds(memory));
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

/// What the caller may see, for calls that list memories; absent where everybody sees everything.
#[derive(Debug, Clone)]
pub struct Visible(pub Arc<Grants>);

impl Visible {
    /// Whether a memory is shown.
    pub fn shows(&self, memory: &MemoryName) -> bool {
        self.0.role_for(memory).is_some()
    }
}

/// Where a request names memories, or units of them: numbers of fields from the outside in.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Numbers of fields.
    pub path: &'static [u32],
    /// What the caller must be for each memory named here.
    pub role: Role,
    /// Whether the memories named here are written to.
    pub writes: bool,
}

/// How much a call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Answers soon, or spends its time waiting.
    Light,
    /// May keep a core busy for seconds: few at a time.
    Heavy,
}

/// What a method asks of its caller.
#[derive(Debug)]
pub struct Rule {
    /// `/dhakira.v1.UnitService/GetUnit`
    pub method: &'static str,
    /// What the caller must be for some memory, whatever the request names.
    pub role: Role,
    /// Whether it is about every memory, so that the role must be for all.
    pub every_memory: bool,
    /// Where memories are named.
    pub places: &'static [Place],
    /// How much it asks for.
    pub weight: Weight,
}

const fn read(path: &'static [u32], role: Role) -> Place {
    Place { path, role, writes: false }
}

const fn write(path: &'static [u32], role: Role) -> Place {
    Place { path, role, writes: true }
}

const fn rule(method: &'static str, role: Role, places: &'static [Place]) -> Rule {
    Rule { method, role, every_memory: false, places, weight: Weight::Light }
}

const fn heavy(rule: Rule) -> Rule {
    Rule { weight: Weight::Heavy, ..rule }
}

/// What works on the whole store.
const fn everything(method: &'static str) -> Rule {
    heavy(Rule { every_memory: true, ..rule(method, Admin, &[]) })
}

use Role::{Admin, Manager, Reader, Translator};

/// The table.
pub static RULES: &[Rule] = &[
    rule("/dhakira.v1.MemoryService/CreateMemory", Admin, &[write(&[1], Admin)]),
    rule("/dhakira.v1.MemoryService/GetMemory", Reader, &[read(&[1], Reader)]),
    // Lists what the caller may see.
    rule("/dhakira.v1.MemoryService/ListMemories", Reader, &[]),
    rule("/dhakira.v1.MemoryService/UpdateMemory", Manager, &[write(&[1, 1], Manager)]),
    rule("/dhakira.v1.MemoryService/DeleteMemory", Admin, &[write(&[1], Admin)]),
    rule("/dhakira.v1.UnitService/CreateUnit", Translator, &[write(&[1], Translator)]),
    rule("/dhakira.v1.UnitService/BatchCreateUnits", Translator, &[write(&[1], Translator)]),
    rule("/dhakira.v1.UnitService/GetUnit", Reader, &[read(&[1], Reader)]),
    rule("/dhakira.v1.UnitService/ListUnits", Translator, &[read(&[1], Translator)]),
    rule("/dhakira.v1.UnitService/UpdateUnit", Translator, &[write(&[1, 1], Translator)]),
    rule("/dhakira.v1.UnitService/DeleteUnit", Translator, &[write(&[1], Translator)]),
    rule("/dhakira.v1.UnitService/ImportUnits", Manager, &[write(&[1, 1], Manager)]),
    rule("/dhakira.v1.UnitService/ImportFile", Manager, &[write(&[1, 1], Manager)]),
    rule("/dhakira.v1.UnitService/ExportUnits", Manager, &[read(&[1], Manager)]),
    rule("/dhakira.v1.UnitService/WatchUnits", Manager, &[read(&[1], Manager)]),
    rule("/dhakira.v1.LookupService/LookupSegments", Reader, &[read(&[1, 1, 1], Reader)]),
    rule("/dhakira.v1.LookupService/StreamLookup", Reader, &[read(&[1, 1, 1], Reader)]),
    rule("/dhakira.v1.LookupService/SearchConcordance", Reader, &[read(&[1], Reader)]),
    rule("/dhakira.v1.LookupService/AnalyzeSegments", Reader, &[read(&[1, 1, 1], Reader)]),
    rule("/dhakira.v1.AlignmentService/SplitSentences", Reader, &[]),
    // Whoever stores what was aligned takes units in, in bulk.
    heavy(rule(
        "/dhakira.v1.AlignmentService/AlignDocuments",
        Reader,
        &[read(&[5], Reader), write(&[6, 1], Manager)],
    )),
    rule(
        "/dhakira.v1.AlignmentService/AlignWords",
        Reader,
        &[read(&[3], Reader), read(&[4, 3], Reader)],
    ),
    heavy(rule("/dhakira.v1.AlignmentService/TrainLexicon", Manager, &[write(&[1], Manager)])),
    heavy(rule("/dhakira.v1.AlignmentService/CheckUnits", Manager, &[read(&[1], Manager)])),
    everything("/dhakira.v1.AdminService/BackupStore"),
    everything("/dhakira.v1.AdminService/VerifyStore"),
    everything("/dhakira.v1.AdminService/CompactStore"),
];

/// The number of a method in [`RULES`].
pub fn number_of(method: &str) -> Option<usize> {
    RULES.iter().position(|rule| rule.method == method)
}

/// Which sides of a method send a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Streams {
    /// The client.
    pub client: bool,
    /// The server.
    pub server: bool,
}

/// Which sides of a method of [`RULES`] send a stream.
pub fn streams_of(number: usize) -> Streams {
    static STREAMS: LazyLock<Vec<Streams>> = LazyLock::new(|| {
        let methods = methods();
        let streams = |rule: &Rule| methods.iter().find(|(it, _)| it == rule.method);
        RULES.iter().map(|rule| streams(rule).map(|(_, it)| *it).unwrap_or_default()).collect()
    });
    STREAMS.get(number).copied().unwrap_or_default()
}

/// Every method of the protocol, and which sides of it send a stream.
pub fn methods() -> Vec<(String, Streams)> {
    let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap_or_default().file;
    let mut methods = Vec::new();
    for file in files {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                let streams = Streams {
                    client: method.client_streaming(),
                    server: method.server_streaming(),
                };
                methods.push((path, streams));
            }
        }
    }
    methods
}

impl Rule {
    /// The method without its package and service: `GetUnit`.
    pub fn name(&self) -> &'static str {
        self.method.rsplit('/').next().unwrap_or(self.method)
    }

    /// Whether the caller may call it at all, whatever the request will name.
    pub fn admits(&self, grants: &Grants) -> bool {
        let role = if self.every_memory { grants.role_for_all() } else { grants.highest() };
        role.is_some_and(|role| role >= self.role)
    }

    /// The memories that a message names.
    ///
    /// # Errors
    /// It is no message.
    pub fn memories(&self, mut message: impl Buf) -> Result<Vec<Named>, DecodeError> {
        let mut found = Vec::new();
        let places: Vec<&Place> = self.places.iter().collect();
        if !places.is_empty() {
            visit(&mut message, 0, (0, &places), &mut found)?;
        }
        Ok(found)
    }
}

/// A memory that a message names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// As it is written, shortened when it is long.
    pub text: String,
    /// The memory; `None` when it is not the name of one, as `memories/-` for all.
    pub memory: Option<MemoryName>,
    /// What the caller must be for it.
    pub role: Role,
    /// Whether it is written to.
    pub writes: bool,
}

impl Named {
    fn new(bytes: &[u8], place: &Place) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let memory = text.split_once("/units/").map_or(&*text, |(memory, _)| memory);
        Self {
            memory: memory.parse().ok(),
            text: memory.chars().take(80).collect(),
            role: place.role,
            writes: place.writes,
        }
    }

    /// Whether the caller may; a name of no memory takes the right to all.
    pub fn is_open_to(&self, grants: &Grants) -> bool {
        let role = match &self.memory {
            Some(memory) => grants.role_for(memory),
            None => grants.role_for_all(),
        };
        role.is_some_and(|role| role >= self.role)
    }
}

/// Looks for the places in a message that ends where `end` bytes remain, `level` fields deep.
fn visit(
    message: &mut impl Buf,
    end: usize,
    (level, places): (usize, &[&Place]),
    found: &mut Vec<Named>,
) -> Result<(), DecodeError> {
    while message.remaining() > end {
        let (field, wire_type) = decode_key(message)?;
        let here: Vec<&Place> =
            places.iter().copied().filter(|place| place.path.get(level) == Some(&field)).collect();
        if here.is_empty() || wire_type != WireType::LengthDelimited {
            skip_field(wire_type, field, message, DecodeContext::default())?;
            continue;
        }
        let length = usize::try_from(decode_varint(message)?).unwrap_or(usize::MAX);
        let Some(inner_end) = message.remaining().checked_sub(length).filter(|it| *it >= end)
        else {
            return cut_off(field);
        };
        let (ends, deeper): (Vec<&Place>, Vec<&Place>) =
            here.into_iter().partition(|place| place.path.len() == level + 1);
        if deeper.is_empty() {
            let value = message.copy_to_bytes(length);
            found.extend(ends.into_iter().map(|place| Named::new(&value, place)));
        } else {
            visit(message, inner_end, (level + 1, &deeper), found)?;
        }
    }
    if message.remaining() < end { cut_off(1) } else { Ok(()) }
}

/// The error that decoding gives when a field ends before it should.
fn cut_off(field: u32) -> Result<(), DecodeError> {
    skip_field(WireType::SixtyFourBit, field, &mut &b""[..], DecodeContext::default())
}

/// The table for people: a row a method, in Markdown.
pub fn table() -> String {
    let mut text = String::from("| method | asks for |\n|---|---|\n");
    for rule in RULES {
        let method = rule.method.trim_start_matches("/dhakira.v1.").replace('/', ".");
        let mut asks: Vec<String> = Vec::new();
        for place in rule.places {
            let what =
                if rule.role == place.role { "each memory named" } else { "where it stores" };
            let ask = format!("{} of {what}", place.role);
            if !asks.contains(&ask) {
                asks.push(ask);
            }
        }
        if asks.is_empty() {
            let what = if rule.every_memory { "all memories" } else { "any memory" };
            asks.push(format!("{} of {what}", rule.role));
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| `{method}` | {} |", asks.join("; "));
    }
    text
}

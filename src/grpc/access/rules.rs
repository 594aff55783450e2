//! The access rule of every method: the role that it requires, how much work it is, and the fields that name memories.

use std::fmt::Write as _;
use std::sync::LazyLock;

use prost::Message as _;
use prost_types::FileDescriptorSet;

use super::super::proto::DESCRIPTORS;
use super::grants::{Grants, Role};

/// A field of a request that names memories, or units of them, as field numbers from the outside in.
#[derive(Debug, Clone, Copy)]
pub struct FieldPath {
    /// Field numbers, outermost first.
    pub path: &'static [u32],
    /// The role that the caller needs for each memory named in the field.
    pub role: Role,
    /// Whether the call writes to the memories named in the field.
    pub writes: bool,
}

/// How much work a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Answers quickly, or spends its time waiting.
    Light,
    /// May keep a core busy for seconds: few run at a time.
    Heavy,
}

/// What a method requires of its caller.
#[derive(Debug)]
pub struct Rule {
    /// `/dhakira.v1.UnitService/GetUnit`
    pub method: &'static str,
    /// The role that the caller needs for at least one memory, whatever the request names.
    pub role: Role,
    /// Whether the call concerns the whole store, so that the role must be for all memories.
    pub every_memory: bool,
    /// The fields that name memories.
    pub fields: &'static [FieldPath],
    /// How much work it is.
    pub weight: Weight,
}

const fn read(path: &'static [u32], role: Role) -> FieldPath {
    FieldPath { path, role, writes: false }
}

const fn write(path: &'static [u32], role: Role) -> FieldPath {
    FieldPath { path, role, writes: true }
}

const fn rule(method: &'static str, role: Role, fields: &'static [FieldPath]) -> Rule {
    Rule { method, role, every_memory: false, fields, weight: Weight::Light }
}

const fn heavy(rule: Rule) -> Rule {
    Rule { weight: Weight::Heavy, ..rule }
}

/// The rule of a call that works on the whole store.
const fn whole_store(method: &'static str) -> Rule {
    Rule { every_memory: true, ..rule(method, Admin, &[]) }
}

use Role::{Admin, Manager, Reader, Translator};

/// The rules, one a method. A new method needs a row here.
pub static RULES: &[Rule] = &[
    rule("/dhakira.v1.MemoryService/CreateMemory", Admin, &[write(&[1], Admin)]),
    rule("/dhakira.v1.MemoryService/GetMemory", Reader, &[read(&[1], Reader)]),
    // Lists the memories that the caller may see.
    rule("/dhakira.v1.MemoryService/ListMemories", Reader, &[]),
    rule("/dhakira.v1.MemoryService/UpdateMemory", Manager, &[write(&[1, 1], Manager)]),
    rule("/dhakira.v1.MemoryService/DeleteMemory", Admin, &[write(&[1], Admin)]),
    rule("/dhakira.v1.UnitService/CreateUnit", Translator, &[write(&[1], Translator)]),
    rule("/dhakira.v1.UnitService/BatchCreateUnits", Translator, &[write(&[1], Translator)]),
    rule("/dhakira.v1.UnitService/GetUnit", Reader, &[read(&[1], Reader)]),
    rule(
        "/dhakira.v1.UnitService/BatchGetUnits",
        Reader,
        &[read(&[1], Reader), read(&[2], Reader)],
    ),
    rule("/dhakira.v1.UnitService/ListUnits", Translator, &[read(&[1], Translator)]),
    rule("/dhakira.v1.UnitService/UpdateUnit", Translator, &[write(&[1, 1], Translator)]),
    rule(
        "/dhakira.v1.UnitService/BatchUpdateUnits",
        Translator,
        &[write(&[1], Translator), write(&[2, 1, 1], Translator)],
    ),
    rule("/dhakira.v1.UnitService/DeleteUnit", Translator, &[write(&[1], Translator)]),
    rule(
        "/dhakira.v1.UnitService/BatchDeleteUnits",
        Translator,
        &[write(&[1], Translator), write(&[2], Translator)],
    ),
    // A change of many units at once is as much as an import.
    heavy(rule("/dhakira.v1.UnitService/UpdateMatchingUnits", Manager, &[write(&[1], Manager)])),
    heavy(rule("/dhakira.v1.UnitService/DeleteMatchingUnits", Manager, &[write(&[1], Manager)])),
    rule(
        "/dhakira.v1.UnitService/RecordUnitUses",
        Translator,
        &[write(&[1], Translator), write(&[2, 1], Translator)],
    ),
    rule("/dhakira.v1.UnitService/ListUnitRevisions", Translator, &[read(&[1], Translator)]),
    rule("/dhakira.v1.UnitService/RollbackUnit", Translator, &[write(&[1], Translator)]),
    rule("/dhakira.v1.UnitService/ImportUnits", Manager, &[write(&[1, 1], Manager)]),
    rule("/dhakira.v1.UnitService/ImportFile", Manager, &[write(&[1, 1], Manager)]),
    rule("/dhakira.v1.UnitService/ExportUnits", Manager, &[read(&[1], Manager)]),
    rule("/dhakira.v1.UnitService/WatchUnits", Manager, &[read(&[1], Manager)]),
    rule("/dhakira.v1.LookupService/LookupSegments", Reader, &[read(&[1, 1, 1], Reader)]),
    rule("/dhakira.v1.LookupService/StreamLookup", Reader, &[read(&[1, 1, 1], Reader)]),
    rule("/dhakira.v1.LookupService/SearchConcordance", Reader, &[read(&[1], Reader)]),
    rule("/dhakira.v1.LookupService/AnalyzeSegments", Reader, &[read(&[1, 1, 1, 1], Reader)]),
    rule("/dhakira.v1.LookupService/ExtractUnits", Reader, &[read(&[1, 1, 1], Reader)]),
    rule("/dhakira.v1.AlignmentService/SplitSentences", Reader, &[]),
    // Storing what was aligned is an import.
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
    rule("/dhakira.v1.ServerService/GetServerInfo", Reader, &[]),
    heavy(whole_store("/dhakira.v1.AdminService/BackupStore")),
    heavy(whole_store("/dhakira.v1.AdminService/VerifyStore")),
    heavy(whole_store("/dhakira.v1.AdminService/CompactStore")),
    // An operation requires what the call that it runs requires. Starting one is no work: how many run has a limit of its own.
    rule("/dhakira.v1.OperationService/StartImportFile", Manager, &[write(&[1, 1, 1], Manager)]),
    rule(
        "/dhakira.v1.OperationService/StartAlignDocuments",
        Reader,
        &[read(&[1, 5], Reader), write(&[1, 6, 1], Manager)],
    ),
    rule("/dhakira.v1.OperationService/StartTrainLexicon", Manager, &[write(&[1, 1], Manager)]),
    rule("/dhakira.v1.OperationService/StartCheckUnits", Manager, &[read(&[1, 1], Manager)]),
    whole_store("/dhakira.v1.OperationService/StartBackupStore"),
    // Each caller sees the operations of its token.
    rule("/dhakira.v1.OperationService/GetOperation", Reader, &[]),
    rule("/dhakira.v1.OperationService/ListOperations", Reader, &[]),
    rule("/dhakira.v1.OperationService/WaitOperation", Reader, &[]),
    rule("/dhakira.v1.OperationService/WatchOperation", Reader, &[]),
    rule("/dhakira.v1.OperationService/ReadOperationResult", Reader, &[]),
    rule("/dhakira.v1.OperationService/CancelOperation", Reader, &[]),
    rule("/dhakira.v1.OperationService/DeleteOperation", Reader, &[]),
];

/// The index of a method in [`RULES`].
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
    /// The name of the method without package and service: `GetUnit`.
    pub fn name(&self) -> &'static str {
        self.method.rsplit('/').next().unwrap_or(self.method)
    }

    /// Whether a principal with these grants may call the method for any memory at all.
    pub fn admits(&self, grants: &Grants) -> bool {
        let role = if self.every_memory { grants.role_for_all() } else { grants.highest() };
        role.is_some_and(|role| role >= self.role)
    }
}

/// The rules as a table in Markdown, a row a method.
pub fn table() -> String {
    let mut text = String::from("| method | asks for |\n|---|---|\n");
    for rule in RULES {
        let method = rule.method.trim_start_matches("/dhakira.v1.").replace('/', ".");
        let mut asks: Vec<String> = Vec::new();
        for field in rule.fields {
            let what =
                if rule.role == field.role { "each memory named" } else { "where it stores" };
            let ask = format!("{} of {what}", field.role);
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

//! What does one message cost? Messages made to take much more memory than they are long, against a server in a process of its
//! own, whose peak is read from the system.
//!
//! `cargo test --test tests message_memory -- --nocapture` shows the figures; with `DHAKIRA_TEST_SERVER` those of another build.

use std::fs;
use std::time::{Duration, Instant};

use dhakira::limits::MESSAGE_BYTES_MAX;
use dhakira::server::TokenFile;
use prost::Message as _;
use tonic::Code;
use tonic::transport::Channel;

use crate::crash::Process;
use crate::guarded::{call, grants};
use crate::support::{proto, segment};

/// Peak memory may grow by this much for each byte on the wire.
const FACTOR_MAX: u64 = 4;
/// What a call takes beside its message: threads, buffers of the connection, pages that the allocator keeps.
const BESIDE_BYTES: u64 = 16 * 1024 * 1024;
const LIST: &str = "/dhakira.v1.MemoryService/ListMemories";
const WIRE_BYTES: usize = MESSAGE_BYTES_MAX - 1_024;

/// A field with bytes.
fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(content.len() + 12);
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut bytes);
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

/// A field that repeats until the message is as long as it may be, in fields of the given numbers from the inside out.
fn repeated(element: &[u8], inside: &[u32]) -> Vec<u8> {
    let mut message = element.repeat(WIRE_BYTES / element.len());
    for number in inside {
        message = field(*number, &message);
    }
    message
}

/// A name, a method and a message for it.
fn attacks() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let empty = |number: u8| [number << 3 | 2, 0];
    let parent = field(1, b"memories/m");
    let units = "/dhakira.v1.UnitService";
    let lookups = "/dhakira.v1.LookupService";
    let of = |service: &str, method: &str| &*format!("{service}/{method}").leak();
    // As dense as tags may be: a message that is let in and decoded.
    let tag = proto::InlineTag { code: "x".repeat(64), label: "b".into(), ..Default::default() };
    let dense = field(2, &tag.encode_to_vec());
    let text = "w ".repeat(WIRE_BYTES / 2);
    let with_text = proto::Unit { source: segment(&text), ..Default::default() };
    let mut groups = vec![0x7b_u8; 100_000];
    groups.extend(vec![0x7c_u8; 100_000]);
    vec![
        ("empty units", of(units, "BatchCreateUnits"), repeated(&empty(2), &[])),
        ("empty units of an import", of(units, "ImportUnits"), repeated(&empty(2), &[2])),
        (
            "empty tags",
            of(units, "CreateUnit"),
            [parent.clone(), repeated(&empty(2), &[2, 2])].concat(),
        ),
        (
            "dense tags",
            of(units, "CreateUnit"),
            [parent.clone(), repeated(&dense, &[2, 2])].concat(),
        ),
        (
            "empty attributes",
            of(units, "CreateUnit"),
            [parent.clone(), repeated(&empty(9), &[2])].concat(),
        ),
        ("empty paths of a mask", of(units, "UpdateUnit"), repeated(&empty(1), &[2])),
        (
            "empty names of a filter",
            of(units, "ExportUnits"),
            [parent.clone(), repeated(&empty(1), &[3])].concat(),
        ),
        ("empty segments", of(lookups, "LookupSegments"), repeated(&empty(2), &[])),
        (
            "many memories",
            of(lookups, "LookupSegments"),
            repeated(&field(1, &field(1, b"m")), &[1]),
        ),
        (
            "many settings",
            of(lookups, "LookupSegments"),
            repeated(&field(1, &field(1, &field(1, b"m"))), &[]),
        ),
        ("empty tags of a query", of(lookups, "StreamLookup"), repeated(&empty(2), &[1, 2])),
        ("empty texts", of(lookups, "AnalyzeSegments"), repeated(&empty(2), &[2])),
        ("empty segments of a job", of(lookups, "ExtractUnits"), repeated(&empty(1), &[2])),
        ("names of memories", of(lookups, "SearchConcordance"), repeated(&field(1, b"m"), &[])),
        (
            "empty sentences",
            "/dhakira.v1.AlignmentService/AlignDocuments",
            repeated(&empty(3), &[3]),
        ),
        ("empty pairs", "/dhakira.v1.AlignmentService/AlignWords", repeated(&empty(4), &[])),
        ("unknown fields", of(units, "GetUnit"), repeated(&[0x7a, 0], &[])),
        ("unknown numbers in a unit", of(units, "CreateUnit"), repeated(&[0x78, 1], &[2])),
        ("a revision given again", of(units, "CreateUnit"), repeated(&[0x50, 1], &[2])),
        ("nested groups", of(units, "GetUnit"), groups),
        (
            "one long text",
            of(units, "CreateUnit"),
            [parent, field(2, &with_text.encode_to_vec())].concat(),
        ),
        ("a health check", "/grpc.health.v1.Health/Check", field(1, &vec![b'x'; WIRE_BYTES / 4])),
        (
            "reflection",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            repeated(&empty(3), &[]),
        ),
    ]
}

/// Kilobytes of a line of `/proc/PID/status`.
fn status_bytes(process: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// The peak of a process during something, above what it had before.
async fn peak<T>(process: u32, during: impl Future<Output = T>) -> (u64, T) {
    // From here on the peak is counted anew.
    fs::write(format!("/proc/{process}/clear_refs"), "5").unwrap();
    let before = status_bytes(process, "VmRSS");
    let result = during.await;
    (status_bytes(process, "VmHWM").saturating_sub(before), result)
}

#[tokio::test]
async fn no_message_takes_more_than_four_times_its_length() {
    let directory = tempfile::tempdir().unwrap();
    let file = TokenFile::new(directory.path().join("access/tokens.json"));
    let (root, _) = file.create("root", grants("admin:*"), None).unwrap();
    // Not everything is open to it, so its messages are looked at.
    let (token, _) = file.create("t", grants("manager:m*"), None).unwrap();
    let start = || async {
        let process = Process::start(directory.path());
        let channel = Channel::from_shared(process.url.clone()).unwrap().connect().await.unwrap();
        (process, channel)
    };
    let memory = proto::Memory {
        source_language_code: "ar".into(),
        target_language_code: "en".into(),
        ..Default::default()
    };
    let create = proto::CreateMemoryRequest {
        memory_id: "m".into(),
        memory: Some(memory),
        ..Default::default()
    };
    let method = "/dhakira.v1.MemoryService/CreateMemory";
    let (process, channel) = start().await;
    call(&channel, method, create.encode_to_vec(), Some(&root)).await.unwrap();
    drop(process);
    let compared = std::env::var_os("DHAKIRA_TEST_SERVER").is_some();
    let mut too_much = Vec::new();
    eprintln!(
        "| message | bytes on the wire | peak memory | for each byte | milliseconds | answer |"
    );
    for (name, method, message) in attacks() {
        let length = message.len() as u64;
        // A process of its own, so that it is not measured in what another one left free.
        let (process, channel) = start().await;
        // The first call makes what all calls need.
        call(&channel, LIST, Vec::new(), Some(&root)).await.unwrap();
        let begin = Instant::now();
        let sent = call(&channel, method, message, Some(&token));
        let sent = tokio::time::timeout(Duration::from_secs(120), sent);
        let (bytes, answer) = peak(process.child.id(), sent).await;
        let (millis, factor) = (begin.elapsed().as_millis(), bytes as f64 / length as f64);
        let code = match &answer {
            Err(_) => "none in time".to_owned(),
            Ok(Ok(_)) => "OK".to_owned(),
            Ok(Err(status)) => format!("{:?}", status.code()),
        };
        eprintln!("| {name} | {length} | {bytes} | {factor:.1} | {millis} | {code} |");
        if bytes > FACTOR_MAX * length + BESIDE_BYTES {
            too_much.push(name);
        }
        // Reflection ends its stream without a word when its client's message is no good.
        if !compared && name != "reflection" {
            let wanted = [Code::InvalidArgument, Code::ResourceExhausted, Code::PermissionDenied];
            let status = answer.unwrap().expect_err(name);
            assert!(wanted.contains(&status.code()), "{name}: {status}");
        }
    }
    assert!(compared || too_much.is_empty(), "too much memory for {too_much:?}");
}

//! What do attackers get for their messages? Work that continues when its caller is gone, the delay of everybody else, and bytes
//! written to the disk: against a server in a process of its own, whose figures are read from the system.
//!
//! `cargo test --test tests attacks -- --nocapture --test-threads 1` shows the tables; with `DHAKIRA_TEST_SERVER` those of
//! another build, of which nothing is asserted.

mod calls;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use prost::Message;
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;
use tonic::{Code, Request};

use crate::attacks::calls::{Attack, attacks, words};
use crate::crash::Process;
use crate::guarded::{Raw, call};
use crate::support::{Clients, lookup_request, proto, segment, unit};

const SEGMENT_BYTES: usize = 244_000;
const LOOKUP: &str = "/dhakira.v1.LookupService/LookupSegments";
const CREATE: &str = "/dhakira.v1.UnitService/CreateUnit";
/// Work that never ends is measured for so long.
const WATCHED: Duration = Duration::from_secs(30);
/// A server is idle that used no core for so long.
const QUIET: Duration = Duration::from_millis(700);

/// Whether another build is measured, which may have every fault.
fn compared() -> bool {
    std::env::var_os("DHAKIRA_TEST_SERVER").is_some()
}

/// Time that the threads of a process ran.
fn cpu(process: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten();
    // A thread may end while it is looked at.
    let ran = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(ran.sum())
}

/// Bytes that a process gave to the system to write.
fn written(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/io")).unwrap();
    text.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap().parse().unwrap()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

async fn connect(process: &Process) -> Channel {
    Channel::from_shared(process.url.clone()).unwrap().connect().await.unwrap()
}

/// Sends messages and reads the answer to its end.
async fn send(channel: Channel, method: &str, messages: Vec<Vec<u8>>, deadline: Duration) -> Code {
    let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(usize::MAX);
    client.ready().await.unwrap();
    let mut request = Request::new(tokio_stream::iter(messages));
    request.set_timeout(deadline);
    match client.streaming(request, method.parse().unwrap(), Raw).await {
        Ok(answer) => {
            let mut answers = answer.into_inner();
            while let Some(answer) = answers.next().await {
                if let Err(status) = answer {
                    return status.code();
                }
            }
            Code::Ok
        }
        Err(status) => status.code(),
    }
}

/// What a server does for calls that end before they are answered.
struct Behind {
    /// Time of all cores until the calls ended.
    used: Duration,
    /// Time of all cores from then on.
    used_behind: Duration,
    /// How long after the end a core was last seen busy.
    busy: Duration,
    /// Calls that were answered before.
    answered: usize,
}

async fn behind(process: &Process, attack: &Attack) -> Behind {
    let id = process.child.id();
    // The first call makes what all calls need, and each attack has connections of its own.
    let mut channels = Vec::new();
    for _ in 0..attack.calls {
        channels.push(connect(process).await);
    }
    let before = cpu(id);
    let calls: Vec<_> = channels
        .into_iter()
        .map(|channel| {
            let (method, messages) = (attack.method, attack.messages.clone());
            tokio::spawn(async move { send(channel, method, messages, 2 * WATCHED).await })
        })
        .collect();
    // In the time of its cores, so that a busy machine does not end calls before their work begins.
    let begun = Instant::now();
    let all_answered = || calls.iter().all(tokio::task::JoinHandle::is_finished);
    while cpu(id).saturating_sub(before) < attack.until_used
        && begun.elapsed() < WATCHED
        && !all_answered()
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let answered = calls.iter().filter(|call| call.is_finished()).count();
    let at_end = cpu(id);
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    let end = Instant::now();
    let (mut last, mut seen, mut busy) = (at_end, end, end);
    while busy.elapsed() < QUIET && end.elapsed() < WATCHED {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let now = cpu(id).max(last);
        // The background of an idle server takes less.
        if now - last > seen.elapsed() / 5 {
            busy = Instant::now();
        }
        (last, seen) = (now, Instant::now());
    }
    Behind {
        used: at_end.saturating_sub(before),
        used_behind: last.saturating_sub(at_end),
        busy: busy - end,
        answered,
    }
}

/// A server with an empty memory `m`.
async fn server_with_memory(directory: &Path) -> (Process, Channel, Clients) {
    let process = Process::start(directory);
    let channel = connect(&process).await;
    let mut clients = Clients::over(channel.clone());
    clients.create_memory("m").await;
    (process, channel, clients)
}

async fn memory_of_long_units(directory: &Path) {
    let (_process, _, mut clients) = server_with_memory(directory).await;
    for number in 0..8 {
        clients.create_unit("m", &words(SEGMENT_BYTES, 50 * number), "a target").await;
    }
    clients.create_unit("m", &"{0{0{0".repeat(40_000), "a target").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_core_is_busy_long_after_its_caller_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    memory_of_long_units(directory.path()).await;
    eprintln!(
        "| calls | core ms until they end | core ms from then on | last busy after ms | answered before |"
    );
    let mut late = Vec::new();
    for attack in attacks() {
        let process = Process::start(directory.path());
        let Behind { used, used_behind, busy, answered } = behind(&process, &attack).await;
        eprintln!(
            "| {} | {:.0} | {:.0} | {:.0} | {answered} |",
            attack.name,
            millis(used),
            millis(used_behind),
            millis(busy)
        );
        // Wide room: this machine may be busy with other things, and this build slow.
        if used_behind > used.max(Duration::from_millis(700)) {
            late.push(attack.name);
        }
    }
    assert!(compared() || late.is_empty(), "work continues without a caller: {late:?}");
}

/// Times of a call that is sent again and again, sorted.
async fn times(
    channel: &Channel,
    method: &str,
    rounds: usize,
    message: impl Fn(usize) -> Vec<u8>,
) -> Vec<f64> {
    let mut times = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let begin = Instant::now();
        call(channel, method, message(round), None).await.unwrap();
        times.push(millis(begin.elapsed()));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    times.sort_by(f64::total_cmp);
    times
}

/// Shows times beside those of an idle server; their medians.
fn show(name: &str, idle: &[f64], attacked: &[f64]) -> (f64, f64) {
    let at = |times: &[f64], part: f64| times[((times.len() - 1) as f64 * part) as usize];
    let p50 = (at(idle, 0.5), at(attacked, 0.5));
    let p99 = (at(idle, 0.99), at(attacked, 0.99));
    eprintln!(
        "| {name} | {} | {:.1} → {:.1} | {:.1} → {:.1} | {:.1} |",
        attacked.len(),
        p50.0,
        p50.1,
        p99.0,
        p99.1,
        p99.1 / p99.0
    );
    p50
}

const TIMES: &str =
    "| attack | calls of the other | p50 ms, idle → attacked | p99 ms | p99 / p99 idle |";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_ten_thousand_tags_do_not_slow_others() {
    let directory = tempfile::tempdir().unwrap();
    let (process, channel, mut clients) = server_with_memory(directory.path()).await;
    for number in 0..200 {
        clients.create_unit("m", &format!("the quick brown fox number {number}"), "x").await;
    }
    let tag = |offset| proto::InlineTag {
        offset: 20 * offset,
        kind: proto::TagKind::Standalone.into(),
        code: "<x/>".into(),
        ..Default::default()
    };
    let tagged = proto::Segment { text: words(240_000, 0), tags: (0..10_000).map(tag).collect() };
    let tagged =
        proto::Unit { source: Some(tagged.clone()), target: Some(tagged), ..Default::default() };
    let create = proto::CreateUnitRequest {
        parent: "memories/m".into(),
        unit: Some(tagged),
        request_id: String::new(),
        ..Default::default()
    };
    let mut units = clients.units.clone().max_decoding_message_size(usize::MAX);
    let name = units.create_unit(create).await.unwrap().into_inner().unit.unwrap().name;
    let lookup = |_| lookup_request(&["m"], "the quick brown fox number 7").encode_to_vec();
    times(&channel, LOOKUP, 50, lookup).await;
    let idle = times(&channel, LOOKUP, 200, lookup).await;
    let get = proto::GetUnitRequest { name, ..Default::default() }.encode_to_vec();
    let mut readers = Vec::new();
    for _ in 0..3 {
        let (channel, get) = (connect(&process).await, get.clone());
        readers.push(tokio::spawn(async move {
            loop {
                let get = get.clone();
                let deadline = Duration::from_secs(60);
                send(channel.clone(), "/dhakira.v1.UnitService/GetUnit", vec![get], deadline).await;
            }
        }));
    }
    let attacked = times(&channel, LOOKUP, 200, lookup).await;
    readers.iter().for_each(tokio::task::JoinHandle::abort);
    eprintln!("{TIMES}");
    let (idle, attacked) = show("3 readers of 10,000 tags", &idle, &attacked);
    assert!(compared() || attacked < 20.0 * idle.max(2.0), "{idle} ms, {attacked} ms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_updates_do_not_delay_small_writes() {
    let directory = tempfile::tempdir().unwrap();
    let (process, channel, mut clients) = server_with_memory(directory.path()).await;
    let name = clients.create_unit("m", "source", "target").await.name;
    let small = |number: usize| {
        let request = proto::CreateUnitRequest {
            parent: "memories/m".into(),
            unit: Some(unit(&format!("a small one {number}"), "target")),
            request_id: String::new(),
            ..Default::default()
        };
        request.encode_to_vec()
    };
    times(&channel, CREATE, 20, small).await;
    let idle = times(&channel, CREATE, 100, small).await;
    let text = words(240_000, 0);
    let long = connect(&process).await;
    let updates: Vec<_> = (0..60)
        .map(|number| {
            let unit = proto::Unit {
                name: name.clone(),
                source: segment(&format!("{text} {number}")),
                target: segment(&text),
                ..Default::default()
            };
            let update = proto::UpdateUnitRequest { unit: Some(unit), ..Default::default() };
            let (long, update) = (long.clone(), update.encode_to_vec());
            let deadline = Duration::from_secs(120);
            tokio::spawn(async move {
                send(long, "/dhakira.v1.UnitService/UpdateUnit", vec![update], deadline).await
            })
        })
        .collect();
    let mut attacked = Vec::new();
    while attacked.len() < 5 || !updates.iter().all(tokio::task::JoinHandle::is_finished) {
        attacked.extend(times(&channel, CREATE, 1, |_| small(attacked.len())).await);
    }
    attacked.sort_by(f64::total_cmp);
    for update in updates {
        assert_eq!(update.await.unwrap(), Code::Ok);
    }
    eprintln!("{TIMES}");
    let (idle, attacked) = show("60 updates of 480 KB", &idle, &attacked);
    assert!(compared() || attacked < 50.0 * idle.max(5.0), "{idle} ms, {attacked} ms");
}

#[tokio::test]
async fn a_commit_writes_no_description() {
    let mut figures = Vec::new();
    for description in [0, 60_000] {
        let directory = tempfile::tempdir().unwrap();
        let process = Process::start(directory.path());
        let mut clients = Clients::over(connect(&process).await);
        let memory = proto::Memory {
            source_language_code: "ar".into(),
            target_language_code: "en".into(),
            description: "d".repeat(description),
            ..Default::default()
        };
        let request = proto::CreateMemoryRequest {
            memory_id: "m".into(),
            memory: Some(memory),
            request_id: String::new(),
        };
        clients.memories.create_memory(request).await.unwrap();
        let before = written(process.child.id());
        for number in 0..200 {
            clients.create_unit("m", &format!("source {number}"), "target").await;
        }
        figures.push(written(process.child.id()) - before);
    }
    eprintln!("| 200 CreateUnit, description of | bytes written |");
    eprintln!("| 0 bytes | {} |\n| 60,000 bytes | {} |", figures[0], figures[1]);
    // The pages of the database, in which the description may stand beside what changed, are written now and then.
    let most = 2 * figures[0] + 4 * 1024 * 1024;
    assert!(compared() || figures[1] < most, "{figures:?}");
}

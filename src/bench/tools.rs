//! `dhakira bench tools`: measures the same lookup by each protocol that the server speaks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use http::header::{CONTENT_TYPE, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;

use crate::client::Client;
use crate::engine::{Engine, QuerySegment};
use crate::store::{OpenOptions, SledStore};
use crate::unit::MemoryName;

use super::corpus::{Texts, grown, queries, read_units};
use super::lookup::{fill, lookup_settings};
use super::measure::{Figures, median, number};
use super::served::{Server, batched, empty_calls, one_by_one};

/// Looks segments up by gRPC, JSON, tmserver, MyMemory and t5memory, each on a connection of its own: 70 %, five matches.
#[derive(Debug, Args)]
pub(super) struct BenchTools {
    #[command(flatten)]
    texts: Texts,
    /// Calls in flight at the same time in the parts that load the server.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Times that everything is measured, protocol by protocol in turn; medians are shown.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=99))]
    runs: u8,
    /// One JSON object with all figures.
    #[arg(long)]
    json: bool,
}

/// A protocol over HTTP/1.1.
#[derive(Debug, Clone, Copy)]
pub(super) enum Protocol {
    Json,
    TmServer,
    MyMemory,
    T5Memory,
}

const PROTOCOLS: [(&str, Protocol); 4] = [
    ("json", Protocol::Json),
    ("tmserver", Protocol::TmServer),
    ("mymemory", Protocol::MyMemory),
    ("t5memory", Protocol::T5Memory),
];

/// The memory.
const MEMORY: &str = "bench";
/// Flags by which all protocols give matches from 70 % on.
const SAME_LOOKUP: [&str; 2] = ["--facade-mymemory-min-score=70", "--facade-t5memory-min-score=70"];
/// Longest address of a request: servers and proxies take about 8 KiB.
const ADDRESS_BYTES_MAX: usize = 8_000;

impl Protocol {
    /// The request that looks a text up: 70 %, five matches; `None` when the text is too long for it.
    fn request(self, host: &str, text: &str) -> anyhow::Result<Option<Request<Full<Bytes>>>> {
        let encoded = encoded(text);
        let (method, path, body) = match self {
            Self::Json => {
                let body = json!({
                    "settings": {"memories": [{"name": format!("memories/{MEMORY}")}]},
                    "segments": [{"segment": {"text": text}}],
                });
                ("POST", "/v1/segments:lookup".to_owned(), Some(body))
            }
            Self::TmServer => ("GET", format!("/tmserver/ar/en/unit/{encoded}"), None),
            Self::MyMemory => {
                ("GET", format!("/mymemory/get?langpair=ar%7Cen&numres=5&q={encoded}"), None)
            }
            Self::T5Memory => {
                // Its segments are markup.
                let source = text.replace('&', "&amp;").replace('<', "&lt;");
                let body = json!({
                    "sourceLang": "ar", "targetLang": "en", "source": source, "documentName": "",
                    "markupTable": "OTMXUXLF", "context": "", "numOfProposals": 5,
                });
                ("POST", format!("/t5memory/{MEMORY}/fuzzysearch"), Some(body))
            }
        };
        if path.len() > ADDRESS_BYTES_MAX {
            return Ok(None);
        }
        let mut request = Request::builder().method(method).uri(path).header(HOST, host);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        Ok(Some(request.body(Full::new(body.into()))?))
    }
}

/// Percent-encoded, with nothing left as it is but letters and digits.
fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(3 * text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

impl BenchTools {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let data = PathBuf::from("./dhakira-bench").join(uuid::Uuid::new_v4().to_string());
        let figures = {
            let data = data.clone();
            tokio::task::spawn_blocking(move || {
                self.fill(&data)?;
                // On one thread, as a client that wants its answers soon.
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let figures = runtime.block_on(self.measure(&data))?;
                anyhow::Ok((figures, self.json))
            })
            .await?
        };
        std::fs::remove_dir_all(&data)?;
        let (figures, json) = figures?;
        figures.show(json)
    }

    fn fill(&self, data: &Path) -> anyhow::Result<()> {
        let options =
            OpenOptions { create: true, accept_data_loss: false, purpose: "bench".to_owned() };
        let store = Arc::new(SledStore::open(data, &options)?);
        let engine = Engine::open(store, Some(data.join("checkpoints")), &mut |_| ())?;
        let units = match self.texts.units {
            Some(units) => units,
            None => read_units(&self.texts.corpus, usize::MAX)?.len(),
        };
        fill(&engine, &MEMORY.parse()?, grown(&self.texts.corpus)?.take(units))
    }

    async fn measure(&self, data: &Path) -> anyhow::Result<Figures> {
        let mut figures = Figures::default();
        let name: MemoryName = MEMORY.parse()?;
        let settings = lookup_settings(&name, 70.0, 5)?;
        let mut queries = queries(&self.texts.queries, self.texts.count)?;
        queries.retain(|it| encoded(&it.segment.text).len() < ADDRESS_BYTES_MAX / 2);
        figures.put("queries", number(queries.len()));
        let server = Server::start_with(data, &SAME_LOOKUP)?;
        let host = server.url.trim_start_matches("http://").to_owned();
        let mut client = Client::connect(&server.url).await?;
        figures.percentiles("grpc_floor", empty_calls(&mut client, &name, queries.len()).await?);
        let mut by_grpc = Vec::new();
        let mut by_http = vec![Vec::new(); PROTOCOLS.len()];
        for _ in 0..self.runs {
            by_grpc.push(one_by_one(&mut client, &settings, &queries).await?);
            for ((_, protocol), times) in PROTOCOLS.iter().zip(&mut by_http) {
                times.push(one_after_the_other(*protocol, &host, &queries).await?);
            }
        }
        figures.median_percentiles("grpc", by_grpc);
        for ((name, _), times) in PROTOCOLS.iter().zip(by_http) {
            figures.median_percentiles(name, times);
            let more = figures.get(&format!("{name}_p50_us")) - figures.get("grpc_p50_us");
            figures.put(format!("{name}_p50_us_more_than_grpc"), more);
        }
        let mut rates = Vec::new();
        let mut grpc_rates = Vec::new();
        for _ in 0..self.runs {
            grpc_rates.push(batched(&client, &settings, &queries, 1, self.clients).await?);
            rates.push(loaded(Protocol::Json, &host, &queries, self.clients).await?);
        }
        figures.put("grpc_loaded_lookups_per_second", median(grpc_rates));
        figures.put("json_loaded_lookups_per_second", median(rates));
        Ok(figures)
    }
}

async fn connect(host: &str) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(host).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// One request a segment on one connection.
pub(super) async fn one_after_the_other(
    protocol: Protocol,
    host: &str,
    queries: &[QuerySegment],
) -> anyhow::Result<Vec<Duration>> {
    let mut sender = connect(host).await?;
    let mut times = Vec::with_capacity(queries.len());
    for query in queries {
        let Some(request) = protocol.request(host, &query.segment.text)? else { continue };
        let since = Instant::now();
        sender.ready().await?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        times.push(since.elapsed());
        anyhow::ensure!(
            status == StatusCode::OK,
            "{protocol:?}: {status} {}",
            String::from_utf8_lossy(&body)
        );
    }
    Ok(times)
}

/// Segments a second, one a request, on so many connections at a time.
async fn loaded(
    protocol: Protocol,
    host: &str,
    queries: &[QuerySegment],
    connections: usize,
) -> anyhow::Result<f64> {
    let since = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for part in queries.chunks(queries.len().div_ceil(connections).max(1)) {
        let (host, part) = (host.to_owned(), part.to_vec());
        running.spawn(async move { one_after_the_other(protocol, &host, &part).await });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(number(queries.len()) / since.elapsed().as_secs_f64())
}

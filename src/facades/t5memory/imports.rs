//! Imports, which go on after their upload was answered, and what became of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use uuid::Uuid;

use crate::client::{Client, ClientError};
use crate::engine::{DuplicatePolicy, ImportCounts};
use crate::unit::MemoryName;

use super::super::refusal::Refusal;
use super::super::upload::Upload;
use super::fault::Fault;

/// Memories whose last import is remembered.
const IMPORTS_KEPT_MAX: usize = 1_000;
/// How long an upload waits for an import that ends at once, because it was refused or is small.
const END_AT_ONCE: Duration = Duration::from_millis(500);

/// The last import of each memory, since the server was started.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Imports(Arc<Mutex<HashMap<MemoryName, Arc<Import>>>>);

/// An import.
#[derive(Debug)]
struct Import {
    started: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Clone)]
enum State {
    Running,
    Done(ImportCounts, Duration),
    Failed(String),
}

impl Imports {
    fn begin(&self, memory: &MemoryName) -> Arc<Import> {
        let import = Import { started: Instant::now(), state: Mutex::new(State::Running) };
        let import = Arc::new(import);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= IMPORTS_KEPT_MAX && !all.contains_key(memory) {
            let oldest = all.iter().min_by_key(|(_, import)| import.started);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                all.remove(&oldest);
            }
        }
        all.insert(memory.clone(), Arc::clone(&import));
        import
    }

    pub(super) fn forget(&self, memory: &MemoryName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(memory);
    }

    /// The fields of a status that are about the last import of a memory.
    pub(super) fn status(&self, memory: &MemoryName) -> Map<String, Value> {
        let import =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get(memory).map(Arc::clone);
        let state = import.map(|import| import.state());
        let fields = match state {
            None => json!({"status": "open"}),
            Some(State::Running) => json!({
                "status": "import running",
                "tmxImportStatus": "import",
                "importTime": "not finished",
            }),
            Some(State::Done(counts, time)) => json!({
                "status": "open",
                "tmxImportStatus": "available",
                "importProgress": 100,
                "importTime": format!("{:.1} s", time.as_secs_f64()),
                "segmentsImported": counts.stored + counts.duplicates,
                "invalidSegments": counts.rejected,
                "importErrorMsg": "",
            }),
            Some(State::Failed(message)) => json!({
                "status": "open",
                "tmxImportStatus": "failed",
                "importTime": "failed",
                "importErrorMsg": message,
                "ErrorMsg": message,
            }),
        };
        match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }
}

impl Import {
    fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes how it ended; the first end counts.
    fn end(&self, end: Result<ImportCounts, String>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Running) {
            *state = match end {
                Ok(counts) => State::Done(counts, self.started.elapsed()),
                Err(message) => State::Failed(message),
            };
        }
    }
}

/// An import whose file has not come in full: dropped, it is stopped, because an end of the file would be taken for its whole.
struct Unfinished {
    task: JoinHandle<Result<ImportCounts, ClientError>>,
    import: Arc<Import>,
    has_all: bool,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.has_all {
            return;
        }
        self.task.abort();
        self.import.end(Err("the upload broke off".to_owned()));
    }
}

/// Sends a file to an import, which may go on when this returns. `bytes` is its size, 0 when it is not known.
///
/// # Errors
/// The file breaks off or comes too slowly; the import has failed already.
pub(super) async fn import(
    client: &Client,
    imports: &Imports,
    (memory, policy): (&MemoryName, DuplicatePolicy),
    (mut file, bytes): (Upload, u64),
) -> Result<(), Fault> {
    let (pieces, to_send) = mpsc::channel(1);
    let import = imports.begin(memory);
    let task = tokio::spawn({
        let (mut client, memory, import) = (client.clone(), memory.clone(), Arc::clone(&import));
        async move {
            let to_send = ReceiverStream::new(to_send);
            let end = client.import_pieces(&memory, policy, (Uuid::new_v4(), bytes), to_send).await;
            import.end(end.as_ref().copied().map_err(ToString::to_string));
            end
        }
    });
    let mut unfinished = Unfinished { task, import, has_all: false };
    while let Some(piece) = file.piece().await? {
        if pieces.send(piece.to_vec()).await.is_err() {
            // The import has ended; its result says why.
            break;
        }
    }
    unfinished.has_all = true;
    drop(pieces);
    match timeout(END_AT_ONCE, &mut unfinished.task).await {
        Ok(Ok(Ok(_))) | Err(_) => Ok(()),
        Ok(Ok(Err(error))) => Err(error.into()),
        Ok(Err(_)) => {
            let message = "the import broke off on the server";
            Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message).into())
        }
    }
}

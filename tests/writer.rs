//! Risk: the one thread that writes ends by a fault of the program, and nobody is told, or everything else stops with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dhakira::engine::{Cancel, Engine, EngineError};
use dhakira::service::Api;
use dhakira::store::{
    Commit, Compacted, InMemoryStore, LogRecord, LogStart, MemoryKey, MemoryRecord, RequestKey,
    RequestRecord, Retention, Secret, Sequence, Store, StoreError,
};
use dhakira::unit::{Timestamp, Unit, UnitId};

use crate::upkeep::{content, create_memory, name};

/// A store that brings down whoever commits, from a moment on.
#[derive(Default)]
struct Faulty {
    store: InMemoryStore,
    broken: AtomicBool,
}

type Stored<T> = Result<T, StoreError>;

impl Store for Faulty {
    fn commit(&self, commits: &[Commit]) -> Stored<Sequence> {
        assert!(
            !self.broken.load(Ordering::Relaxed),
            "a fault of the program (wanted by the test)"
        );
        self.store.commit(commits)
    }

    fn memories(&self) -> Stored<Vec<MemoryRecord>> {
        self.store.memories()
    }

    fn units(&self, memory: MemoryKey, ids: &[UnitId]) -> Stored<Vec<Option<Unit>>> {
        self.store.units(memory, ids)
    }

    fn page(&self, memory: MemoryKey, after: Option<UnitId>, limit: usize) -> Stored<Vec<Unit>> {
        self.store.page(memory, after, limit)
    }

    fn request(&self, key: RequestKey) -> Stored<Option<RequestRecord>> {
        self.store.request(key)
    }

    fn requests_before(&self, time: Timestamp, limit: usize) -> Stored<Vec<RequestKey>> {
        self.store.requests_before(time, limit)
    }

    fn changes_since(&self, after: Sequence, limit: usize) -> Stored<Vec<LogRecord>> {
        self.store.changes_since(after, limit)
    }

    fn last_sequence(&self) -> Sequence {
        self.store.last_sequence()
    }

    fn log_start(&self) -> LogStart {
        self.store.log_start()
    }

    fn version(&self, memory: MemoryKey, id: UnitId, revision: u64) -> Stored<Option<Unit>> {
        self.store.version(memory, id, revision)
    }

    fn requests(
        &self,
        after: Option<RequestKey>,
        limit: usize,
    ) -> Stored<Vec<(RequestKey, RequestRecord)>> {
        self.store.requests(after, limit)
    }

    fn compact(
        &self,
        retention: Retention,
        told: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Stored<Compacted> {
        self.store.compact(retention, told)
    }

    fn cut_log(&self, retention: Retention) -> Stored<bool> {
        self.store.cut_log(retention)
    }

    fn poisoned(&self) -> Option<String> {
        self.store.poisoned()
    }

    fn secret(&self) -> Secret {
        self.store.secret()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_has_ended_is_told_of_and_stops_nothing_else() {
    let engine = tokio::task::spawn_blocking(|| {
        let store = Arc::new(Faulty::default());
        let engine = Engine::open(Arc::clone(&store) as _, None, &mut |_| ()).unwrap();
        let write =
            || engine.create_units(&name(), vec![content("a", "b")], None, |_| String::new());
        create_memory(&engine, &name());
        write().unwrap();
        assert_eq!(engine.poisoned(), None);
        store.broken.store(true, Ordering::Relaxed);
        // The write that it fails on, and those after it.
        for number in 0..3 {
            let refused = write().unwrap_err();
            assert!(
                matches!(&refused, EngineError::Store(StoreError::Poisoned(_))),
                "{number}: {refused}"
            );
        }
        // What is there is still read, and whoever asks is told how it stands.
        assert_eq!(engine.unit(&name(), UnitId(1)).unwrap().content.target.text, "b");
        assert!(engine.poisoned().is_some());
        engine.learn_what_changed(&Cancel::default());
        engine
    });
    let api = Api::ready(engine.await.unwrap());
    assert!(api.standing().trouble.is_some_and(|it| it.contains("no more writes")));
    // It waits for changes; there will be none.
    let learning = api.learn_when_idle(Duration::from_millis(1));
    tokio::time::timeout(Duration::from_secs(60), learning).await.unwrap();
    tokio::task::spawn_blocking(move || drop(api)).await.unwrap();
}

//! Risk: the one thread that writes ends by a fault of the program, and nobody is told, or everything else stops with it.

use std::sync::Arc;
use std::time::Duration;

use dhakira::engine::{Cancel, Engine, EngineError};
use dhakira::grpc::Api;
use dhakira::store::StoreError;
use dhakira::unit::UnitId;

use crate::support::failing::{Access, FailingStore};
use crate::upkeep::{content, create_memory, name};

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_has_ended_is_told_of_and_stops_nothing_else() {
    let engine = tokio::task::spawn_blocking(|| {
        let store = Arc::new(FailingStore::default());
        let engine = Engine::open(Arc::clone(&store), None, &mut |_| ()).unwrap();
        let write =
            || engine.create_units(&name(), vec![content("a", "b")], None, |_| String::new());
        create_memory(&engine, &name());
        write().unwrap();
        assert_eq!(engine.writes_paused(), None);
        store.set(Some(|access| {
            assert!(access != Access::Commit, "a fault of the program (wanted by the test)");
            Ok(())
        }));
        // The write that it fails on, and those after it.
        for number in 0..3 {
            let refused = write().unwrap_err();
            assert!(
                matches!(&refused, EngineError::Store(StoreError::WritesPaused(_))),
                "{number}: {refused}"
            );
        }
        // What is there is still read, and whoever asks is told how it stands.
        assert_eq!(engine.unit(&name(), UnitId(1)).unwrap().content.target.text, "b");
        assert!(engine.writes_paused().is_some());
        engine.train_outdated(&Cancel::default());
        engine
    });
    let api = Api::ready(engine.await.unwrap());
    assert!(api.serving_status().trouble.is_some_and(|it| it.contains("writes are paused")));
    // It waits for changes; there will be none.
    let learning = api.train_when_idle(Duration::from_millis(1));
    tokio::time::timeout(Duration::from_secs(60), learning).await.unwrap();
    tokio::task::spawn_blocking(move || drop(api)).await.unwrap();
}

//! The program itself over a real PostgreSQL: its commands, and nodes that are killed while they serve.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::world::until;
use crate::command_line::{code, json, run, stderr, stdout};
use crate::crash::Process;
use crate::support::postgres::Postgres;
use crate::support::{Clients, proto, unit};

/// A node in a process of its own, killed when it is dropped.
fn start(store: &str, data: &Path) -> Process {
    let variable = |name, value: &str| (name, value.to_owned());
    let variables = [variable("DHAKIRA_STORE", store), variable("DHAKIRA_DURABILITY", "engine")];
    Process::start_with(data, &variables)
}

async fn clients(node: &Process) -> Clients {
    Clients::connect(&node.url).await
}

fn create(source: &str) -> proto::CreateUnitRequest {
    proto::CreateUnitRequest {
        parent: "memories/m".into(),
        unit: Some(unit(source, "target")),
        request_id: uuid::Uuid::new_v4().to_string(),
        ..Default::default()
    }
}

/// Sends a write until it is answered.
async fn create_patiently(node: &Process, source: &str) {
    let (mut calls, request, since) = (clients(node).await, create(source), Instant::now());
    while let Err(error) = calls.units.create_unit(request.clone()).await {
        assert_eq!(error.code(), tonic::Code::Unavailable, "{error}");
        assert!(since.elapsed() < Duration::from_secs(60), "{error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn status(root: &Path, store: &str) -> Value {
    let status = ["cluster", "status", "--durability", "engine", "--json", "--store", store];
    json(&run(root, &status))
}

fn writer(status: &Value) -> Option<String> {
    let nodes = status["nodes"].as_array().unwrap();
    let writer = nodes.iter().find(|it| it["writer"] == true)?;
    Some(writer["address"].as_str().unwrap().to_owned())
}

/// Makes the tables of a cluster.
pub(super) fn init(root: &Path, store: &str, more: &[&str]) {
    let made = run(root, &[&["cluster", "init", "--store", store], more].concat());
    assert_eq!(code(&made), 0, "{}", stderr(&made));
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_a_cluster_serve_and_may_die() {
    let Some(postgres) = Postgres::start(0) else { return };
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let port = postgres.primary.port;
    let address = |database: &str| {
        format!("postgres://dhakira:hidden-word@127.0.0.1:{port}/{database}?sslmode=disable")
    };
    let database = postgres.database();
    let store = address(&database);

    // A database that would lose writes is refused, and one without tables.
    let refused = run(root, &["cluster", "init", "--store", &store]);
    assert_eq!(code(&refused), 1);
    assert!(stderr(&refused).contains("no synchronous standbys"), "{}", stderr(&refused));
    assert!(!stderr(&refused).contains("hidden-word"));
    let engine = ["--durability", "engine", "--store", &store];
    let early = run(root, &[&["cluster", "status"][..], &engine].concat());
    assert!(stderr(&early).contains("dhakira cluster init"), "{}", stderr(&early));
    let wrong = run(root, &["cluster", "status", "--store", "mysql://me:hidden-word@host/db"]);
    assert!(stderr(&wrong).contains("postgres://"), "{}", stderr(&wrong));
    assert!(!stderr(&wrong).contains("hidden-word"), "{}", stderr(&wrong));
    let made = run(root, &[&["cluster", "init", "--name", "agency"][..], &engine].concat());
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    assert!(stdout(&made).contains("'agency'") && !stdout(&made).contains("hidden-word"));
    let same = run(root, &[&["cluster", "migrate"][..], &engine].concat());
    assert!(stdout(&same).contains("already"), "{}", stdout(&same));

    // Two nodes; the second copies what the first has stored.
    let (one, other) = (root.join("one"), root.join("other"));
    let first = start(&store, &one);
    until("a node writes", || writer(&status(root, &store)).as_ref() == Some(&first.url)).await;
    clients(&first).await.create_memory("m").await;
    create_patiently(&first, "before").await;
    let second = start(&store, &other);
    assert_eq!(clients(&second).await.lookup("m", "before").await.len(), 1);
    create_patiently(&second, "from the second node").await;
    assert_eq!(clients(&second).await.lookup("m", "from the second node").await.len(), 1);
    let nodes = || status(root, &store)["nodes"].as_array().unwrap().len();
    until("both nodes are reported", || nodes() == 2).await;
    let seen = status(root, &store);
    assert_eq!(seen["name"], "agency");
    let shown = stdout(&run(root, &[&["cluster", "status"][..], &engine].concat()));
    assert!(shown.contains(&second.url) && shown.contains("writer"), "{shown}");
    // The servers of the tests do not sync.
    let doctor = run(root, &[&["cluster", "doctor"][..], &engine].concat());
    assert_eq!(code(&doctor), 1);
    let told = stdout(&doctor);
    assert!(told.contains("PROBLEM  database: fsync is off"), "{told}");
    assert!(told.contains("ok       addresses") && told.contains("ok       writer"), "{told}");

    // A directory of a node is no store, and the address is shown without its password.
    let local = run(root, &["memories", "--data", other.to_str().unwrap()]);
    assert!(stderr(&local).contains("belongs to a node of a cluster"), "{}", stderr(&local));
    let settings = stdout(&run(root, &["config", "--store", &store]));
    assert!(settings.contains("postgres://127.0.0.1") && !settings.contains("hidden-word"));

    // The writer is killed: the other node goes on, and takes over.
    drop(first);
    create_patiently(&second, "after the first node").await;
    until("the second node writes", || writer(&status(root, &store)).as_ref() == Some(&second.url))
        .await;
    let first = start(&store, &one);
    for text in ["before", "from the second node", "after the first node"] {
        assert_eq!(clients(&first).await.lookup("m", text).await.len(), 1, "{text}");
    }

    // The database is killed and comes back.
    postgres.primary.kill();
    for node in [&first, &second] {
        assert_eq!(clients(node).await.lookup("m", "before").await.len(), 1);
    }
    postgres.primary.start();
    create_patiently(&first, "after the database").await;
    assert_eq!(clients(&first).await.lookup("m", "after the database").await.len(), 1);

    // A backup of a node, restored into another cluster.
    let backup = run(root, &["backup", "saved", "--server", &second.url]);
    assert_eq!(code(&backup), 0, "{}", stderr(&backup));
    let copy = address(&postgres.database());
    let engine = ["--durability", "engine"];
    init(root, &copy, &engine);
    let restore = [&["restore", "saved", "--into", &copy][..], &engine].concat();
    let restored = run(root, &restore);
    assert_eq!(code(&restored), 0, "{}", stderr(&restored));
    assert!(stdout(&restored).contains("4 units"), "{}", stdout(&restored));
    let again = run(root, &restore);
    assert!(stderr(&again).contains("holds memories already"), "{}", stderr(&again));
    let third = start(&copy, &root.join("third"));
    assert_eq!(clients(&third).await.lookup("m", "after the database").await.len(), 1);
    create_patiently(&third, "in the new cluster").await;
    let verified = run(root, &["verify", "--server", &third.url]);
    assert_eq!(code(&verified), 0, "{}", stderr(&verified));

    import_into_a_cluster(root, &address(&postgres.database()), &third.url, &copy).await;

    // A token that is made for one node holds on all of them, and a node that joins knows it before it is called.
    let third_data = root.join("third").display().to_string();
    let tokens = ["access-tokens", "create", "anna", "--grant", "admin:*", "--data", &third_data];
    let token = stdout(&run(root, &tokens)).trim().to_owned();
    let is_shared = || {
        let all = postgres.primary.sql(copy_name(&copy), "SELECT count(*) FROM dhakira.token");
        all == "1"
    };
    until("the token is shared", is_shared).await;
    let fourth = start(&copy, &root.join("fourth"));
    let refused = clients(&fourth).await.units.create_unit(create("no token")).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);
    let with_token = ["memories", "--server", &fourth.url, "--token", &token];
    let listed = run(root, &with_token);
    assert_eq!(code(&listed), 0, "{}", stderr(&listed));
    let added = ["units", "add", "--memory", "m", "with a token", "target"];
    let added = run(root, &[&added[..], &with_token[1..]].concat());
    assert_eq!(code(&added), 0, "{}", stderr(&added));
}

/// The database in an address.
fn copy_name(store: &str) -> &str {
    store.rsplit('/').next().unwrap().split('?').next().unwrap()
}

/// Fills a cluster before its first node runs; one with a node is filled through that.
async fn import_into_a_cluster(root: &Path, store: &str, node: &str, served: &str) {
    let engine = ["--durability", "engine"];
    init(root, store, &engine);
    std::fs::write(root.join("units.tsv"), "ar\ten\nwords\tof a file\nother words\tof it\n")
        .unwrap();
    let into = |database: &str, more: &[&str]| {
        let import = ["import", "units.tsv", "--memory", "filled", "--into", database];
        run(root, &[&import[..], &engine, more].concat())
    };
    let imported = into(store, &["--json"]);
    assert_eq!(json(&imported)["stored"], 2, "{}", stderr(&imported));
    let again = into(store, &["--json"]);
    assert_eq!((&json(&again)["stored"], &json(&again)["duplicates"]), (&0.into(), &2.into()));
    let refused = into(served, &[]);
    assert_eq!(code(&refused), 1);
    let told = stderr(&refused);
    assert!(told.contains(node) && told.contains("--server"), "{told}");
    assert!(!told.contains("hidden-word"), "{told}");
    let refused = into(store, &["--server", node]);
    assert!(stderr(&refused).contains("leave --server out"), "{}", stderr(&refused));
    let filled = start(store, &root.join("filled"));
    assert_eq!(clients(&filled).await.lookup("filled", "words").await.len(), 1);
}

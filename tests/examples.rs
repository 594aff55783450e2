//! The example in Rust does what it says, on a server; `tests/foreign_clients/python.rs` runs the one in Python.

use crate::support::TestServer;

#[path = "../examples/client.rs"]
#[allow(dead_code)]
mod client;

/// What both examples print.
pub(crate) const SAID: [&str; 2] =
    ["66.67 Open the settings menu (edited -33.33)", "99.00 Save the file (marks -1)"];

#[tokio::test]
async fn the_example_in_rust_runs() {
    let server = TestServer::start().await;
    assert_eq!(client::run(&server.url, None).await.unwrap(), SAID);
}

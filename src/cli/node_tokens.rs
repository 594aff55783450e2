//! Shares access tokens between the nodes of a cluster: what is created or revoked on one is known to all.
//!
//! Each node keeps its token file, and uses it while the database is away. Records are only ever added or revoked, so files and
//! table are merged in any order and by any node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::server::{TokenFile, TokenMark, TokenRecord};
use crate::store::Realm;

/// How often the tokens are compared.
const PAUSE: Duration = Duration::from_secs(1);

/// The tokens of a node.
#[derive(Clone)]
pub(super) struct SharedTokens {
    realm: Arc<Realm>,
    file: TokenFile,
    mark: TokenMark,
}

/// Ends the sharing when it is dropped.
pub(super) struct Sharing(Arc<AtomicBool>);

impl Drop for Sharing {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl SharedTokens {
    pub(super) fn new(realm: Arc<Realm>, file: TokenFile, mark: TokenMark) -> Self {
        Self { realm, file, mark }
    }

    /// Merges the tokens of the file and of the cluster, in both. Blocks.
    pub(super) fn merge(&self) -> anyhow::Result<()> {
        // A record that a newer version wrote is left to newer versions.
        let shared: BTreeMap<String, TokenRecord> = self
            .realm
            .tokens()?
            .into_iter()
            .filter_map(|(id, record)| Some((id, serde_json::from_str(&record).ok()?)))
            .collect();
        let known: Vec<TokenRecord> = shared.values().cloned().collect();
        let all = self.file.merge(&known)?;
        if !all.is_empty() {
            self.mark.set(&self.file)?;
        }
        for record in all.iter().filter(|record| shared.get(&record.id) != Some(record)) {
            self.realm.put_token(&record.id, &serde_json::to_string(record)?)?;
        }
        Ok(())
    }

    /// Merges them from now on, on a thread.
    pub(super) fn share(self) -> std::io::Result<Sharing> {
        let stop = Arc::<AtomicBool>::default();
        let stopping = Arc::clone(&stop);
        std::thread::Builder::new().name("tokens".to_owned()).spawn(move || {
            let mut failed = false;
            while !stopping.load(Ordering::Relaxed) {
                let merged = self.merge();
                if let (Err(error), false) = (&merged, failed) {
                    tracing::warn!(
                        "the access tokens are not shared with the other nodes: {error:#}"
                    );
                }
                failed = merged.is_err();
                std::thread::sleep(PAUSE);
            }
        })?;
        Ok(Sharing(stop))
    }
}

//! Callers of every role, and what the table in `docs/access.md` allows them.

use std::collections::BTreeMap;

use dhakira::grpc::access::{Role, Rule};
use dhakira::server::AuditKeeping;
use tonic::Code;
use tonic::transport::Channel;

use super::{DOCUMENTATION, requests};
use crate::guarded::{Guarded, call};

/// For which memories a role is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Named,
    Any,
    All,
}

/// The role by method and kind of request, and for which memories.
pub(super) type Table = BTreeMap<(String, &'static str), (Role, Reach)>;

/// What the documentation says: the role by method and kind of request, and for which memories.
pub(super) fn documented_table() -> Table {
    let rows = DOCUMENTATION.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let method = cells.next()?.trim_end_matches('`');
        let (service, method) = method.split_once('.')?;
        let asks = cells.next()?.trim_end_matches(" |").to_owned();
        service.ends_with("Service").then(|| (format!("/dhakira.v1.{service}/{method}"), asks))
    });
    let mut table = BTreeMap::new();
    for (method, asks) in rows {
        for ask in asks.split("; ") {
            let (role, of) = ask.split_once(" of ").unwrap();
            let (kind, named) = match of {
                "each memory named" => ("", Reach::Named),
                "any memory" => ("", Reach::Any),
                "all memories" => ("", Reach::All),
                "where it stores" => ("stores", Reach::Named),
                other => panic!("the test does not know '{other}'"),
            };
            table.insert((method.clone(), kind), (role.parse().unwrap(), named));
        }
    }
    table
}

/// The memories that requests are about.
pub(crate) const MEMORIES: [&str; 3] = ["memories/own", "memories/other", ""];

/// A caller with one grant.
pub(crate) struct Caller {
    pub(crate) role: Role,
    /// Whether its role is for all memories, not only for `own`.
    pub(crate) all: bool,
    pub(crate) token: String,
}

/// A server with the memories `own` and `other`, which hold a unit each, and callers of every role.
pub(crate) struct Matrix {
    pub(crate) guarded: Guarded,
    pub(crate) channel: Channel,
    /// The token of an admin of all memories.
    pub(crate) root: String,
    pub(crate) callers: Vec<Caller>,
    table: Table,
}

impl Matrix {
    pub(crate) async fn start() -> Self {
        let guarded = Guarded::configured(AuditKeeping::default(), |options| {
            let tools = &mut options.facades.tools;
            for facade in [&mut tools.tmserver, &mut tools.mymemory, &mut tools.t5memory] {
                facade.writes = true;
            }
        });
        let guarded = guarded.await;
        let channel = guarded.channel().await;
        let root = guarded.token("setup", "admin:*");
        guarded.until(&root, Code::Ok).await;
        guarded.create_memories(&["own", "other"], &root).await;
        for memory in ["own", "other"] {
            let fill = requests("/CreateUnit", &format!("memories/{memory}")).remove(0).1;
            call(&channel, "/dhakira.v1.UnitService/CreateUnit", fill, Some(&root)).await.unwrap();
        }
        let mut callers = Vec::new();
        for role in Role::ALL {
            for (of, all) in [("own", false), ("ow*", false), ("*", true)] {
                let token = guarded.token(&format!("{role} {of}"), &format!("{role}:{of}"));
                callers.push(Caller { role, all, token });
            }
        }
        guarded.until(&callers.last().unwrap().token, Code::Ok).await;
        Self { guarded, channel, root, callers, table: documented_table() }
    }

    /// Whether the documentation allows a caller this kind of request about a memory.
    pub(crate) fn allows(
        &self,
        rule: &Rule,
        kind: &'static str,
        memory: &str,
        it: &Caller,
    ) -> bool {
        let (asked, reach) = self.table[&(rule.method.to_owned(), kind)];
        let base = self.table[&(rule.method.to_owned(), "")].0;
        let reaches = match reach {
            Reach::Named => it.all || memory != "memories/other",
            Reach::Any => true,
            Reach::All => it.all,
        };
        it.role >= asked && it.role >= base && reaches
    }
}

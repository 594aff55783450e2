//! Draws the page of a cluster: its nodes, who writes, how far each is behind, and the state of the database.

use std::fmt::Write as _;
use std::time::Duration;

use uuid::Uuid;

use crate::cluster::{KnownNode, MemberState, Overview};
use crate::limits::{CLUSTER_SILENCE_MAX, NODE_SILENCE_MAX};

const HEAD: &str = include_str!("cluster_page.html");

/// The page, as one node sees its cluster: `this` is its id and the last commit that it has applied.
pub(super) fn page(overview: &Overview, state: &MemberState, this: (Uuid, u64)) -> String {
    let mut page = HEAD.to_owned();
    // Writing to a string cannot fail.
    let _ = write_body(&mut page, overview, state, this);
    page
}

fn write_body(
    out: &mut String,
    overview: &Overview,
    state: &MemberState,
    (id, applied): (Uuid, u64),
) -> std::fmt::Result {
    let Some(place) = &overview.place else {
        return writeln!(out, "<h1>Cluster</h1>\n<p>The database has not answered yet.</p>");
    };
    writeln!(out, "<h1>Cluster {}</h1>", escaped(&place.name))?;
    if state.contact_age > CLUSTER_SILENCE_MAX {
        let silence = state.contact_age.as_secs();
        writeln!(
            out,
            "<p class=bad>The database has not answered this node for {silence} s: it answers lookups, and no writes. What follows is from then.</p>"
        )?;
    }
    for concern in &place.concerns {
        writeln!(out, "<p class=bad>{}</p>", escaped(concern))?;
    }
    writeln!(out, "<dl>")?;
    writeln!(out, "<dt>Database<dd>{}", escaped(&place.server))?;
    writeln!(out, "<dt>Durability<dd>{}", escaped(&place.durability))?;
    let end = state.log_end.0;
    writeln!(out, "<dt>Last commit<dd>{end}\n</dl>\n<table>")?;
    writeln!(
        out,
        "<tr><th>Node<th>Version<th>Role<th class=number>Applied<th class=number>Behind<th class=number>Seen"
    )?;
    for node in &overview.nodes {
        let applied = if node.id == id { applied } else { node.applied };
        write_node(out, node, (id, applied, end), state)?;
    }
    writeln!(out, "</table>")
}

fn write_node(
    out: &mut String,
    node: &KnownNode,
    (this, applied, end): (Uuid, u64, u64),
    state: &MemberState,
) -> std::fmt::Result {
    let is_this = node.id == this;
    let is_writer = if is_this {
        state.is_writer
    } else {
        state.writer.as_ref().is_some_and(|writer| *writer == node.address)
    };
    let seen = if is_this { Duration::ZERO } else { node.age + state.contact_age };
    let class = if seen > NODE_SILENCE_MAX { " class=bad" } else { "" };
    let address = if node.address.is_empty() {
        format!("unknown address, {}", node.id)
    } else {
        escaped(&node.address)
    };
    writeln!(
        out,
        "<tr{class}><td>{address}{}<td>{}<td>{}<td class=number>{applied}<td class=number>{}<td class=number>{} s ago",
        if is_this { " (this one)" } else { "" },
        escaped(&node.version),
        if is_writer { "writer" } else { "reader" },
        end.saturating_sub(applied),
        seen.as_secs()
    )
}

/// A text in HTML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{ClusterPlace, Sequence};

    fn node(id: Uuid, address: &str, applied: u64, age: Duration) -> KnownNode {
        let version = "1.2.3".to_owned();
        KnownNode { id, address: address.to_owned(), version, applied, age }
    }

    fn state(contact_age: Duration) -> MemberState {
        let writer = Some("http://one:1".to_owned());
        MemberState { is_writer: false, writer, contact_age, log_end: Sequence(50) }
    }

    fn overview(this: Uuid) -> Overview {
        let place = ClusterPlace {
            name: "<agency>".to_owned(),
            server: "PostgreSQL 15.1 at db1:5432, encrypted".to_owned(),
            durability: "synchronous standbys ANY 1 (a, b)".to_owned(),
            concerns: Vec::new(),
        };
        let nodes = vec![
            node(this, "http://two:2", 40, Duration::from_secs(1)),
            node(Uuid::new_v4(), "http://one:1", 50, Duration::from_secs(1)),
            node(Uuid::new_v4(), "", 7, Duration::from_secs(900)),
        ];
        Overview { place: Some(place), nodes }
    }

    #[test]
    fn the_page_shows_nodes_with_their_roles_and_lags() {
        let this = Uuid::new_v4();
        let page = page(&overview(this), &state(Duration::ZERO), (this, 45));
        assert!(page.contains("<h1>Cluster &lt;agency&gt;</h1>"), "{page}");
        let row = |text: &str| page.lines().find(|line| line.contains(text)).unwrap().to_owned();
        let (own, writer, silent) =
            (row("http://two:2"), row("http://one:1"), row("unknown address"));
        assert!(own.contains("(this one)") && own.contains("reader"), "{own}");
        assert!(own.contains("<td class=number>45<td class=number>5<"), "{own}");
        assert!(writer.contains("<td>writer<") && writer.contains("1 s ago"), "{writer}");
        assert!(silent.starts_with("<tr class=bad>") && silent.contains("900 s"), "{silent}");
    }

    #[test]
    fn a_page_of_a_node_without_its_database_says_so() {
        let this = Uuid::new_v4();
        let silence = Duration::from_secs(33);
        let page = page(&overview(this), &state(silence), (this, 45));
        assert!(page.contains("has not answered this node for 33 s"), "{page}");
        assert!(page.contains("34 s ago"), "the other nodes were seen before that: {page}");
    }
}

//! Finds circles of imports: between files of one folder, and between folders at every depth.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::source::Sources;

/// Files and sub-folders of one folder that import each other in a circle.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Circle {
    /// The folder, with `/` behind each name; empty for the whole crate.
    pub(crate) folder: String,
    /// Its entries on the circle; a folder ends in `/`.
    pub(crate) entries: Vec<String>,
    /// The imports that make it: from, to, the names.
    pub(crate) imports: Vec<(String, String, String)>,
}

impl Circle {
    pub(crate) fn is_of_folders(&self) -> bool {
        self.entries.iter().any(|entry| entry.ends_with('/'))
    }
}

impl fmt::Display for Circle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_of_folders() { "folders" } else { "files" };
        writeln!(out, "circle of {kind} in src/{}: {}", self.folder, self.entries.join(", "))?;
        for (from, to, names) in &self.imports {
            writeln!(out, "    {from} -> {to}: {names}")?;
        }
        Ok(())
    }
}

/// All circles of a crate.
pub(crate) fn circles(sources: &Sources) -> Vec<Circle> {
    let mut levels: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    let arrows = sources.imports.keys().filter_map(|(from, to)| {
        let (from, to) = (place(from, sources), place(to, sources));
        let depth = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
        Some((from[..depth].concat(), from.get(depth)?.clone(), to.get(depth)?.clone()))
    });
    for (folder, from, to) in arrows {
        levels.entry(folder).or_default().entry(from).or_default().insert(to);
    }
    let of_level = |(folder, arrows): (String, BTreeMap<String, BTreeSet<String>>)| {
        let circles = strongly_connected(&arrows);
        circles.into_iter().map(move |entries| {
            let imports = imports(sources, &folder, &entries);
            Circle { folder: folder.clone(), entries, imports }
        })
    };
    levels.into_iter().flat_map(of_level).collect()
}

/// The folders above a file, each with `/`, and its name. `x.rs` beside a folder `x` is in that folder.
fn place(file: &str, sources: &Sources) -> Vec<String> {
    let mut place: Vec<String> = file.split_inclusive('/').map(str::to_owned).collect();
    let folder = format!("{}/", file.trim_end_matches(".rs"));
    if sources.files.keys().any(|other| other.starts_with(&folder)) {
        let name = place.pop().unwrap_or_default();
        place.push(format!("{}/", name.trim_end_matches(".rs")));
        place.push(name);
    }
    place
}

fn imports(sources: &Sources, folder: &str, entries: &[String]) -> Vec<(String, String, String)> {
    let entry = |file: &str| {
        let inside = place(file, sources).concat();
        let rest = inside.strip_prefix(folder)?;
        entries.iter().position(|entry| {
            rest == entry || entry.ends_with('/') && rest.starts_with(entry.as_str())
        })
    };
    let between = sources.imports.iter().filter(|((from, to), _)| {
        entry(from).is_some_and(|from| entry(to).is_some_and(|to| from != to))
    });
    let written = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
    between.map(|((from, to), names)| (from.clone(), to.clone(), written(names))).collect()
}

/// Sets of two and more that reach each other. The graphs are small: reachability by search from each.
fn strongly_connected(arrows: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reach = |start: &String| {
        let mut reached: BTreeSet<&String> = BTreeSet::new();
        let mut next: Vec<&String> = arrows.get(start).into_iter().flatten().collect();
        while let Some(node) = next.pop() {
            if reached.insert(node) {
                next.extend(arrows.get(node).into_iter().flatten());
            }
        }
        reached
    };
    let reached: BTreeMap<&String, BTreeSet<&String>> =
        arrows.keys().map(|node| (node, reach(node))).collect();
    let reaches =
        |from: &String, to: &String| reached.get(from).is_some_and(|all| all.contains(to));
    let mut found: Vec<Vec<String>> = Vec::new();
    for node in arrows.keys().filter(|node| reaches(node, node)) {
        if found.iter().any(|circle| circle.contains(node)) {
            continue;
        }
        let same = arrows.keys().filter(|it| reaches(node, it) && reaches(it, node));
        found.push(same.cloned().collect());
    }
    found.retain(|circle| circle.len() > 1);
    found
}

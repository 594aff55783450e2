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
    pub(crate) imports: Vec<Import>,
}

/// An import that is a part of a circle.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Import {
    from_entry: String,
    to_entry: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) names: String,
}

impl Circle {
    pub(crate) fn is_of_folders(&self) -> bool {
        self.entries.iter().any(|entry| entry.ends_with('/'))
    }
}

impl fmt::Display for Circle {
    /// The imports between each two entries, the fewest first: they are the ones to break.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_of_folders() { "folders" } else { "files" };
        writeln!(out, "circle of {kind} in src/{}: {}", self.folder, self.entries.join(", "))?;
        let mut pairs: BTreeMap<(&str, &str), Vec<&Import>> = BTreeMap::new();
        for import in &self.imports {
            pairs.entry((&import.from_entry, &import.to_entry)).or_default().push(import);
        }
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort_by_key(|(_, imports)| imports.len());
        for ((from, to), imports) in pairs {
            writeln!(out, "  {from} -> {to}")?;
            for Import { from, to, names, .. } in imports {
                writeln!(out, "      {from} -> {to}: {names}")?;
            }
        }
        Ok(())
    }
}

/// The place of each file: see [`place`].
type Places<'a> = BTreeMap<&'a str, Vec<String>>;

/// All circles of a crate.
pub(crate) fn circles(sources: &Sources) -> Vec<Circle> {
    let mut levels: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    let places: Places =
        sources.files.keys().map(|file| (&file[..], place(file, sources))).collect();
    let arrows = sources.imports.keys().filter_map(|(from, to)| {
        let (from, to) = (&places[&from[..]], &places[&to[..]]);
        let depth = from.iter().zip(to).take_while(|(a, b)| a == b).count();
        Some((from[..depth].concat(), from.get(depth)?.clone(), to.get(depth)?.clone()))
    });
    for (folder, from, to) in arrows {
        levels.entry(folder).or_default().entry(from).or_default().insert(to);
    }
    let places = &places;
    let of_level = |(folder, arrows): (String, BTreeMap<String, BTreeSet<String>>)| {
        let circles = strongly_connected(&arrows);
        circles.into_iter().map(move |entries| {
            let imports = imports(sources, places, &folder, &entries);
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

/// The imports between different entries of a folder.
fn imports(sources: &Sources, places: &Places, folder: &str, entries: &[String]) -> Vec<Import> {
    let entry = |file: &str| {
        let inside = places[file].concat();
        let rest = inside.strip_prefix(folder)?;
        let holds = |entry: &&String| {
            rest == entry.as_str() || entry.ends_with('/') && rest.starts_with(entry.as_str())
        };
        entries.iter().find(holds).cloned()
    };
    let import = |((from, to), names): (&(String, String), &BTreeSet<String>)| {
        let (from_entry, to_entry) = (entry(from)?, entry(to)?);
        let names = names.iter().cloned().collect::<Vec<_>>().join(", ");
        let import = Import { from_entry, to_entry, from: from.clone(), to: to.clone(), names };
        (import.from_entry != import.to_entry).then_some(import)
    };
    sources.imports.iter().filter_map(import).collect()
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

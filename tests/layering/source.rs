//! Parses the sources of a crate and resolves who imports what from which file.
//!
//! Code under `#[cfg(test)]` is left out. Every path of a `use` or of an expression, a type or a macro's tokens is followed
//! through re-exports to the file that defines the item. A re-export (`pub use`) of something below the own module is no
//! import: it is how a folder shows its contents.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, UseTree, Visibility};

/// A crate as files and the imports between them.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    modules: Vec<Module>,
    /// Files by path below `src`.
    pub(crate) files: BTreeMap<String, SourceFile>,
    /// Which file imports from which: the names.
    pub(crate) imports: BTreeMap<(String, String), BTreeSet<String>>,
}

/// What is known of a file.
#[derive(Debug, Default)]
pub(crate) struct SourceFile {
    pub(crate) lines: usize,
    pub(crate) has_page: bool,
    pub(crate) is_async: bool,
    /// Functions outside of tests, with their lines.
    pub(crate) functions: Vec<(String, usize)>,
    /// Paths that lead out of the crate.
    pub(crate) foreign: BTreeSet<String>,
    /// Paths of this crate, as written.
    pub(crate) own: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Module {
    file: String,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    items: BTreeSet<String>,
    uses: Vec<Use>,
    paths: BTreeSet<Vec<String>>,
}

#[derive(Debug, Clone)]
struct Use {
    path: Vec<String>,
    /// The name that it brings in; `None` for everything (`*`).
    name: Option<String>,
    reexports: bool,
}

/// Where a path leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Module(usize),
    /// Something that is defined in a module.
    Item(usize),
}

impl Sources {
    /// Reads a crate whose roots are `lib.rs` and `main.rs`, of which the latter names the former by `name`.
    pub(crate) fn read(name: &str, texts: &BTreeMap<String, String>) -> Self {
        let mut sources = Self::default();
        let library = sources.add("lib.rs", None, texts);
        let mut roots = vec![("crate", library)];
        if texts.contains_key("main.rs") {
            sources.add("main.rs", None, texts);
            roots = vec![("crate", library), (name, library)];
        }
        for module in 0..sources.modules.len() {
            sources.resolve_all(module, &roots);
        }
        sources
    }

    fn add(
        &mut self,
        path: &str,
        parent: Option<usize>,
        texts: &BTreeMap<String, String>,
    ) -> usize {
        let text = &texts[path];
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let file = SourceFile {
            lines: text.lines().count(),
            has_page: text.starts_with("//!"),
            ..SourceFile::default()
        };
        self.files.insert(path.to_owned(), file);
        let stem = path.strip_suffix(".rs").unwrap_or(path);
        let folder = match stem.rsplit_once('/') {
            Some((folder, "mod")) => format!("{folder}/"),
            None if stem == "lib" || stem == "main" => String::new(),
            _ => format!("{stem}/"),
        };
        self.add_module(path, &folder, parent, &parsed.items, texts)
    }

    fn add_module(
        &mut self,
        file: &str,
        folder: &str,
        parent: Option<usize>,
        items: &[Item],
        texts: &BTreeMap<String, String>,
    ) -> usize {
        let number = self.modules.len();
        self.modules.push(Module { file: file.to_owned(), parent, ..Module::default() });
        let mut found = Found::default();
        for item in items.iter().filter(|item| !is_test(attributes(item))) {
            let Item::Mod(child) = item else {
                found.items.extend(name(item));
                found.visit_item(item);
                continue;
            };
            let child_name = child.ident.to_string();
            let child_folder = format!("{folder}{child_name}/");
            let added = match &child.content {
                Some((_, items)) => {
                    self.add_module(file, &child_folder, Some(number), items, texts)
                }
                None => {
                    let candidates =
                        [format!("{folder}{child_name}.rs"), format!("{child_folder}mod.rs")];
                    let path = candidates.iter().find(|path| texts.contains_key(*path));
                    let path = path.unwrap_or_else(|| panic!("{file}: no file of {child_name}"));
                    self.add(path, Some(number), texts)
                }
            };
            self.modules[number].children.insert(child_name, added);
        }
        let module = &mut self.modules[number];
        module.items = found.items;
        module.uses = found.uses;
        module.paths = found.paths;
        let source = self.files.get_mut(file).unwrap();
        source.is_async |= found.is_async;
        source.functions.append(&mut found.functions);
        number
    }

    /// Finds the files that a module's paths lead to.
    fn resolve_all(&mut self, module: usize, roots: &[(&str, usize)]) {
        let Module { uses, paths, file, .. } = &self.modules[module];
        let file = file.clone();
        let from_uses = uses.iter().map(|it| (it.path.clone(), it.reexports));
        let from_paths = paths.iter().map(|path| (path.clone(), false));
        let all: Vec<(Vec<String>, bool)> = from_uses.chain(from_paths).collect();
        for (path, reexports) in all {
            let written = path.join("::");
            let target = self.resolve(module, &path, roots, &mut Vec::new());
            let source = self.files.get_mut(&file).unwrap();
            let Some(target) = target else {
                source.foreign.insert(written);
                continue;
            };
            source.own.insert(written.clone());
            // A module alone is a name: what is used of it comes in longer paths.
            let Target::Item(owner) = target else { continue };
            if self.modules[owner].file == file || reexports && self.is_below(owner, module) {
                continue;
            }
            let names = self.imports.entry((file.clone(), self.modules[owner].file.clone()));
            names.or_default().insert(path.last().cloned().unwrap_or_default());
        }
    }

    fn is_below(&self, mut module: usize, above: usize) -> bool {
        while let Some(parent) = self.modules[module].parent {
            if parent == above {
                return true;
            }
            module = parent;
        }
        false
    }

    /// Where a path leads that is written in a module; `None` when it leaves the crate.
    fn resolve(
        &self,
        module: usize,
        path: &[String],
        roots: &[(&str, usize)],
        seen: &mut Vec<(usize, String)>,
    ) -> Option<Target> {
        let (first, mut rest) = path.split_first()?;
        let root = roots.iter().find(|(name, _)| name == first);
        let mut at = match (first.as_str(), root) {
            (_, Some(&(_, root))) => Target::Module(root),
            ("self", _) => Target::Module(module),
            ("super", _) => Target::Module(self.modules[module].parent?),
            _ => self.lookup(module, first, roots, seen)?,
        };
        while let (Target::Module(here), Some((next, behind))) = (at, rest.split_first()) {
            at = match next.as_str() {
                "super" => Target::Module(self.modules[here].parent?),
                "self" => at,
                // What a macro has made is the module's own.
                _ => self.lookup(here, next, roots, seen).unwrap_or(Target::Item(here)),
            };
            rest = behind;
        }
        Some(at)
    }

    /// What a name means in a module.
    fn lookup(
        &self,
        module: usize,
        name: &str,
        roots: &[(&str, usize)],
        seen: &mut Vec<(usize, String)>,
    ) -> Option<Target> {
        let here = &self.modules[module];
        if let Some(&child) = here.children.get(name) {
            return Some(Target::Module(child));
        }
        if here.items.contains(name) {
            return Some(Target::Item(module));
        }
        let key = (module, name.to_owned());
        if seen.contains(&key) {
            return None;
        }
        seen.push(key);
        let named = here.uses.iter().filter(|it| it.name.as_deref() == Some(name));
        let mut found = named.filter_map(|it| self.resolve(module, &it.path, roots, seen)).next();
        if found.is_none() {
            let globs = here.uses.iter().filter(|it| it.name.is_none());
            let modules =
                globs.filter_map(|it| match self.resolve(module, &it.path, roots, seen) {
                    Some(Target::Module(other)) => Some(other),
                    _ => None,
                });
            let modules: Vec<usize> = modules.collect();
            found = modules.into_iter().find_map(|other| self.lookup(other, name, roots, seen));
        }
        seen.pop();
        found
    }
}

/// What stands in the items of a module.
#[derive(Default)]
struct Found {
    items: BTreeSet<String>,
    uses: Vec<Use>,
    paths: BTreeSet<Vec<String>>,
    functions: Vec<(String, usize)>,
    is_async: bool,
}

impl Found {
    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        self.is_async |= signature.asyncness.is_some();
        let first = signature.fn_token.span.start().line;
        let last = block.brace_token.span.close().end().line;
        self.functions.push((signature.ident.to_string(), last + 1 - first));
    }

    fn path(&mut self, path: Vec<String>) {
        if path.len() > 1 {
            self.paths.insert(path);
        }
    }

    /// Paths among the tokens of a macro: names with `::` between them.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.path(std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.path(std::mem::take(&mut path));
                    self.tokens(group.stream());
                    colons = 0;
                }
                _ => {
                    self.path(std::mem::take(&mut path));
                    colons = 0;
                }
            }
        }
        self.path(path);
    }

    fn tree(&mut self, tree: &UseTree, before: &[String], reexports: bool) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        // `a::{self}` is `a`.
        let entry = |name: &syn::Ident| if name == "self" { before.to_vec() } else { with(name) };
        let mut add = |path, name| self.uses.push(Use { path, name, reexports });
        match tree {
            UseTree::Path(path) => self.tree(&path.tree, &with(&path.ident), reexports),
            UseTree::Name(name) => {
                let path = entry(&name.ident);
                let last = path.last().cloned();
                add(path, last);
            }
            UseTree::Rename(rename) => {
                add(entry(&rename.ident), Some(rename.rename.to_string()));
            }
            UseTree::Glob(_) => add(before.to_vec(), None),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.tree(tree, before, reexports));
            }
        }
    }
}

impl<'a> Visit<'a> for Found {
    fn visit_item(&mut self, item: &'a Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'a ImplItem) {
        let is_test = matches!(item, ImplItem::Fn(function) if is_test(&function.attrs));
        if !is_test {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        self.tree(&item.tree, &[], !matches!(item.vis, Visibility::Inherited));
    }

    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'a syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_expr_async(&mut self, expression: &'a syn::ExprAsync) {
        self.is_async = true;
        visit::visit_expr_async(self, expression);
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        self.path(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'a Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
        }
    }
}

/// Whether something is only there in tests.
fn is_test(attributes: &[Attribute]) -> bool {
    let is_test = |meta: &syn::MetaList| {
        let condition = meta.tokens.to_string();
        meta.path.is_ident("cfg") && (condition == "test" || condition.starts_with("all (test"))
    };
    attributes.iter().any(|attribute| attribute.meta.require_list().is_ok_and(is_test))
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(it) => &it.attrs,
        Item::Enum(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Macro(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        Item::Static(it) => &it.attrs,
        Item::Struct(it) => &it.attrs,
        Item::Trait(it) => &it.attrs,
        Item::Type(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => &[],
    }
}

fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(it) => &it.ident,
        Item::Enum(it) => &it.ident,
        Item::Fn(it) => &it.sig.ident,
        Item::Macro(it) => it.ident.as_ref()?,
        Item::Static(it) => &it.ident,
        Item::Struct(it) => &it.ident,
        Item::Trait(it) => &it.ident,
        Item::Type(it) => &it.ident,
        Item::Union(it) => &it.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

//! Files of a crate import each other without cycles.
//!
//! The sources of every crate are parsed. A file depends on another where it names something of it: in a `use`, or in a path that
//! begins with `crate`, `self` or `super`. Names are followed through re-exports to the file that defines them, so that `crate::Name` is
//! no dependency on `lib.rs`, and a re-export (`pub use`) is none either: it only gives a name another place. Two rules:
//!
//! * A child may use what its parent, or the parent's parent, defines: it is a part of them, in a file of its own. So the way from a
//!   file to one that is above it in the tree of modules does not count.
//! * Tests (`#[cfg(test)]`) may use everything.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, UseTree, Visibility};

type Outcome = Result<(), Box<dyn Error>>;

/// A path of modules, from the crate's root.
type Module = Vec<String>;

/// What is known of a module.
#[derive(Default)]
struct Known {
    /// Its file, from the root of the repository.
    file: String,
    /// Names that it imports or re-exports, and the paths that they stand for.
    names: BTreeMap<String, Vec<String>>,
    /// Paths that it names.
    paths: Vec<Vec<String>>,
}

/// The modules of a crate.
#[derive(Default)]
struct Sources {
    modules: BTreeMap<Module, Known>,
}

/// Whether an item is compiled for tests alone.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let tokens = || attribute.meta.require_list().map(|list| list.tokens.to_string());
        attribute.path().is_ident("test")
            || (attribute.path().is_ident("cfg")
                && tokens()
                    .is_ok_and(|text| text.split(|c: char| !c.is_alphanumeric()).any(|word| word == "test")))
    })
}

impl Sources {
    /// Reads a file, which is a module, and those that it declares; their files lie in `folder`.
    fn read(&mut self, root: &Path, file: &Path, folder: &Path, module: Module) -> Outcome {
        let path = root.join(file);
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let parsed = syn::parse_file(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        self.take(root, (file, folder), module, &parsed.items)
    }

    /// Takes the items of a module, of a file or within one.
    fn take(
        &mut self,
        root: &Path,
        (file, folder): (&Path, &Path),
        module: Module,
        items: &[Item],
    ) -> Outcome {
        let mut reader = Reader::default();
        for item in items {
            match item {
                Item::Mod(inner) if is_test(&inner.attrs) => {}
                Item::Mod(inner) => self.enter(root, (file, folder), &module, inner)?,
                item => reader.visit_item(item),
            }
        }
        let file = file.display().to_string();
        self.modules.insert(module, Known { file, names: reader.names, paths: reader.paths });
        Ok(())
    }

    /// Reads a module that another declares.
    fn enter(
        &mut self,
        root: &Path,
        (file, folder): (&Path, &Path),
        module: &Module,
        inner: &ItemMod,
    ) -> Outcome {
        let name = inner.ident.to_string();
        let path = [module.as_slice(), std::slice::from_ref(&name)].concat();
        match &inner.content {
            Some((_, items)) => self.take(root, (file, &folder.join(name)), path, items),
            None => self.read(root, &folder.join(format!("{name}.rs")), &folder.join(name), path),
        }
    }

    /// The module that defines what a path, seen from a module, names; none where it is of another crate.
    fn resolve(&self, from: &[String], path: &[String], depth: usize) -> Option<&Module> {
        let (first, rest) = path.split_first()?;
        let mut at = from.to_vec();
        let mut rest = rest;
        match first.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => {
                at.pop()?;
                while let Some(("super", more)) = rest.split_first().map(|(name, more)| (name.as_str(), more))
                {
                    at.pop()?;
                    rest = more;
                }
            }
            _ => rest = path,
        }
        let relative = rest.len() == path.len();
        for (place, name) in rest.iter().enumerate() {
            let inner = [at.as_slice(), std::slice::from_ref(name)].concat();
            if self.modules.contains_key(&inner) {
                at = inner;
                continue;
            }
            // A name that is imported here stands for another path; imports may go round in a circle only in code that does not compile.
            if let Some(target) = self.modules.get(&at)?.names.get(name)
                && depth < 16
                && target != path
            {
                let whole = [target.as_slice(), &rest[place + 1..]].concat();
                return self.resolve(&at, &whole, depth + 1);
            }
            if relative && place == 0 {
                return None;
            }
            break;
        }
        self.modules.get_key_value(&at).map(|(module, _)| module)
    }

    /// Which files each file depends on.
    fn graph(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut graph: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (module, known) in &self.modules {
            let to = graph.entry(&known.file).or_default();
            for path in &known.paths {
                let Some(target) = self.resolve(module, path, 0) else { continue };
                let file = self.modules[target].file.as_str();
                if file != known.file && !module.starts_with(target) {
                    to.insert(file);
                }
            }
        }
        graph
    }
}

/// Collects the names that a module imports, and the paths that it names.
#[derive(Default)]
struct Reader {
    names: BTreeMap<String, Vec<String>>,
    paths: Vec<Vec<String>>,
}

impl Reader {
    fn take(&mut self, tree: &UseTree, before: &[String], is_export: bool) {
        let mut add = |path: Vec<String>, name: String| {
            if !is_export {
                self.paths.push(path.clone());
            }
            if name != "_" {
                self.names.insert(name, path);
            }
        };
        match tree {
            UseTree::Path(path) => {
                self.take(&path.tree, &[before, &[path.ident.to_string()]].concat(), is_export);
            }
            UseTree::Name(name) if name.ident == "self" => {
                add(before.to_vec(), before.last().cloned().unwrap_or_default());
            }
            UseTree::Name(name) => {
                add([before, &[name.ident.to_string()]].concat(), name.ident.to_string());
            }
            UseTree::Rename(rename) => {
                let path = match rename.ident == "self" {
                    true => before.to_vec(),
                    false => [before, &[rename.ident.to_string()]].concat(),
                };
                add(path, rename.rename.to_string());
            }
            UseTree::Glob(_) => self.paths.push(before.to_vec()),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.take(tree, before, is_export)),
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_export = !matches!(item.vis, Visibility::Inherited);
        self.take(&item.tree, &[], is_export);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if matches!(names.first().map(String::as_str), Some("crate" | "self" | "super")) && names.len() > 1 {
            self.paths.push(names);
        }
        visit::visit_path(self, path);
    }
}

/// A shortest cycle through a file; empty where there is none.
fn cycle<'g>(graph: &BTreeMap<&'g str, BTreeSet<&'g str>>, start: &'g str) -> Vec<&'g str> {
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    let mut reached = vec![start];
    let mut next = 0;
    while let Some(&file) = reached.get(next) {
        next += 1;
        for &to in graph.get(file).into_iter().flatten() {
            if to == start {
                let mut way = vec![start, file];
                while let Some(&earlier) = before.get(way[way.len() - 1]) {
                    way.push(earlier);
                }
                way.reverse();
                return way;
            }
            if !before.contains_key(to) {
                before.insert(to, file);
                reached.push(to);
            }
        }
    }
    Vec::new()
}

/// Shortest cycles, each once, as text.
fn cycles(graph: &BTreeMap<&str, BTreeSet<&str>>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for &file in graph.keys() {
        let mut way = cycle(graph, file);
        way.pop();
        let first = way.iter().enumerate().min_by_key(|(_, file)| **file).map_or(0, |(place, _)| place);
        way.rotate_left(first);
        if let Some(first) = way.first().copied() {
            way.push(first);
            found.insert(way.join(" -> "));
        }
    }
    found
}

/// Dependencies that close cycles and stay: from a file, to another or to all of a folder, and why.
const KNOWN: [(&str, &str, &str); 5] = [
    (
        "cuda/src/buffer.rs",
        "cuda/src/",
        "all types that lie on a device are named where `Element` is implemented, beside the `unsafe` code",
    ),
    (
        "cuda/src/driver.rs",
        "cuda/src/",
        "the `unsafe` file names the arguments of all kernels, so that no other has any",
    ),
    (
        "infer/src/image/decode.rs",
        "infer/src/image/",
        "it calls the reader of each format, which gives its header",
    ),
    (
        "infer/src/image/dicom/meta.rs",
        "infer/src/image/dicom/elements.rs",
        "the meta header is of elements, too",
    ),
    (
        "infer/src/landmark/format.rs",
        "infer/src/landmark/coco_results.rs",
        "what is read and written may come with an index of COCO results",
    ),
];

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn files_of_a_crate_import_each_other_without_cycles() -> Outcome {
    let root = root();
    let (mut found, mut crates, mut unused) = (Vec::new(), 0, Vec::from(KNOWN));
    for entry in fs::read_dir(&root)? {
        let folder = PathBuf::from(entry?.file_name()).join("src");
        for name in ["lib.rs", "main.rs"] {
            let file = folder.join(name);
            if root.join(&file).is_file() {
                let mut sources = Sources::default();
                sources.read(&root, &file, &folder, Module::new())?;
                let mut graph = sources.graph();
                for (from, to, _) in KNOWN {
                    let (kept, known): (BTreeSet<_>, BTreeSet<_>) =
                        graph.remove(from).into_iter().flatten().partition(|file| !file.starts_with(to));
                    if !known.is_empty() {
                        unused.retain(|(place, ..)| *place != from);
                    }
                    graph.insert(from, kept);
                }
                found.extend(cycles(&graph));
                crates += 1;
            }
        }
    }
    assert!(crates >= 12, "{crates} crates were found");
    assert!(found.is_empty(), "import cycles:\n{}", found.join("\n"));
    assert!(unused.is_empty(), "these are no dependencies any more: {unused:?}");
    Ok(())
}

/// The cycles of a crate whose files have these texts.
fn cycles_of(files: &[(&str, &str)]) -> Result<Vec<String>, Box<dyn Error>> {
    let root = std::env::temp_dir().join(format!("infomark-imports-{}", std::process::id()));
    let root = root.join(files.len().to_string());
    for (name, text) in files {
        let path = root.join("src").join(name);
        fs::create_dir_all(path.parent().ok_or("no folder")?)?;
        fs::write(path, text)?;
    }
    let mut sources = Sources::default();
    let read = sources.read(&root, Path::new("src/lib.rs"), Path::new("src"), Module::new());
    fs::remove_dir_all(&root)?;
    read?;
    Ok(cycles(&sources.graph()).into_iter().collect())
}

#[test]
fn a_planted_cycle_is_found_through_re_exports_and_named() -> Outcome {
    let found = cycles_of(&[
        ("lib.rs", "mod a; mod b; mod c; pub use c::Third;"),
        ("a.rs", "use crate::b::Second; pub struct First(Second);"),
        ("b.rs", "pub struct Second(crate::Third); fn f() { use super::c::Third; }"),
        ("c.rs", "mod d; pub use d::Third; #[cfg(test)] mod tests { use crate::b::Second; }"),
        ("c/d.rs", "use super::super::a; pub struct Third; fn f(_: a::First) {}"),
    ])?;
    assert_eq!(found, ["src/a.rs -> src/b.rs -> src/c/d.rs -> src/a.rs"]);
    Ok(())
}

#[test]
fn parents_and_tests_are_no_cycles() -> Outcome {
    let found = cycles_of(&[
        ("lib.rs", "mod a; mod b; pub const N: u8 = 1;"),
        ("a.rs", "mod child; use child::Part; pub struct Whole(Part); const M: u8 = crate::N;"),
        ("a/child.rs", "use super::Whole; pub struct Part; fn f(_: Whole) {}"),
        ("b.rs", "use crate::a::Whole; #[cfg(all(test, unix))] mod tests { use super::*; }"),
    ])?;
    assert!(found.is_empty(), "{found:?}");
    Ok(())
}

//! What the published libraries export: no type name twice, and no type of a third party but those that are named here.
//!
//! The sources are parsed, as in `imports.rs`. An item is public where modules and re-exports (`pub use`) lead to it from the crate's
//! root. Signatures are those of public functions and methods, fields, variants, constants, types and the traits that are implemented by
//! hand; a path in them is of a third party where its first name, or what that name is imported as, is a dependency of the crate's
//! `Cargo.toml`. Traits that are derived, and what macros write, are not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Fields, ImplItem, Item, Meta, TraitItem, Type, UseTree, Visibility};

type Outcome = Result<(), Box<dyn Error>>;

/// Third-party crates whose types may show in a library's signatures: the library, the crate as it is named in paths, and why.
const ALLOWED: &[(&str, &str, &str)] = &[
    ("core", "ndarray", "the feature `ndarray`: its arrays as planes"),
    ("core", "num_traits", "the bounds of `Real`"),
    ("core", "rand_core", "the feature `rand_core`: `Rng` as a generator of that crate"),
    ("cuda", "cudarc", "callers give a stream and memory of theirs"),
    ("eval", "rayon", "a pool of threads for the caller's work"),
    ("eval", "serde", "a radius is written as the key of a map"),
    ("figures", "serde_json", "what the page shows of a result as it is"),
    ("results", "serde", "whatever can be written as JSON"),
];

/// The items of a crate by module, without those that are compiled for tests alone.
#[derive(Default)]
struct Library {
    modules: BTreeMap<Vec<String>, Vec<Item>>,
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string() == "test",
        _ => false,
    })
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// The names of a use tree, as `(name, path)`; a glob has the name `*`.
fn imports(tree: &UseTree, before: &[String], found: &mut Vec<(String, Vec<String>)>) {
    let path = |name: &syn::Ident| match name == "self" {
        true => before.to_vec(),
        false => [before, &[name.to_string()]].concat(),
    };
    match tree {
        UseTree::Path(inner) => imports(&inner.tree, &path(&inner.ident), found),
        UseTree::Name(name) => {
            let path = path(&name.ident);
            found.push((path.last().cloned().unwrap_or_default(), path));
        }
        UseTree::Rename(rename) => found.push((rename.rename.to_string(), path(&rename.ident))),
        UseTree::Glob(_) => found.push(("*".to_owned(), before.to_vec())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| imports(tree, before, found)),
    }
}

impl Library {
    /// Takes the items of a module, whose modules lie in `folder`.
    fn take(&mut self, module: &[String], folder: &Path, items: Vec<Item>) -> Outcome {
        for item in &items {
            if let Item::Mod(inner) = item
                && !is_test(&inner.attrs)
            {
                let name = inner.ident.to_string();
                let path = [module, std::slice::from_ref(&name)].concat();
                let items = match &inner.content {
                    Some((_, items)) => items.clone(),
                    None => {
                        let file = folder.join(format!("{name}.rs"));
                        let text = fs::read_to_string(&file)
                            .map_err(|error| format!("{}: {error}", file.display()))?;
                        syn::parse_file(&text)?.items
                    }
                };
                self.take(&path, &folder.join(name), items)?;
            }
        }
        self.modules.insert(module.to_vec(), items);
        Ok(())
    }

    /// A path as one from the crate's root; as it is where it begins with no module.
    fn absolute(&self, module: &[String], path: &[String]) -> Vec<String> {
        let (mut at, mut rest) = (module.to_vec(), path);
        while let Some((first, more)) = rest.split_first() {
            match first.as_str() {
                "crate" => at.clear(),
                "self" => {}
                "super" => drop(at.pop()),
                _ => break,
            }
            rest = more;
        }
        let here = [&at[..], rest].concat();
        let is_here =
            rest.len() < path.len() || self.modules.contains_key(&here[..=at.len().min(here.len() - 1)]);
        if is_here { here } else { path.to_vec() }
    }

    /// What the crate exports: each module with the names of it that are public from outside.
    fn exports(&self) -> BTreeSet<(Vec<String>, String)> {
        let mut found = BTreeSet::new();
        self.walk(&[], &mut found);
        found
    }

    fn walk(&self, module: &[String], found: &mut BTreeSet<(Vec<String>, String)>) {
        for item in self.modules.get(module).into_iter().flatten() {
            match item {
                Item::Mod(inner) if is_public(&inner.vis) => {
                    self.walk(&[module, &[inner.ident.to_string()]].concat(), found);
                }
                Item::Use(tree) if is_public(&tree.vis) => {
                    let mut names = Vec::new();
                    imports(&tree.tree, &[], &mut names);
                    for (name, path) in names {
                        self.export(module, &name, &path, found);
                    }
                }
                item => {
                    if let Some((name, visibility)) = named(item)
                        && is_public(visibility)
                    {
                        found.insert((module.to_vec(), name));
                    }
                }
            }
        }
    }

    /// Follows a re-export to the module that defines the name.
    fn export(
        &self,
        module: &[String],
        name: &str,
        path: &[String],
        found: &mut BTreeSet<(Vec<String>, String)>,
    ) {
        let path = self.absolute(module, path);
        if name == "*" {
            return self.walk(&path, found);
        }
        if self.modules.contains_key(&path) {
            return self.walk(&path, found);
        }
        let Some((last, from)) = path.split_last() else { return };
        for item in self.modules.get(from).into_iter().flatten() {
            match item {
                Item::Use(tree) => {
                    let mut names = Vec::new();
                    imports(&tree.tree, &[], &mut names);
                    for (inner, path) in names.iter().filter(|(inner, _)| inner == last) {
                        self.export(from, inner, path, found);
                    }
                }
                item if named(item).is_some_and(|(name, _)| name == *last) => {
                    found.insert((from.to_vec(), last.clone()));
                }
                _ => {}
            }
        }
    }

    /// Public types and traits: the modules that define them, with their names.
    fn types(&self) -> BTreeSet<(Vec<String>, String)> {
        let mut exports = self.exports();
        exports.retain(|(_, name)| name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase));
        exports
    }

    /// Paths of dependencies in public signatures, each with the place that names it.
    fn foreign(&self, dependencies: &BTreeSet<String>) -> BTreeSet<(String, String)> {
        let mut found = BTreeSet::new();
        let exports = self.exports();
        let names: BTreeSet<&String> = exports.iter().map(|(_, name)| name).collect();
        for (module, items) in &self.modules {
            let mut imported = Vec::new();
            for item in items {
                if let Item::Use(tree) = item {
                    imports(&tree.tree, &[], &mut imported);
                }
            }
            let mut reader = Paths { paths: BTreeSet::new() };
            for item in items {
                let place = match (item, named(item)) {
                    (Item::Impl(_), _) => true,
                    (_, Some((name, _))) => exports.contains(&(module.clone(), name)),
                    _ => false,
                };
                if place {
                    reader.item(item, &names);
                }
            }
            for path in reader.paths {
                let whole = match imported.iter().find(|(name, _)| *name == path[0]) {
                    Some((_, import)) => [import, &path[1..]].concat(),
                    None => path,
                };
                if dependencies.contains(&whole[0]) {
                    found.insert((whole[0].clone(), format!("{}: {}", module.join("::"), whole.join("::"))));
                }
            }
        }
        found
    }
}

/// The name of an item that has one, and its visibility.
fn named(item: &Item) -> Option<(String, &Visibility)> {
    Some(match item {
        Item::Struct(item) => (item.ident.to_string(), &item.vis),
        Item::Enum(item) => (item.ident.to_string(), &item.vis),
        Item::Union(item) => (item.ident.to_string(), &item.vis),
        Item::Type(item) => (item.ident.to_string(), &item.vis),
        Item::Trait(item) => (item.ident.to_string(), &item.vis),
        Item::TraitAlias(item) => (item.ident.to_string(), &item.vis),
        Item::Fn(item) => (item.sig.ident.to_string(), &item.vis),
        Item::Const(item) => (item.ident.to_string(), &item.vis),
        Item::Static(item) => (item.ident.to_string(), &item.vis),
        _ => return None,
    })
}

/// The paths of signatures.
struct Paths {
    paths: BTreeSet<Vec<String>>,
}

impl Paths {
    fn fields(&mut self, fields: &Fields, all: bool) {
        for field in fields.iter().filter(|field| all || is_public(&field.vis)) {
            self.visit_type(&field.ty);
        }
    }

    /// Reads what is public of an item; implementations where they are of a public type, or of any trait for one.
    fn item(&mut self, item: &Item, public: &BTreeSet<&String>) {
        match item {
            Item::Struct(item) => {
                self.visit_generics(&item.generics);
                self.fields(&item.fields, false);
            }
            Item::Enum(item) => {
                self.visit_generics(&item.generics);
                item.variants.iter().for_each(|variant| self.fields(&variant.fields, true));
            }
            Item::Union(item) => self.fields(&Fields::Named(item.fields.clone()), false),
            Item::Type(item) => self.visit_type(&item.ty),
            Item::Fn(item) => self.visit_signature(&item.sig),
            Item::Const(item) => self.visit_type(&item.ty),
            Item::Static(item) => self.visit_type(&item.ty),
            Item::Trait(item) => {
                self.visit_generics(&item.generics);
                item.supertraits.iter().for_each(|bound| self.visit_type_param_bound(bound));
                for inner in &item.items {
                    match inner {
                        TraitItem::Fn(function) => self.visit_signature(&function.sig),
                        inner => self.visit_trait_item(inner),
                    }
                }
            }
            Item::Impl(item) if !is_test(&item.attrs) => {
                let Type::Path(of) = &*item.self_ty else { return };
                let is_known =
                    of.path.segments.last().is_some_and(|last| public.contains(&last.ident.to_string()));
                if !is_known {
                    return;
                }
                if let Some((_, path, _)) = &item.trait_ {
                    self.visit_path(path);
                    return;
                }
                self.visit_generics(&item.generics);
                for inner in &item.items {
                    match inner {
                        ImplItem::Fn(function) if is_public(&function.vis) => {
                            self.visit_signature(&function.sig)
                        }
                        ImplItem::Const(constant) if is_public(&constant.vis) => {
                            self.visit_type(&constant.ty)
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.paths.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }
}

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A published library: its name, its items, and the third-party crates that it depends on, as they are named in paths.
type Published = (String, Library, BTreeSet<String>);

fn published() -> Result<Vec<Published>, Box<dyn Error>> {
    let mut libraries = Vec::new();
    for entry in fs::read_dir(root())? {
        let folder = entry?.path();
        let (manifest, file) = (folder.join("Cargo.toml"), folder.join("src/lib.rs"));
        if !manifest.is_file() || !file.is_file() {
            continue;
        }
        let manifest = fs::read_to_string(manifest)?;
        if manifest.lines().any(|line| line == "publish = false") {
            continue;
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut library = Library::default();
        library.take(&[], &folder.join("src"), syn::parse_file(&fs::read_to_string(file)?)?.items)?;
        let dependencies = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
        let dependencies = dependencies
            .take_while(|line| !line.starts_with('['))
            .filter_map(|line| line.split(['.', ' ', '=']).next())
            .filter(|name| {
                !name.is_empty() && !name.starts_with(['#', '"', ']']) && !name.starts_with("infomark-")
            })
            .map(|name| name.replace('-', "_"))
            .collect();
        libraries.push((name, library, dependencies));
    }
    Ok(libraries)
}

#[test]
fn no_two_libraries_export_types_of_one_name() -> Outcome {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let libraries = published()?;
    assert!(libraries.len() >= 12, "{} libraries were found", libraries.len());
    for (library, sources, _) in &libraries {
        for (module, name) in sources.types() {
            places
                .entry(name)
                .or_default()
                .push([std::slice::from_ref(library), &module].concat().join("::"));
        }
    }
    assert!(places.len() > 300, "{} public types were found", places.len());
    places.retain(|_, places| places.len() > 1);
    assert!(places.is_empty(), "{places:#?}");
    Ok(())
}

#[test]
fn no_signature_of_a_library_names_a_type_of_a_third_party() -> Outcome {
    let mut found = BTreeSet::new();
    let mut unused: BTreeSet<(&str, &str)> =
        ALLOWED.iter().map(|(library, name, _)| (*library, *name)).collect();
    for (library, sources, dependencies) in published()? {
        for (name, place) in sources.foreign(&dependencies) {
            unused.retain(|key| *key != (library.as_str(), name.as_str()));
            if !ALLOWED.iter().any(|(of, allowed, _)| (*of, *allowed) == (library.as_str(), name.as_str())) {
                found.insert(format!("{library}::{place}"));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    assert!(unused.is_empty(), "these are named no more: {unused:?}");
    Ok(())
}

/// A library whose root has this text.
fn library(text: &str) -> Result<Library, Box<dyn Error>> {
    let mut library = Library::default();
    library.take(&[], Path::new("none"), syn::parse_file(text)?.items)?;
    Ok(library)
}

#[test]
fn exports_are_followed_through_modules_and_re_exports() -> Outcome {
    let library = library(
        "mod a { pub mod b { pub struct Seen; pub struct Hidden; } pub use b::Seen as Again; }
         pub mod c { pub enum Open {} struct Own; pub(crate) struct Inner; }
         mod d { pub trait All {} }
         pub use a::Again; pub use d::*; pub use crate::a::b::Missing;",
    )?;
    let names: Vec<String> = library.types().into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["Seen", "Open", "All"]);
    Ok(())
}

#[test]
fn a_planted_type_of_a_third_party_is_found_in_signatures_alone() -> Outcome {
    let library = library(
        "use other::{Deep, part::Thing as Renamed};
         pub struct Public { pub open: Vec<Renamed>, closed: other::Closed }
         impl Public { pub fn take(&self, by: &mut dyn Deep) {} fn own(_: other::Own) {} }
         impl From<other::Error> for Public { fn from(_: other::Error) -> Self { loop {} } }
         pub fn local() { let _ = other::local(); }
         struct Private(pub other::Private);",
    )?;
    let found = library.foreign(&BTreeSet::from(["other".to_owned()]));
    let found: Vec<&str> = found.iter().map(|(_, place)| place.trim_start_matches(": ")).collect();
    assert_eq!(found, ["other::Deep", "other::Error", "other::part::Thing"]);
    Ok(())
}

//! No public function of the core is left out of the proofs.
//!
//! Both sources are parsed, not searched for text: the core into its public functions, each with its type or trait, and the
//! proofs' `every.rs` into the calls that its function `every` reaches. A call by path names its type. A method call does
//! not, and counts only where no other public type, and no type of the standard library, has a method of that name.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{Attribute, File, FnArg, GenericParam, ImplItem, Item, TraitItem, Type, UseTree, Visibility};

/// Methods of numbers, slices, iterators, options and the like that the core's types have, too.
const STANDARD_METHODS: [&str; 25] = [
    "add",
    "apply",
    "cast",
    "cos",
    "count",
    "draw",
    "exp",
    "fill",
    "first",
    "get",
    "hypot",
    "inverse",
    "is_empty",
    "is_finite",
    "ln",
    "of",
    "pow",
    "row",
    "rows",
    "seek",
    "set",
    "sin",
    "sqrt",
    "step",
    "then",
];

/// A public function of the core.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Function {
    /// Type or trait that it belongs to.
    owner: Option<String>,
    name: String,
    /// Whether it can be called as a method.
    is_method: bool,
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.owner {
            Some(owner) => write!(f, "{owner}::{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Whether an item is there only under a condition, of a feature or of tests.
fn is_conditional(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident("cfg"))
}

/// Whether an item is no part of the documented interface.
fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("doc")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|word| word == "hidden")
    })
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Names that a `use` brings in; an error where that cannot be told.
fn names(tree: &UseTree, into: &mut BTreeSet<String>) -> Result<(), Box<dyn Error>> {
    match tree {
        UseTree::Path(path) => names(&path.tree, into),
        UseTree::Name(name) => {
            into.insert(name.ident.to_string());
            Ok(())
        }
        UseTree::Group(group) => group.items.iter().try_for_each(|tree| names(tree, into)),
        UseTree::Rename(_) | UseTree::Glob(_) => {
            Err("a `use` with `as` or `*`, which this test does not follow".into())
        }
    }
}

/// Names that the root of the crate exports from its modules.
fn exported(root: &File) -> Result<BTreeSet<String>, Box<dyn Error>> {
    let mut exported = BTreeSet::new();
    for item in &root.items {
        match item {
            Item::Use(item) if is_public(&item.vis) && !is_conditional(&item.attrs) => {
                names(&item.tree, &mut exported)?
            }
            Item::Mod(item) if is_public(&item.vis) && !is_conditional(&item.attrs) => {
                return Err("a public module, which this test does not follow".into());
            }
            _ => {}
        }
    }
    Ok(exported)
}

/// Files of a crate's modules below `dir`, whose names `items` declare.
fn modules(items: &[Item], dir: &Path, into: &mut Vec<File>) -> Result<(), Box<dyn Error>> {
    for item in items {
        let Item::Mod(item) = item else { continue };
        if item.content.is_some() || is_conditional(&item.attrs) {
            continue;
        }
        let name = item.ident.to_string();
        let file = syn::parse_file(&fs::read_to_string(dir.join(&name).with_extension("rs"))?)?;
        modules(&file.items, &dir.join(name), into)?;
        into.push(file);
    }
    Ok(())
}

/// Last name of a type's path.
fn type_name(of: &Type) -> Option<String> {
    match of {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
        _ => None,
    }
}

/// Exported functions, public functions of exported types, and functions of exported traits.
fn public_functions(exported: &BTreeSet<String>, modules: &[File]) -> Vec<Function> {
    let mut functions = BTreeSet::new();
    let mut add = |owner: Option<&str>, signature: &syn::Signature| {
        let is_method = matches!(signature.inputs.first(), Some(FnArg::Receiver(_)));
        functions.insert(Function {
            owner: owner.map(str::to_owned),
            name: signature.ident.to_string(),
            is_method,
        });
    };
    for item in modules.iter().flat_map(|module| &module.items) {
        match item {
            Item::Fn(item) if is_public(&item.vis) && exported.contains(&item.sig.ident.to_string()) => {
                add(None, &item.sig);
            }
            Item::Impl(item) if item.trait_.is_none() => {
                let Some(owner) = type_name(&item.self_ty).filter(|name| exported.contains(name)) else {
                    continue;
                };
                for inner in &item.items {
                    if let ImplItem::Fn(inner) = inner
                        && is_public(&inner.vis)
                        && !is_conditional(&inner.attrs)
                        && !is_hidden(&inner.attrs)
                    {
                        add(Some(&owner), &inner.sig);
                    }
                }
            }
            Item::Trait(item) if is_public(&item.vis) && exported.contains(&item.ident.to_string()) => {
                for inner in &item.items {
                    if let TraitItem::Fn(inner) = inner
                        && !is_hidden(&inner.attrs)
                    {
                        add(Some(&item.ident.to_string()), &inner.sig);
                    }
                }
            }
            _ => {}
        }
    }
    functions.into_iter().collect()
}

/// Calls of a file's functions.
#[derive(Default)]
struct Calls {
    /// `name(...)`.
    plain: BTreeSet<String>,
    /// `Type::name(...)`; where the type is a parameter, with the traits that bound it in its place.
    qualified: BTreeSet<(String, String)>,
    /// `x.name(...)`.
    methods: BTreeSet<String>,
    /// Bounds of the type parameters of the present function.
    bounds: BTreeMap<String, Vec<String>>,
}

impl<'ast> Visit<'ast> for Calls {
    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let syn::Expr::Path(function) = &*call.func {
            let path: Vec<String> =
                function.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            match path.as_slice() {
                [name] => drop(self.plain.insert(name.clone())),
                [.., owner, name] => {
                    let owners = self.bounds.get(owner).cloned().unwrap_or_else(|| vec![owner.clone()]);
                    self.qualified.extend(owners.into_iter().map(|owner| (owner, name.clone())));
                }
                [] => {}
            }
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.methods.insert(call.method.to_string());
        visit::visit_expr_method_call(self, call);
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.bounds = BTreeMap::new();
        for parameter in &function.sig.generics.params {
            if let GenericParam::Type(parameter) = parameter {
                let bounds = parameter.bounds.iter().filter_map(|bound| match bound {
                    syn::TypeParamBound::Trait(bound) => bound.path.segments.last(),
                    _ => None,
                });
                let bounds = bounds.map(|segment| segment.ident.to_string()).collect();
                self.bounds.insert(parameter.ident.to_string(), bounds);
            }
        }
        visit::visit_item_fn(self, function);
    }
}

/// The calls that are reached from the function `every`; plain ones are of names that the file imports.
fn calls(file: &File) -> Result<Calls, Box<dyn Error>> {
    let mut imported = BTreeSet::new();
    let mut local = BTreeMap::new();
    for item in &file.items {
        match item {
            Item::Use(item) => names(&item.tree, &mut imported)?,
            Item::Fn(item) => drop(local.insert(item.sig.ident.to_string(), item)),
            _ => {}
        }
    }
    let mut calls = Calls::default();
    let (mut open, mut seen) = (vec!["every".to_owned()], BTreeSet::new());
    while let Some(name) = open.pop() {
        if let Some(function) = local.get(&name)
            && seen.insert(name)
        {
            calls.visit_item_fn(function);
            open.extend(calls.plain.iter().filter(|name| local.contains_key(*name)).cloned());
        }
    }
    calls.plain.retain(|name| imported.contains(name));
    Ok(calls)
}

/// The functions that are not called, with how to call them.
fn missing(functions: &[Function], calls: &Calls) -> Vec<String> {
    let mut owners = BTreeMap::<&str, usize>::new();
    for function in functions.iter().filter(|function| function.owner.is_some()) {
        *owners.entry(&function.name).or_default() += 1;
    }
    let mut missing = Vec::new();
    for function in functions {
        let name = &function.name;
        let Some(owner) = &function.owner else {
            if !calls.plain.contains(name) {
                missing.push(format!("{function}: call {name}(...)"));
            }
            continue;
        };
        let is_plain_enough =
            function.is_method && owners[name.as_str()] == 1 && !STANDARD_METHODS.contains(&name.as_str());
        let is_called = calls.qualified.contains(&(owner.clone(), name.clone()))
            || is_plain_enough && calls.methods.contains(name);
        if !is_called {
            missing.push(if is_plain_enough {
                format!("{function}: call .{name}(...) or {function}(...)")
            } else {
                format!("{function}: call {function}(...), since other types have a {name}")
            });
        }
    }
    missing
}

#[test]
fn the_proofs_call_every_public_function() -> Result<(), Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = here.join("../core/src");
    let root = syn::parse_file(&fs::read_to_string(source.join("lib.rs"))?)?;
    let mut files = Vec::new();
    modules(&root.items, &source, &mut files)?;
    let functions = public_functions(&exported(&root)?, &files);
    let every = syn::parse_file(&fs::read_to_string(here.join("link-nostd/src/every.rs"))?)?;
    let missing = missing(&functions, &calls(&every)?);
    println!("{} public functions", functions.len());
    assert!(functions.len() >= 200, "only {} functions were found", functions.len());
    assert!(missing.is_empty(), "not called in every.rs:\n{}", missing.join("\n"));
    Ok(())
}

/// What is missing in `every` of a crate with one module.
fn missing_of(root: &str, module: &str, every: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let functions = public_functions(&exported(&syn::parse_file(root)?)?, &[syn::parse_file(module)?]);
    Ok(missing(&functions, &calls(&syn::parse_file(every)?)?))
}

#[test]
fn a_function_that_is_not_called_is_reported() -> Result<(), Box<dyn Error>> {
    let root = "mod shapes; pub use shapes::{Circle, Square, Sized, area, length};";
    let module = "
        pub struct Circle;
        pub struct Square<T>(T);
        pub struct Inner;
        pub trait Sized { fn size(&self) -> u32; #[doc(hidden)] fn secret(&self); }
        impl Circle {
            pub fn new() -> Self { Circle }
            pub fn radius(&self) {}
            pub fn fill(&self) {}
            pub(crate) fn grow(&self) {}
            fn shrink(&self) {}
        }
        impl<T> Square<T> { pub const fn new(of: T) -> Self { Square(of) } }
        impl Inner { pub fn new() -> Self { Inner } }
        pub fn area() {}
        pub fn length() {}
        pub fn private() {}
    ";
    let whole = "
        use infomark_core::{Circle, Square, Sized, area, length};
        fn every<T: Sized>() { round(); T::size(&part); length(area()) }
        fn round() { Square::<u8>::new(1); Circle::fill(&Circle::new()); circle.radius() }
    ";
    assert_eq!(missing_of(root, module, whole)?, [""; 0]);

    for (call, instead, reported) in [
        // The other type's function of this name is still called.
        ("Circle::new()", "circle", "Circle::new: call Circle::new(...), since other types have a new"),
        (
            "Square::<u8>::new(1)",
            "Square(1)",
            "Square::new: call Square::new(...), since other types have a new",
        ),
        ("Circle::new()", "Inner::new()", "Circle::new: call Circle::new(...), since other types have a new"),
        // A slice has a `fill`, too.
        (
            "Circle::fill(&Circle::new())",
            "Circle::new().fill()",
            "Circle::fill: call Circle::fill(...), since other types have a fill",
        ),
        ("circle.radius()", "circle.radius", "Circle::radius: call .radius(...) or Circle::radius(...)"),
        ("T::size(&part)", "U::size(&part)", "Sized::size: call .size(...) or Sized::size(...)"),
        ("area()", "call(area)", "area: call area(...)"),
        // A method is no function, nor is one of another crate.
        ("area()", "circle.area()", "area: call area(...)"),
        ("Sized, area, length}", "Sized, length}", "area: call area(...)"),
    ] {
        let every = whole.replace(call, instead);
        assert_ne!(every, whole, "{call}");
        assert_eq!(missing_of(root, module, &every)?, [reported], "{instead}");
    }
    // What nothing calls is no proof.
    assert_eq!(missing_of(root, module, &whole.replace("round();", ""))?.len(), 4);
    assert!(missing_of("pub use shapes::*;", module, whole).is_err());
    assert!(missing_of("pub mod shapes;", module, whole).is_err());
    Ok(())
}

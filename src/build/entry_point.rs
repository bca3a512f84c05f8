//! What a bundle runs: finding a console script, or checking that a named module is there.
//!
//! `entry_points.txt` is read as `importlib.metadata` reads it: sections in brackets, one
//! `name = module:object [extras]` a line, lines that begin with `#` are comments.

use super::error::BuildError;
use super::interpreter::Interpreter;
use super::names;
use super::tree::Tree;
use crate::bundle::{BundleEntryPoint, ScriptEntryPoint, nearest_first, parse_object};

/// What a bundle is asked to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestedEntryPoint {
    /// A console script, by name.
    Script(String),
    /// A function: `module:function`, where the function may be dotted.
    Object(String),
    /// A module or a package with a `__main__`, run as `python -m` runs it.
    Module(String),
}

/// A script as a distribution declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Script {
    name: String,
    module: String,
    object: String,
}

impl RequestedEntryPoint {
    /// Whether it is written as it has to be, whatever the bundle will hold.
    ///
    /// # Errors
    ///
    /// [`BuildError::EntryPointSyntax`].
    pub(super) fn check(&self) -> Result<(), BuildError> {
        let (found, expected) = match self {
            Self::Object(text) if object_of(text).is_none() => (text, "`module:function`"),
            Self::Module(name) if !is_dotted_name(name) => (name, "a module's dotted name"),
            _ => return Ok(()),
        };
        Err(BuildError::EntryPointSyntax { found: found.clone(), expected })
    }

    /// What runs, made sure of.
    ///
    /// # Errors
    ///
    /// [`BuildError::EntryPointSyntax`], [`BuildError::ScriptNotFound`],
    /// [`BuildError::ModuleNotFound`], [`BuildError::Read`].
    pub(super) fn resolve(
        &self,
        tree: &Tree,
        interpreter: &Interpreter,
    ) -> Result<BundleEntryPoint, BuildError> {
        self.check()?;
        match self {
            Self::Script(name) => {
                let mut scripts = scripts(tree)?;
                if let Some(position) = scripts.iter().position(|script| script.name == *name) {
                    let script = scripts.swap_remove(position);
                    return Ok(BundleEntryPoint::Script {
                        name: script.name,
                        module: script.module,
                        object: script.object,
                    });
                }
                let names = scripts.into_iter().map(|script| script.name).collect();
                let available = nearest_first(name, names);
                Err(BuildError::ScriptNotFound { name: name.clone(), available })
            }
            Self::Object(text) => {
                // Written as it has to be, or the check above had refused it.
                let (module, object) = object_of(text).unwrap_or_default();
                match find_module(tree, &module, &interpreter.extension_suffixes) {
                    Found::Nothing => Err(not_found(tree, text, &module)),
                    _ => Ok(BundleEntryPoint::Object { module, object }),
                }
            }
            Self::Module(name) => self.resolve_module(name, tree, interpreter),
        }
    }

    fn resolve_module(
        &self,
        name: &str,
        tree: &Tree,
        interpreter: &Interpreter,
    ) -> Result<BundleEntryPoint, BuildError> {
        let found = match find_module(tree, name, &interpreter.extension_suffixes) {
            Found::Nothing => return Err(not_found(tree, name, name)),
            Found::Module => None,
            Found::Extension => Some("it is an extension module, which cannot be run"),
            Found::Package => {
                let main = format!("{name}.__main__");
                match find_module(tree, &main, &[]) {
                    Found::Module => None,
                    _ => Some("it is a package without `__main__`, which cannot be run"),
                }
            }
        };
        match found {
            None => Ok(BundleEntryPoint::Module { name: name.to_owned() }),
            Some(found) => {
                Err(BuildError::ModuleNotFound { entry: name.to_owned(), found: found.to_owned() })
            }
        }
    }
}

/// What a dotted name stands for in the bundle.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Module,
    Extension,
    Package,
}

fn find_module(tree: &Tree, dotted: &str, suffixes: &[String]) -> Found {
    let path = dotted.replace('.', "/");
    let has = |base: &str| ["py", "pyc"].iter().any(|end| tree.contains(&format!("{base}.{end}")));
    let has_extension =
        |base: &str| (suffixes.iter()).any(|end| tree.contains(&format!("{base}{end}")));
    let initializer = format!("{path}/__init__");
    if has(&initializer) || has_extension(&initializer) {
        Found::Package
    } else if has_extension(&path) {
        Found::Extension
    } else if has(&path) {
        Found::Module
    } else if tree.contains_directory(&path) {
        Found::Package
    } else {
        Found::Nothing
    }
}

/// The error for a module that is not there, naming the part of it that is.
fn not_found(tree: &Tree, entry: &str, module: &str) -> BuildError {
    let found = match module.rsplit_once('.') {
        Some((parent, last)) if tree.contains_directory(&parent.replace('.', "/")) => {
            format!("the bundle has `{parent}`, but no `{last}` in it")
        }
        _ => format!("the bundle has no module `{module}`"),
    };
    BuildError::ModuleNotFound { entry: entry.to_owned(), found }
}

/// The scripts of all distributions in the bundle.
fn scripts(tree: &Tree) -> Result<Vec<Script>, BuildError> {
    let mut found = Vec::new();
    for (name, item) in tree.iter() {
        if names::is_metadata(name) && name.split('/').nth(1) == Some("entry_points.txt") {
            let text = item.content.read()?;
            found.extend(ScriptEntryPoint::parse(&text).into_iter().filter_map(|script| {
                let (module, object) = object_of(&script.value)?;
                Some(Script { name: script.name, module, object })
            }));
        }
    }
    Ok(found)
}

/// Splits `module:object [extras]` where both are names of Python's.
fn object_of(text: &str) -> Option<(String, String)> {
    parse_object(text).filter(|(module, object)| is_dotted_name(module) && is_dotted_name(object))
}

/// Whether `text` is identifiers joined by dots.
fn is_dotted_name(text: &str) -> bool {
    text.split('.').all(names::is_identifier)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn tree(names: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (name, text) in names {
            tree.set(name, text.as_bytes().to_vec());
        }
        tree
    }

    fn resolve(
        requested: &RequestedEntryPoint,
        tree: &Tree,
    ) -> Result<BundleEntryPoint, BuildError> {
        requested.resolve(tree, &Interpreter::probe(Path::new("python3")).unwrap())
    }

    #[test]
    fn a_missing_script_names_the_nearest_first() {
        let text = "[console_scripts]\nzeta = z:m\nblackd = b:m\nblack = b:m\n";
        let tree = tree(&[("b-1.dist-info/entry_points.txt", text)]);
        let error = resolve(&RequestedEntryPoint::Script("blakc".into()), &tree).unwrap_err();
        let BuildError::ScriptNotFound { available, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(available, &["black", "blackd", "zeta"]);
    }

    #[test]
    fn modules_must_be_there_and_runnable() {
        let tree = tree(&[("a/__init__.py", ""), ("a/b.py", ""), ("c/__main__.pyc", "")]);
        let module = |name: &str| resolve(&RequestedEntryPoint::Module(name.into()), &tree);
        let object = |text: &str| resolve(&RequestedEntryPoint::Object(text.into()), &tree);
        assert!(module("a.b").is_ok());
        assert!(module("c").is_ok());
        assert_eq!(module("a").unwrap_err().status(), 127);
        assert_eq!(module("nothing").unwrap_err().status(), 127);
        assert_eq!(module("a b").unwrap_err().status(), 2);
        assert!(object("a:main.run").is_ok());
        assert_eq!(object("a.x:main").unwrap_err().status(), 127);
        assert_eq!(object("a.b").unwrap_err().status(), 2);
        assert_eq!(object("a:1x").unwrap_err().status(), 2);
    }
}

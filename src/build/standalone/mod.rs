//! Standalone executables: putting the Python that this mmport embeds into the bundle.
//!
//! | file | owns |
//! | --- | --- |
//! | `standard_library.rs` | what of the standard library goes in |
//! | `shared_libraries.rs` | the libraries of this machine that it all needs |
//! | `runtime.rs` | mmport and libpython as they are brought out |
//! | `elf.rs` | ELF files that can be moved |
//! | `licences.rs` | under which licences all of that is |
//! | `error.rs` | what may go wrong |

mod elf;
mod error;
mod licences;
mod runtime;
mod shared_libraries;
mod standard_library;

use std::path::PathBuf;
use std::sync::Arc;

use crate::bundle::{
    BundleEntryPoint, Component, LIBRARY_DIRECTORY, StandalonePython, StandardLibraryExtent,
    is_shared_library,
};
use crate::standalone::{has_head, head_of};

use super::error::BuildError;
use super::interpreter::Interpreter;
use super::names;
use super::traced_run::{TracedRun, seen_modules};
use super::tree::{Content, Item, Tree};

use shared_libraries::{Library, Loader};

pub use elf::MoveError;
pub use error::StandaloneError;

/// The Python that goes into a standalone executable: the one that this mmport embeds.
#[derive(Debug, Clone)]
pub struct EmbeddedPython {
    /// This program.
    pub program: PathBuf,
    /// Its full version: `3.11.7`.
    pub version: String,
    /// Tag of its extension modules.
    pub soabi: String,
    /// The directory of its standard library.
    pub standard_library: PathBuf,
    /// The directory of the standard library's extension modules.
    pub extension_modules: PathBuf,
}

/// A standalone executable as it was asked for.
#[derive(Debug, Clone)]
pub struct StandaloneRequest {
    /// The Python that goes in.
    pub python: EmbeddedPython,
    /// How much of the standard library goes in.
    pub extent: StandardLibraryExtent,
    /// Modules of the standard library that go in with a minimal one, seen or not.
    pub modules: Vec<String>,
    /// Runs of the program that show what a minimal standard library has to have.
    pub runs: Vec<TracedRun>,
}

/// What makes a bundle a standalone executable.
#[derive(Debug)]
pub(super) struct Standalone {
    /// What stands before the zip.
    pub(super) head: Vec<u8>,
    /// What the bundle says about it.
    pub(super) information: StandalonePython,
}

impl StandaloneRequest {
    /// Whether this mmport can make one for `interpreter`.
    ///
    /// # Errors
    /// [`StandaloneError::NoHead`], [`StandaloneError::OtherPython`].
    pub(super) fn check(&self, interpreter: &Interpreter) -> Result<(), StandaloneError> {
        if !has_head() {
            return Err(StandaloneError::NoHead);
        }
        let found = interpreter.full_version();
        if found == self.python.version && interpreter.soabi == self.python.soabi {
            return Ok(());
        }
        Err(StandaloneError::OtherPython { expected: self.python.version.clone(), found })
    }

    /// Adds the standard library to `tree`, and the shared libraries that all of `tree` needs. A minimal
    /// one has what the program that `entry` starts imports from `path`.
    ///
    /// # Errors
    /// [`BuildError::Read`], [`BuildError::Standalone`].
    pub(super) fn add_python(
        &self,
        interpreter: &Interpreter,
        entry: Option<&BundleEntryPoint>,
        path: &[PathBuf],
        tree: &mut Tree,
        warnings: &mut Vec<String>,
    ) -> Result<Standalone, BuildError> {
        let seen = match self.extent {
            StandardLibraryExtent::All => Vec::new(),
            StandardLibraryExtent::Minimal => {
                let named = self.modules.iter().map(String::as_str);
                let modules: Vec<&str> =
                    standard_library::ALWAYS.into_iter().chain(named).collect();
                seen_modules(interpreter, entry, &self.runs, &modules, path)?
            }
        };
        standard_library::add(self, interpreter, &seen, tree, warnings)?;
        let loader = Loader::of_program(&self.python.program)?;
        let libraries = loader.libraries_of(tree, warnings)?;
        let (files, carried) = runtime::files(&self.python.program, &loader)?;
        let mut components = vec![licences::python(&self.python.version), licences::mmport()];
        components.extend(licences::crates());
        let needed: Vec<&Library> = carried.iter().chain(&libraries).collect();
        components.extend(licences::of_libraries(&needed));
        for component in &components {
            warnings.extend(licences::warning(component));
        }
        add_libraries(tree, &libraries)?;
        make_movable(tree)?;
        let (head, runtime) = head_of(&files);
        Ok(Standalone {
            head,
            information: StandalonePython {
                version: self.python.version.clone(),
                runtime,
                standard_library: self.extent,
                components: unique(components),
            },
        })
    }
}

fn unique(mut components: Vec<Component>) -> Vec<Component> {
    components.sort_by(|one, other| one.name.cmp(&other.name));
    components.dedup();
    components
}

/// Puts shared libraries of this machine where extension modules find them.
fn add_libraries(tree: &mut Tree, libraries: &[Library]) -> Result<(), BuildError> {
    for Library { name, path } in libraries {
        let metadata = path.metadata().map_err(BuildError::read(path))?;
        let item = Item {
            content: Content::File(Arc::from(path.as_path())),
            size: metadata.len(),
            executable: true,
            origin: Arc::from("this machine's libraries"),
        };
        tree.add(format!("{LIBRARY_DIRECTORY}/{name}"), item)?;
    }
    Ok(())
}

/// Takes out of the libraries of Python and of this machine what leads to this machine, and what only
/// debuggers read.
fn make_movable(tree: &mut Tree) -> Result<(), BuildError> {
    let names: Vec<String> = native_files(tree).map(|(name, _)| name.to_owned()).collect();
    for name in names.iter().filter(|name| name.starts_with(LIBRARY_DIRECTORY)) {
        let Some(item) = tree.get(name) else { continue };
        match elf::movable(item.content.read()?.into_owned(), None) {
            Ok(data) => tree.set(name, data),
            Err(error) => tracing::debug!(target: "mmport::build", name, %error, "left as it is"),
        }
    }
    Ok(())
}

/// The files of extension modules and shared libraries in `tree`.
fn native_files(tree: &Tree) -> impl Iterator<Item = (&str, &std::path::Path)> {
    tree.iter().filter_map(|(name, item)| match &item.content {
        Content::File(path) if is_shared_library(names::file_name(name).as_bytes()) => {
            Some((name, &**path))
        }
        _ => None,
    })
}

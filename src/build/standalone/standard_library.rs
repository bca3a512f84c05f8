//! What of the standard library goes into a standalone executable.
//!
//! All of it but tests and what only serves building Python, or what a program was seen to import and
//! what [`ALWAYS`] needs. The unit of a minimal one is the top-level module or package: what a package
//! imports of itself later, when something goes wrong say, is there too.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use walkdir::WalkDir;

use crate::bundle::{StandardLibraryExtent, standard_library_directory};

use super::super::collect::{Collection, Kind};
use super::super::error::BuildError;
use super::super::interpreter::Interpreter;
use super::super::names;
use super::super::tree::Tree;
use super::{StandaloneError, StandaloneRequest};

/// Directories, at the top or anywhere, that no program uses.
const LEFT_OUT: [&str; 3] = ["test", "tests", "idle_test"];
/// What files are called, from the beginning on, that are for people who read or build Python. With one
/// of them beside it a package would be brought out as files.
const FOR_PEOPLE: [&str; 4] = ["README", "architecture.rst", "command_template", "fetch_macholib"];
/// Top-level directories that belong to installed distributions.
const OF_DISTRIBUTIONS: [&str; 2] = ["site-packages", "dist-packages"];
/// Top-level modules of whoever has packaged this Python.
const OF_THE_SYSTEM: [&str; 2] = ["sitecustomize.py", "usercustomize.py"];

/// Modules that every program may need, seen or not, with all that they import themselves: to start, to say
/// what went wrong, to be a child of a pool of processes, to look into its own distributions.
pub(super) const ALWAYS: [&str; 30] = [
    "argparse",
    "ast",
    "codeop",
    "collections.abc",
    "concurrent.futures.thread",
    "dataclasses",
    "datetime",
    "encodings",
    "importlib.metadata",
    "importlib.resources",
    "importlib.util",
    "inspect",
    "locale",
    "logging",
    "multiprocessing.forkserver",
    "multiprocessing.pool",
    "multiprocessing.popen_fork",
    "multiprocessing.popen_spawn_posix",
    "multiprocessing.queues",
    "multiprocessing.spawn",
    "pickle",
    "pkgutil",
    "runpy",
    "signal",
    "site",
    "subprocess",
    "tempfile",
    "traceback",
    "unicodedata",
    "warnings",
];

/// Adds the standard library to `tree`.
///
/// # Errors
/// [`BuildError::Read`] and others of collecting; [`StandaloneError::NoSuchModule`] for a module that was
/// asked for and is none.
pub(super) fn add(
    request: &StandaloneRequest,
    interpreter: &Interpreter,
    seen: &[String],
    tree: &mut Tree,
    warnings: &mut Vec<String>,
) -> Result<(), BuildError> {
    let python = &request.python;
    let directory = standard_library_directory(&interpreter.version());
    let places = [
        (&python.standard_library, format!("{directory}/")),
        (&python.extension_modules, format!("{directory}/lib-dynload/")),
    ];
    let wanted = match request.extent {
        StandardLibraryExtent::All => None,
        StandardLibraryExtent::Minimal => {
            let names = seen.iter().chain(&request.modules).map(|name| top_level(name));
            Some(names.map(str::to_owned).collect::<HashSet<String>>())
        }
    };
    let mut known = HashSet::new();
    for (root, prefix) in &places {
        let is_first = *prefix == places[0].1;
        let mut leaves_out = HashSet::new();
        for entry in WalkDir::new(root).min_depth(1).follow_links(true).into_iter().flatten() {
            let Some(name) = entry.path().strip_prefix(root).ok().and_then(Path::to_str) else {
                continue;
            };
            let module = module_of(name, &interpreter.extension_suffixes);
            let belongs = (!is_first || !is_left_out(name, &python.extension_modules, root))
                && (wanted.as_ref()).is_none_or(|wanted| is_wanted(wanted, module));
            known.insert(module.to_owned());
            if !belongs {
                leaves_out.insert(name.to_owned());
            }
        }
        Collection {
            root,
            kind: Kind::Source,
            prefix,
            leaves_out: &leaves_out,
            origin: Arc::from("the standard library"),
            magic: interpreter.magic,
            output: Path::new(""),
        }
        .collect(tree, warnings)?;
    }
    match request.modules.iter().find(|name| !known.contains(top_level(name))) {
        Some(name) => Err(StandaloneError::NoSuchModule {
            name: name.clone(),
            place: python.standard_library.clone(),
        }
        .into()),
        None => Ok(()),
    }
}

/// Whether a minimal standard library has a module: with a package or module `x` comes what is written
/// in C for it, `_x`, and Python's own stand-ins for that, `_pyx`.
fn is_wanted(wanted: &HashSet<String>, module: &str) -> bool {
    let bare = module.strip_prefix("_py").or_else(|| module.strip_prefix('_'));
    wanted.contains(module)
        || bare.is_some_and(|bare| wanted.contains(bare))
        // Facts about the build, with the platform in their names.
        || (module.starts_with("_sysconfigdata") && wanted.contains("sysconfig"))
}

/// Whether the file or directory `name` of the standard library at `root` goes into no executable.
fn is_left_out(name: &str, extension_modules: &Path, root: &Path) -> bool {
    let mut parts = name.split('/');
    let top = parts.next().unwrap_or_default();
    OF_DISTRIBUTIONS.contains(&top)
        || OF_THE_SYSTEM.contains(&name)
        // Makefile, configuration and a static library, for who builds extension modules.
        || top.starts_with("config-")
        || name.split('/').any(|part| LEFT_OUT.contains(&part))
        || FOR_PEOPLE.iter().any(|beginning| names::file_name(name).starts_with(beginning))
        || root.join(name).starts_with(extension_modules)
}

/// The first part of a dotted name.
fn top_level(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// The top-level module that a file or directory of the standard library belongs to.
fn module_of<'name>(name: &'name str, suffixes: &[String]) -> &'name str {
    let top = name.split('/').next().unwrap_or(name);
    names::extension_module(top, suffixes).unwrap_or_else(|| top.split('.').next().unwrap_or(top))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_told_by_their_files() {
        let suffixes = [".cpython-311-x86_64-linux-gnu.so".to_owned(), ".so".to_owned()];
        for (name, module) in [
            ("json/decoder.py", "json"),
            ("os.py", "os"),
            ("_ssl.cpython-311-x86_64-linux-gnu.so", "_ssl"),
            ("json", "json"),
        ] {
            assert_eq!(module_of(name, &suffixes), module);
        }
    }

    #[test]
    fn a_minimal_library_has_the_parts_in_c() {
        let wanted: HashSet<String> = ["ssl", "decimal"].map(str::to_owned).into();
        for (module, expected) in
            [("ssl", true), ("_ssl", true), ("_pydecimal", true), ("sqlite3", false)]
        {
            assert_eq!(is_wanted(&wanted, module), expected, "{module}");
        }
    }

    #[test]
    fn tests_and_what_is_installed_stay_out() {
        let (root, extensions) = (Path::new("/lib/python"), Path::new("/lib/python/lib-dynload"));
        for (name, expected) in [
            ("test/test_os.py", true),
            ("unittest/test/x.py", true),
            ("site-packages/pip/__init__.py", true),
            ("config-3.11-x86_64-linux-gnu/Makefile", true),
            ("lib-dynload/_ssl.so", true),
            ("email/architecture.rst", true),
            ("unittest/case.py", false),
            ("configparser.py", false),
        ] {
            assert_eq!(is_left_out(name, extensions, root), expected, "{name}");
        }
    }
}

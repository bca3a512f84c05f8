//! The Python of a standalone executable: its standard library is in the bundle.
//!
//! The process is then the runtime that the executable has brought out, which no Python is installed
//! for. Every path of it is one through the bundle: `BUNDLE/.python` is `sys.base_prefix`.

use std::env;
use std::path::{Path, PathBuf};

use crate::bundle::{Bundle, PYTHON_DIRECTORY, standard_library_directory};
use crate::native::InUse;
use crate::python::boot_from_bundle;
use crate::standalone::runtime_name;

use super::identity::VERSION;
use super::linked::started_path;

/// What CPython calls the directory of the standard library's extension modules.
const EXTENSION_MODULES: &str = "lib-dynload";

/// Where the Python is that is part of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BundledPython {
    /// `sys.base_prefix`
    pub(super) prefix: PathBuf,
    /// The directories of `sys.path`.
    pub(super) search_paths: [PathBuf; 2],
}

impl BundledPython {
    /// This program, if it is the runtime of some standalone executable.
    pub(super) fn running_runtime() -> Option<PathBuf> {
        program().filter(|program| runtime_name(program).is_some())
    }

    /// The Python inside `bundle`, if this process is its runtime: any other mmport has a standard library
    /// of its own.
    pub(super) fn of(bundle: &Bundle) -> Option<Self> {
        let information = bundle.information().ok()??;
        let standalone = information.standalone.as_ref()?;
        let program = Self::running_runtime()?;
        (runtime_name(&program)? == standalone.runtime).then(|| Self::inside(bundle.path()))
    }

    /// Has the interpreter that is going to start import from the bundle, which has to be mounted, and keeps
    /// the files of the runtime from being removed as long as this process lives.
    pub(super) fn prepare(&self) {
        boot_from_bundle(&self.search_paths[0]);
        let program = Self::running_runtime();
        let directory = program.and_then(|program| Some(program.parent()?.parent()?.to_owned()));
        if let Some(Ok(Some(in_use))) = directory.map(|directory| InUse::make(&directory)) {
            std::mem::forget(in_use);
        }
    }

    /// The directories of `sys.path` as places in the bundle.
    pub(super) fn places() -> [String; 2] {
        let standard_library = standard_library_directory(VERSION);
        let extension_modules = format!("{standard_library}/{EXTENSION_MODULES}");
        [standard_library, extension_modules]
    }

    fn inside(bundle: &Path) -> Self {
        let search_paths = Self::places().map(|place| bundle.join(place));
        Self { prefix: bundle.join(PYTHON_DIRECTORY), search_paths }
    }
}

/// The file of this program. Where `/proc` is not there, the one that the kernel was told to start.
pub(super) fn program() -> Option<PathBuf> {
    env::current_exe().ok().or_else(|| std::path::absolute(started_path()?).ok())
}

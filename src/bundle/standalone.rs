//! The Python inside a bundle that is a standalone executable: where its parts are.
//!
//! ```text
//! .python/lib/python3.N/…              the standard library: sources and bytecode
//! .python/lib/python3.N/lib-dynload/…  its extension modules
//! .python/lib/LIBRARY.so.1             shared libraries that extension modules need, and the C library
//!                                      does not bring
//! ```

use serde::{Deserialize, Serialize};

/// What is `sys.base_prefix` of a standalone executable's Python, below the bundle.
pub const PYTHON_DIRECTORY: &str = ".python";

/// The directory of shared libraries from the machine that built a standalone executable.
pub const LIBRARY_DIRECTORY: &str = ".python/lib";

/// The directory of the standard library of Python `version`, such as `3.11`.
#[must_use]
pub fn standard_library_directory(version: &str) -> String {
    format!("{LIBRARY_DIRECTORY}/python{version}")
}

/// The Python inside a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandalonePython {
    /// Its full version: `3.11.7`.
    pub version: String,
    /// The name of the files that have to be files for it to start (see the `standalone` module).
    pub runtime: String,
    /// How much of the standard library there is.
    pub standard_library: StandardLibraryExtent,
    /// What it consists of, and under which licences.
    pub components: Vec<Component>,
}

/// How much of the standard library is in a bundle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StandardLibraryExtent {
    /// All of it but its own tests.
    #[default]
    All,
    /// What the program was seen to import, and what every program may need.
    Minimal,
}

/// A part of a standalone executable that is no distribution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// What it is called, with its version where that is known.
    pub name: String,
    /// An SPDX licence expression, or `None` where it is not known.
    pub license: Option<String>,
}

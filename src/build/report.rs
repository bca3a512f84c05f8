//! What was built, for the summary and for callers that go on with the bundle.

use std::path::PathBuf;
use std::time::Duration;

use super::files::FileCarrier;
use crate::bundle::{BuildInformation, Distribution, Sizes};

/// A finished bundle.
#[derive(Debug, Clone)]
pub struct BuildReport {
    /// Where the bundle is.
    pub output: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// How many entries it has.
    pub entries: usize,
    /// How many Python modules it has.
    pub modules: usize,
    /// How many of them carry bytecode.
    pub compiled: usize,
    /// Sources that do not compile and so carry no bytecode.
    pub rejected: Vec<RejectedSource>,
    /// The distributions in it, by name.
    pub distributions: Vec<Distribution>,
    /// The packages that hold files besides Python's and so are materialized.
    pub carriers: Vec<FileCarrier>,
    /// The extension modules and shared libraries, and what they take in the bundle.
    pub libraries: Sizes,
    /// What was left out or may surprise, as sentences.
    pub warnings: Vec<String>,
    /// What was written about the bundle into itself.
    pub information: BuildInformation,
    /// Where the time went.
    pub times: BuildTimes,
}

/// A source that the target interpreter does not compile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedSource {
    /// The entry's name.
    pub name: String,
    /// What the interpreter said.
    pub reason: String,
}

/// Where a build's time went.
#[derive(Debug, Clone, Copy, Default)]
pub struct BuildTimes {
    /// Resolving and installing.
    pub install: Duration,
    /// Looking through what was installed.
    pub collect: Duration,
    /// Compiling, and writing the bytecode while it comes.
    pub compile: Duration,
    /// Compressing and writing everything else.
    pub write: Duration,
    /// All of it.
    pub total: Duration,
}

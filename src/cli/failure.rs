//! What went wrong, as the command line tells it: one message, the next step, an exit status.

use std::error::Error;
use std::io::{self, Write};

use crate::build::BuildError;
use crate::bundle::BundleError;
use crate::embed::LaunchError;
use crate::native::StoreError;
use crate::python::full_message;
use crate::trace::LogError;

/// The status of a command line that is wrong.
pub(super) const USAGE: u8 = 2;
/// The status of an entry point that does not exist.
pub(super) const NOT_FOUND: u8 = 127;
/// The status of everything that is mmport's own failure.
pub(super) const FAILED: u8 = 125;

/// An error that ends the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Exit status.
    pub status: u8,
    /// What failed, with file, expected and found.
    pub message: String,
    /// What to do about it.
    pub next_step: Option<String>,
}

impl Failure {
    /// Writes the failure to standard error.
    pub fn report(&self) {
        // Nobody reads a standard error that cannot be written.
        let mut stderr = io::stderr().lock();
        let _ = writeln!(stderr, "mmport: error: {}", self.message);
        if let Some(next_step) = &self.next_step {
            let _ = writeln!(stderr, "  next: {next_step}");
        }
    }
}

impl Failure {
    /// The failure that `error` and its sources are.
    pub(super) fn of(status: u8, error: &dyn Error, next_step: Option<String>) -> Self {
        Self { status, message: format!("failed to {}", full_message(error)), next_step }
    }
}

impl From<LaunchError> for Failure {
    fn from(error: LaunchError) -> Self {
        Self::of(error.status(), &error, error.next_step())
    }
}

impl From<BundleError> for Failure {
    fn from(error: BundleError) -> Self {
        Self::of(FAILED, &error, error.next_step())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::of(FAILED, &error, Some(error.next_step()))
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        Self::of(error.status(), &error, error.next_step())
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Self::of(FAILED, &error, Some("write it as `MMPORT_LOG=mmport=debug`".into()))
    }
}

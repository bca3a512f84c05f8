//! What went wrong, as the command line tells it: one message, the next step, an exit status.

use crate::bundle::BundleError;
use crate::embed::LaunchError;
use crate::python::full_message;
use crate::trace::LogError;

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
        eprintln!("mmport: error: {}", self.message);
        if let Some(next_step) = &self.next_step {
            eprintln!("  next: {next_step}");
        }
    }
}

impl From<LaunchError> for Failure {
    fn from(error: LaunchError) -> Self {
        Self { status: error.status(), message: full_message(&error), next_step: error.next_step() }
    }
}

impl From<BundleError> for Failure {
    fn from(error: BundleError) -> Self {
        Self { status: FAILED, message: full_message(&error), next_step: error.next_step() }
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Self {
            status: FAILED,
            message: full_message(&error),
            next_step: Some("write it as `MMPORT_LOG=mmport=debug`".into()),
        }
    }
}

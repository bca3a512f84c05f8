//! Building bundles: requirements → distributions → compiled, ordered bundle.
//!
//! [`build`] takes a [`BuildRequest`] and writes one zip. Resolution and installation are the
//! installer's (`uv` or `pip`); compiling is the target interpreter's; what is ours is what goes
//! in, in which order and how it lies there. Nothing here knows how a bundle is run.

mod collect;
mod compile;
mod data;
mod distribution;
mod editable;
mod entry_point;
mod error;
mod files;
mod install;
mod interpreter;
mod interruption;
mod layout;
mod leftovers;
mod main_module;
mod names;
mod output;
mod pipeline;
mod platform;
mod progress;
mod record;
mod report;
mod request;
mod several;
mod site;
mod standalone;
mod traced_run;
mod tree;
mod venv;
mod write;

pub use entry_point::RequestedEntryPoint;
pub use error::BuildError;
pub use files::{FileCarrier, FileCarrierKind};
pub use install::Installer;
pub use interpreter::Interpreter;
pub use interruption::Interruption;
pub use pipeline::build;
pub use platform::Platform;
pub use progress::Progress;
pub use report::{BuildReport, BuildTimes, RejectedSource};
pub use request::{BuildRequest, DEFAULT_SHEBANG};
pub use standalone::{EmbeddedPython, MoveError, StandaloneError, StandaloneRequest};
pub use traced_run::TracedRun;

//! The log of what the import system was asked and did.
//!
//! Events go through `tracing`, under the targets `mmport::bundle`, `mmport::find_spec`,
//! `mmport::exec_module` and `mmport::store`. `MMPORT_LOG` selects them, in the syntax of
//! `tracing_subscriber::EnvFilter`: `MMPORT_LOG=mmport=debug`. Without it no subscriber is
//! installed and each event costs one load of a static level.

mod log;

pub use log::{LogError, start_log};

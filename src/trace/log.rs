//! `MMPORT_LOG`: events as lines on standard error.

use std::env;
use std::io;

use tracing_subscriber::EnvFilter;

/// The environment variable that selects events.
const VARIABLE: &str = "MMPORT_LOG";

/// Why the log could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `MMPORT_LOG` is not a list of filters.
    #[error("read {VARIABLE} `{value}`")]
    Filter {
        /// Its value.
        value: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
}

/// Starts the log when `MMPORT_LOG` is set; does nothing otherwise, or the second time.
///
/// # Errors
/// [`LogError::Filter`] when the variable is not a list of filters.
pub fn start_log() -> Result<(), LogError> {
    let Some(value) = env::var_os(VARIABLE).filter(|value| !value.is_empty()) else {
        return Ok(());
    };
    let value = value.to_string_lossy().into_owned();
    let filter =
        EnvFilter::builder().parse(&value).map_err(|source| LogError::Filter { value, source })?;
    // An error here only says that a subscriber is installed already, such as the one of a Rust
    // program that embeds mmport; then that one is used.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        .try_init();
    Ok(())
}

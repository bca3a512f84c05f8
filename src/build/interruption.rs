//! Stopping a build: SIGINT and SIGTERM become a flag that the build looks at between its steps.
//!
//! The build then unwinds as after any error, so that its temporary files and child processes go
//! with it. A second signal ends the process at once. The handlers stay set for the rest of the
//! process's life; a process that goes on as another program does so by `exec`, which resets them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM};
use signal_hook::flag;

use super::error::BuildError;

/// Says whether a build has been asked to stop. The default is never asked.
#[derive(Debug, Clone, Default)]
pub struct Interruption {
    signal: Arc<AtomicUsize>,
}

impl Interruption {
    /// Watches for SIGINT, SIGTERM and SIGHUP from now on.
    ///
    /// # Errors
    ///
    /// [`BuildError::Signals`] when the handlers cannot be set.
    pub fn from_signals() -> Result<Self, BuildError> {
        let interruption = Self::default();
        let again = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let number = usize::try_from(signal).unwrap_or_default();
            // The order matters: the first signal finds `again` unset and then sets it.
            flag::register_conditional_default(signal, Arc::clone(&again))
                .and_then(|_| flag::register(signal, Arc::clone(&again)))
                .and_then(|_| {
                    flag::register_usize(signal, Arc::clone(&interruption.signal), number)
                })
                .map_err(|source| BuildError::Signals { source })?;
        }
        // Writing to a worker that died should be an error, not our end.
        flag::register(SIGPIPE, Arc::default()).map_err(|source| BuildError::Signals { source })?;
        Ok(interruption)
    }

    /// Asks the build to stop, as the signal of that number would.
    pub fn interrupt(&self, signal: u8) {
        self.signal.store(usize::from(signal), Ordering::Relaxed);
    }

    /// Whether the build may go on.
    ///
    /// # Errors
    ///
    /// [`BuildError::Interrupted`] when it was asked to stop.
    pub fn check(&self) -> Result<(), BuildError> {
        match self.signal.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => {
                Err(BuildError::Interrupted { signal: u8::try_from(signal).unwrap_or(u8::MAX) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_sees_the_interruption() {
        let interruption = Interruption::default();
        let copy = interruption.clone();
        assert!(copy.check().is_ok());
        interruption.interrupt(15);
        assert!(matches!(copy.check(), Err(BuildError::Interrupted { signal: 15 })));
    }
}

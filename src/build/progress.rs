//! What a user sees while a bundle is built: bars on a terminal, plain lines without one, nothing
//! when it is to be quiet. Everything goes to standard error.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Shows the steps of a build.
#[derive(Debug, Clone)]
pub struct Progress {
    view: View,
}

#[derive(Debug, Clone)]
enum View {
    Silent,
    Lines,
    /// The bar of the step under way; hidden between steps.
    Terminal(Arc<Mutex<ProgressBar>>),
}

impl Progress {
    /// Shows nothing.
    #[must_use]
    pub fn silent() -> Self {
        Self { view: View::Silent }
    }

    /// Shows bars when standard error is a terminal, else lines.
    #[must_use]
    pub fn on_standard_error() -> Self {
        let view = if io::stderr().is_terminal() {
            View::Terminal(Arc::new(Mutex::new(ProgressBar::hidden())))
        } else {
            View::Lines
        };
        Self { view }
    }

    /// Whether nothing is shown.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        matches!(self.view, View::Silent)
    }

    /// Prints a line, above the bar if there is one.
    pub fn line(&self, text: &str) {
        let print = || {
            // A closed error stream is no reason to fail a build.
            let _ = writeln!(io::stderr().lock(), "{text}");
        };
        match &self.view {
            View::Silent => {}
            View::Lines => print(),
            View::Terminal(bar) => locked(bar).suspend(print),
        }
    }

    /// Begins a step whose length is not known.
    pub(super) fn begin(&self, message: &str) {
        self.show(message, None);
    }

    /// Begins a step of `length` parts.
    pub(super) fn begin_counted(&self, message: &str, length: usize) {
        self.show(message, Some(length));
    }

    /// Notes that `count` more parts are done.
    pub(super) fn advance(&self, count: usize) {
        if let View::Terminal(bar) = &self.view {
            locked(bar).inc(count as u64);
        }
    }

    /// Ends the step under way.
    pub(super) fn end(&self) {
        if let View::Terminal(bar) = &self.view {
            locked(bar).finish_and_clear();
        }
    }

    fn show(&self, message: &str, length: Option<usize>) {
        match &self.view {
            View::Silent => {}
            View::Lines => self.line(message),
            View::Terminal(current) => {
                let mut current = locked(current);
                current.finish_and_clear();
                let (bar, template) = match length {
                    Some(length) => {
                        (ProgressBar::new(length as u64), "{spinner} {msg} {wide_bar} {pos}/{len}")
                    }
                    None => (ProgressBar::new_spinner(), "{spinner} {msg} {elapsed}"),
                };
                if let Ok(style) = ProgressStyle::with_template(template) {
                    bar.set_style(style);
                }
                bar.set_message(message.to_owned());
                bar.enable_steady_tick(Duration::from_millis(100));
                *current = bar;
            }
        }
    }
}

/// The bar. A thread that panicked while it held the bar did not damage it.
fn locked(bar: &Mutex<ProgressBar>) -> MutexGuard<'_, ProgressBar> {
    bar.lock().unwrap_or_else(PoisonError::into_inner)
}

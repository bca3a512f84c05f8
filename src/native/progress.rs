//! Progress on a terminal while a large unit is brought out for the first time.
//!
//! Nothing is shown before a second has passed, nor where standard error is no terminal, and what
//! was shown is wiped away: the terminal is the program's.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What takes less than a second is not worth a word.
const DELAY: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_millis(100);
/// Smaller units never take that long, and are spared the thread.
const SMALLEST: u64 = 8 << 20;

/// How far the writing of one unit is.
pub(super) struct Progress<'unit> {
    unit: &'unit str,
    files: usize,
    is_shown: bool,
    started: Instant,
    done: AtomicUsize,
    is_finished: AtomicBool,
}

impl<'unit> Progress<'unit> {
    /// For a unit of so many files and bytes.
    pub(super) fn new(unit: &'unit str, files: usize, bytes: u64) -> Self {
        let is_shown = bytes >= SMALLEST && std::io::stderr().is_terminal();
        Self {
            unit,
            files,
            is_shown,
            started: Instant::now(),
            done: AtomicUsize::new(0),
            is_finished: AtomicBool::new(false),
        }
    }

    /// Whether a thread should [`Self::show`] it.
    pub(super) fn is_shown(&self) -> bool {
        self.is_shown
    }

    /// One file more is written.
    pub(super) fn advance(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// Shows the progress until [`Self::finish`] is called.
    pub(super) fn show(&self) {
        // This thread may have come late.
        std::thread::park_timeout(DELAY.saturating_sub(self.started.elapsed()));
        if self.is_finished.load(Ordering::Acquire) {
            return;
        }
        let bar =
            ProgressBar::with_draw_target(Some(self.files as u64), ProgressDrawTarget::stderr());
        if let Ok(style) =
            ProgressStyle::with_template("first run: unpacking {msg} {bar:30} {pos}/{len} files")
        {
            bar.set_style(style);
        }
        bar.set_message(self.unit.to_owned());
        while !self.is_finished.load(Ordering::Acquire) {
            bar.set_position(self.done.load(Ordering::Relaxed) as u64);
            std::thread::park_timeout(INTERVAL);
        }
        bar.finish_and_clear();
    }

    /// Ends what the thread `display` shows.
    pub(super) fn finish(&self, display: &Thread) {
        self.is_finished.store(true, Ordering::Release);
        display.unpark();
    }
}

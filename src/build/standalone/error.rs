//! Why a standalone executable cannot be made.

use std::path::PathBuf;

use super::elf::MoveError;

/// An error met while Python was put into a bundle.
#[derive(Debug, thiserror::Error)]
pub enum StandaloneError {
    /// This is the Python package, which has nothing to start an interpreter with.
    #[error("make a standalone executable: the mmport of this Python package embeds no Python")]
    NoHead,

    /// Another Python was asked for.
    #[error(
        "make a standalone executable for Python {found}: this mmport embeds Python {expected}"
    )]
    OtherPython {
        /// The Python that this mmport has.
        expected: String,
        /// The one that was asked for.
        found: String,
    },

    /// There is no such module in the standard library.
    #[error("take the module `{name}` along: it is not in `{}`", place.display())]
    NoSuchModule {
        /// The module.
        name: String,
        /// The directory of the standard library.
        place: PathBuf,
    },

    /// The libraries that a file needs are not known.
    #[error("list the libraries that `{}` needs: {found}", file.display())]
    Loader {
        /// The program or library.
        file: PathBuf,
        /// What the dynamic loader said.
        found: String,
    },

    /// A program or library cannot be made fit to be moved.
    #[error("make `{}` fit to be moved", path.display())]
    Move {
        /// The program or library.
        path: PathBuf,
        /// What is wrong with it.
        source: MoveError,
    },
}

impl StandaloneError {
    /// What to do about it, where that is known.
    #[must_use]
    pub fn next_step(&self) -> Option<String> {
        let text = match self {
            Self::NoHead => "use the `mmport` command that `cargo install mmport` installs".into(),
            Self::OtherPython { found, .. } => {
                format!("use an mmport that was built for Python {found}, or leave out --python")
            }
            Self::NoSuchModule { .. } => "name a module of the standard library".into(),
            Self::Loader { .. } => "install the library".into(),
            Self::Move { .. } => return None,
        };
        Some(text)
    }

    /// Whether the command line asked for what cannot be.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::NoHead | Self::OtherPython { .. } | Self::NoSuchModule { .. })
    }
}

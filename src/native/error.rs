//! Why a package could not be brought out as files.

use std::io;
use std::path::PathBuf;

use crate::bundle::BundleError;

use super::GlobError;

/// An error met while materializing a unit.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No directory could be used as the store.
    #[error(
        "materialize `{unit}` of bundle `{}`: no directory can be written ({tried})",
        bundle.display()
    )]
    NoRoot {
        /// The bundle.
        bundle: PathBuf,
        /// What was to be brought out.
        unit: String,
        /// Each directory tried and why it did not serve.
        tried: String,
    },

    /// A file or directory of the store could not be written.
    #[error("materialize `{unit}`: write `{}`", path.display())]
    Write {
        /// What was to be brought out.
        unit: String,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },

    /// An entry could not be read from the bundle.
    #[error("materialize `{unit}`")]
    Read {
        /// What was to be brought out.
        unit: String,
        /// What is wrong with the bundle.
        #[source]
        source: BundleError,
    },

    /// Entries that overlap or repeat would write more than the bundle can honestly hold.
    #[error(
        "materialize `{unit}` of bundle `{}`: expected at most {expected} bytes of compressed \
         data, the size of the bundle, found {found}",
        bundle.display()
    )]
    TooLarge {
        /// The bundle.
        bundle: PathBuf,
        /// What was to be brought out.
        unit: String,
        /// The most that entries without overlap can have.
        expected: u64,
        /// What the entries add up to.
        found: u64,
    },

    /// A glob of the build information is not one.
    #[error("read the materialize rules of bundle `{}`", bundle.display())]
    Glob {
        /// The bundle.
        bundle: PathBuf,
        /// The text that is none.
        #[source]
        source: GlobError,
    },
}

/// Why an extension module or shared library could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// The loader refused it.
    #[error("{words} ({facts})")]
    Open {
        /// What the loader said.
        words: String,
        /// Who asked for what is missing, and where it was looked for.
        facts: String,
    },

    /// A library that it needs cannot be brought out.
    #[error(transparent)]
    Store(#[from] StoreError),

    /// It cannot be read from the bundle.
    #[error("open `{library}` from memory")]
    Read {
        /// The library's entry.
        library: String,
        /// What is wrong with the bundle.
        #[source]
        source: BundleError,
    },

    /// It cannot be copied to memory.
    #[error("open `{library}` of bundle `{}` from memory", bundle.display())]
    Memory {
        /// The bundle.
        bundle: PathBuf,
        /// The library's entry.
        library: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

impl StoreError {
    /// What a person can do about it.
    #[must_use]
    pub fn next_step(&self) -> String {
        match self {
            Self::Write { source, .. } if is_about_names(source) => {
                "leave one of the clashing or overlong names out, and rebuild the bundle with \
                 `mmport build`"
                    .into()
            }
            Self::NoRoot { .. } | Self::Write { .. } => {
                "set MMPORT_ROOT to a directory on a disk with room that you may write to".into()
            }
            Self::Read { .. } | Self::TooLarge { .. } | Self::Glob { .. } => {
                "rebuild the bundle with `mmport build`".into()
            }
        }
    }
}

/// Whether names are what the operating system does not take, rather than the place: a name that is
/// too long, or a file and a directory of one name.
pub(super) fn is_about_names(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENAMETOOLONG | libc::EEXIST | libc::EISDIR))
}

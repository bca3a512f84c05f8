//! The runtime of a standalone executable: mmport, libpython and what these two need, fit to be moved.
//!
//! The program is made to look for libraries beside itself alone: by `DT_RPATH`, which counts for the
//! libraries that need others as well. Debugging information stays behind.

use std::fs;
use std::path::Path;

use crate::standalone::RuntimeSource;

use super::super::error::BuildError;
use super::StandaloneError;
use super::elf::movable;
use super::shared_libraries::{Library, Loader};

/// Where the program finds its libraries.
const SEARCH_PATH: &str = "$ORIGIN/../lib";

/// The files of the runtime, the program first; and the libraries among them.
///
/// # Errors
/// [`BuildError::Read`], [`StandaloneError::Loader`], [`StandaloneError::Move`].
pub(super) fn files(
    program: &Path,
    loader: &Loader,
) -> Result<(Vec<RuntimeSource>, Vec<Library>), BuildError> {
    let (libraries, missing) = loader.libraries(program)?;
    if !missing.is_empty() {
        return Err(StandaloneError::Loader {
            file: program.to_owned(),
            found: format!("{} not found", missing.join(", ")),
        }
        .into());
    }
    let mut files =
        vec![RuntimeSource { path: "bin/mmport".into(), data: moved(program, Some(SEARCH_PATH))? }];
    for library in &libraries {
        let data = moved(&library.path, None)?;
        files.push(RuntimeSource { path: format!("lib/{}", library.name), data });
    }
    Ok((files, libraries))
}

/// An ELF file, fit to be moved.
fn moved(path: &Path, search_path: Option<&str>) -> Result<Vec<u8>, BuildError> {
    let data = fs::read(path).map_err(BuildError::read(path))?;
    let failed = |source| StandaloneError::Move { path: path.to_owned(), source };
    Ok(movable(data, search_path).map_err(failed)?)
}

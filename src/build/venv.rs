//! Finding what is installed in a virtual environment, and whether it is for the target Python.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::BuildError;
use super::interpreter::Interpreter;

/// The environment's `site-packages` directories, each once.
///
/// # Errors
///
/// [`BuildError::Read`] when `pyvenv.cfg` cannot be read, [`BuildError::VenvVersion`] when the
/// environment is for another Python, [`BuildError::InputMissing`] when nothing can be installed
/// in it.
pub(super) fn site_packages(
    venv: &Path,
    interpreter: &Interpreter,
) -> Result<Vec<PathBuf>, BuildError> {
    let configuration = venv.join("pyvenv.cfg");
    let text = fs::read_to_string(&configuration).map_err(BuildError::read(&configuration))?;
    let expected = interpreter.version();
    if let Some(found) = version(&text)
        && found != expected
    {
        return Err(BuildError::VenvVersion { path: venv.to_owned(), found, expected });
    }
    let python = format!("python{expected}");
    let candidates = [
        venv.join("lib").join(&python).join("site-packages"),
        venv.join("lib64").join(&python).join("site-packages"),
        venv.join("Lib").join("site-packages"),
    ];
    let mut found: Vec<PathBuf> = Vec::new();
    // `lib64` is commonly a link to `lib`.
    for path in (candidates.iter()).filter_map(|path| fs::canonicalize(path).ok()) {
        if !found.contains(&path) {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(BuildError::InputMissing {
            path: venv.to_owned(),
            expected: "a virtual environment",
            found: "it has no `site-packages` for this Python",
        });
    }
    Ok(found)
}

/// The language version in a `pyvenv.cfg`, as `3.11`.
fn version(configuration: &str) -> Option<String> {
    let value = (configuration.lines())
        .filter_map(|line| line.split_once('='))
        .find(|(key, _)| matches!(key.trim(), "version" | "version_info"))
        .map(|(_, value)| value.trim())?;
    let mut parts = value.split('.');
    Some(format!("{}.{}", parts.next()?, parts.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_venv_virtualenv_and_uv_write_them() {
        assert_eq!(version("home = /usr\nversion = 3.11.7\n").as_deref(), Some("3.11"));
        assert_eq!(version("version_info = 3.12.1.final.0\n").as_deref(), Some("3.12"));
        assert_eq!(version("home=/usr\nversion_info=3.13\n").as_deref(), Some("3.13"));
        assert_eq!(version("home = /usr\n"), None);
    }
}

//! The interpreter that a bundle is built for, as one short run of it describes itself.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::error::BuildError;
use crate::bundle::TargetPython;

/// Prints what [`Interpreter`] holds. `-I -S` keep the environment and `site-packages` out.
const PROBE: &str = "\
import importlib.machinery, importlib.util, json, sys, sysconfig
print(json.dumps({
    'executable': sys.executable,
    'implementation': sys.implementation.name,
    'major': sys.version_info[0],
    'minor': sys.version_info[1],
    'micro': sys.version_info[2],
    'cache_tag': sys.implementation.cache_tag or '',
    'magic': list(importlib.util.MAGIC_NUMBER),
    'soabi': sysconfig.get_config_var('SOABI') or '',
    'extension_suffixes': importlib.machinery.EXTENSION_SUFFIXES,
    'platform': sysconfig.get_platform(),
}))";

/// A CPython that a bundle can be built for.
#[derive(Debug, Clone, Deserialize)]
pub struct Interpreter {
    /// Path of the program.
    pub executable: PathBuf,
    /// `cpython`.
    pub implementation: String,
    /// First part of the version.
    pub major: u32,
    /// Second part of the version.
    pub minor: u32,
    /// Third part of the version.
    pub micro: u32,
    /// Tag of its bytecode.
    pub cache_tag: String,
    /// First four bytes of its bytecode files.
    pub magic: [u8; 4],
    /// Tag of its extension modules.
    pub soabi: String,
    /// Endings of its extension modules' file names, most specific first.
    pub extension_suffixes: Vec<String>,
    /// Platform that its native code is for.
    pub platform: String,
}

impl Interpreter {
    /// Asks `program`, a path or a name on `PATH`, what it is.
    ///
    /// # Errors
    ///
    /// [`BuildError::Start`] and [`BuildError::Probe`] when it cannot be asked,
    /// [`BuildError::UnsupportedPython`] when it is not CPython 3.10 or later.
    pub fn probe(program: &Path) -> Result<Self, BuildError> {
        let output = Command::new(program)
            .args(["-I", "-S", "-c", PROBE])
            .stdin(Stdio::null())
            .output()
            .map_err(|source| BuildError::Start {
                program: program.to_owned(),
                role: "the interpreter",
                source,
            })?;
        if !output.status.success() {
            let written = String::from_utf8_lossy(&output.stderr);
            let mut lines = (written.lines().map(str::trim)).filter(|line| !line.is_empty());
            // A traceback ends with what was wrong; every other message begins with it.
            let telling =
                if written.starts_with("Traceback") { lines.next_back() } else { lines.next() };
            let telling = telling.map(|line| format!(": {line}")).unwrap_or_default();
            return Err(BuildError::Probe {
                program: program.to_owned(),
                found: format!("it ended with {}{telling}", output.status),
            });
        }
        let mut interpreter: Self =
            serde_json::from_slice(&output.stdout).map_err(|_| BuildError::Probe {
                program: program.to_owned(),
                found: "its answer is not a Python interpreter's".to_owned(),
            })?;
        if interpreter.implementation != "cpython"
            || (interpreter.major, interpreter.minor) < (3, 10)
            || interpreter.major > 3
        {
            return Err(BuildError::UnsupportedPython {
                program: program.to_owned(),
                found: format!(
                    "{} {}.{}.{}",
                    interpreter.implementation,
                    interpreter.major,
                    interpreter.minor,
                    interpreter.micro
                ),
            });
        }
        if interpreter.executable.as_os_str().is_empty() {
            program.clone_into(&mut interpreter.executable);
        }
        Ok(interpreter)
    }

    /// Language version, as `3.11`.
    #[must_use]
    pub fn version(&self) -> String {
        format!("{}.{}", self.major, self.minor)
    }

    /// Version with all its parts, as `3.11.7`.
    #[must_use]
    pub fn full_version(&self) -> String {
        format!("{}.{}", self.version(), self.micro)
    }

    /// What a bundle says about the interpreter that it is for.
    #[must_use]
    pub fn target(&self, native: bool) -> TargetPython {
        TargetPython {
            implementation: self.implementation.clone(),
            version: self.version(),
            cache_tag: self.cache_tag.clone(),
            soabi: self.soabi.clone(),
            platform: self.platform.clone(),
            native,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_exist_is_an_error_with_a_next_step() {
        let error = Interpreter::probe(Path::new("/no/such/python")).unwrap_err();
        assert!(matches!(error, BuildError::Start { .. }));
        assert!(error.next_step().is_some_and(|step| step.contains("--python")));
    }

    #[test]
    fn a_program_that_is_no_python_is_told_apart() {
        let error = Interpreter::probe(Path::new("true")).unwrap_err();
        assert!(matches!(error, BuildError::Probe { .. }));
    }

    #[test]
    fn the_default_python_describes_itself() {
        let interpreter = Interpreter::probe(Path::new("python3")).unwrap();
        assert!(interpreter.executable.is_absolute());
        assert!(interpreter.cache_tag.starts_with("cpython-3"));
        assert_eq!(&interpreter.magic[2..], b"\r\n");
    }
}

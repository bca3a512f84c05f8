//! Which Python this binary embeds, and where it lives: fixed when mmport is built.

use crate::bundle::{BuildInformation, Suffixes, TargetPython};

/// The executable of the embedded Python.
pub const EXECUTABLE: &str = env!("MMPORT_PYTHON_EXECUTABLE");
/// `sys.base_prefix`.
pub const PREFIX: &str = env!("MMPORT_PYTHON_PREFIX");
/// `sys.base_exec_prefix`.
pub const EXEC_PREFIX: &str = env!("MMPORT_PYTHON_EXEC_PREFIX");
/// Directory of the standard library.
pub const STDLIB: &str = env!("MMPORT_PYTHON_STDLIB");
/// Directory of the standard library's extension modules.
pub const DYNLOAD: &str = env!("MMPORT_PYTHON_DYNLOAD");
/// The zip that CPython looks for a standard library in first; empty where it does not.
pub const ZIP: &str = env!("MMPORT_PYTHON_ZIP");
/// Major and minor version: `3.11`.
pub const VERSION: &str = env!("MMPORT_PYTHON_VERSION");
/// Full version: `3.11.7`.
pub const FULL_VERSION: &str = env!("MMPORT_PYTHON_FULL_VERSION");

const CACHE_TAG: &str = env!("MMPORT_PYTHON_CACHE_TAG");
/// The tag of extension modules.
pub const SOABI: &str = env!("MMPORT_PYTHON_SOABI");
const PLATFORM: &str = env!("MMPORT_PYTHON_PLATFORM");
const EXTENSION_SUFFIXES: &str = env!("MMPORT_PYTHON_EXTENSION_SUFFIXES");

/// The suffixes of modules for the embedded Python at an optimization level.
#[must_use]
pub fn suffixes(optimization: u8) -> Suffixes {
    Suffixes::new(EXTENSION_SUFFIXES.split(':'), CACHE_TAG, optimization)
}

/// Why a bundle does not fit this Python, or `None` when it does.
///
/// A bundle's dependencies were resolved for certain minor versions, so one of them has to be this one;
/// the platform only matters to native code.
#[must_use]
pub fn misfit(information: &BuildInformation) -> Option<Misfit> {
    let targets = information.targets();
    if targets.iter().any(|target| fits(target)) {
        return None;
    }
    let is_version =
        |target: &TargetPython| target.implementation == "cpython" && target.version == VERSION;
    let join = |texts: Vec<String>| texts.join(" and ");
    Some(match targets.iter().any(|target| is_version(target)) {
        false => Misfit {
            expected: join(
                targets.iter().map(|it| format!("{} {}", it.implementation, it.version)).collect(),
            ),
            found: format!("cpython {FULL_VERSION}"),
        },
        true => Misfit {
            expected: join(
                targets.iter().map(|it| format!("{} on {}", it.soabi, it.platform)).collect(),
            ),
            found: format!("{SOABI} on {PLATFORM}"),
        },
    })
}

fn fits(target: &TargetPython) -> bool {
    let TargetPython { implementation, version, soabi, platform, native, .. } = target;
    implementation == "cpython"
        && version == VERSION
        && (!native || (soabi == SOABI && platform == PLATFORM))
}

/// What a bundle was built for and what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// What the bundle was built for.
    pub expected: String,
    /// What would run it.
    pub found: String,
}

//! Units: what is materialized together.
//!
//! A unit is the topmost regular package on the path of an entry (namespace packages are descended
//! through), a directory of the data scheme (`share`), or a single file where none of these is above
//! it. A package is
//! materialized when anything below it is not `.py`, `.pyc`, `.pyi` or `py.typed`; globs from the
//! build may add and spare packages. There is no list of package names.

use std::collections::BTreeMap;
use std::path::Path;

use crate::bundle::{BuildInformation, Bundle, BundleError, is_python_file, is_shared_library};

use super::StoreError;

/// A part of the bundle that is brought out as one: a directory or a single file, by its path in
/// the bundle without a slash at the end.
pub type Unit<'name> = &'name str;

/// Globs from `--materialize` and `--no-materialize`; they match the dotted names of packages, such
/// as `google.*`.
#[derive(Debug, Default)]
pub struct MaterializeRules {
    always: Vec<glob::Pattern>,
    never: Vec<glob::Pattern>,
}

/// A text that is no glob.
#[derive(Debug, thiserror::Error)]
#[error("use `{glob}` as a glob of packages")]
pub struct GlobError {
    /// The text.
    pub glob: String,
    /// What is wrong with it.
    #[source]
    pub source: glob::PatternError,
}

impl MaterializeRules {
    /// Rules that materialize packages that match `always`, and never those that match `never`.
    ///
    /// # Errors
    /// [`GlobError`] for the first text that is no glob.
    pub fn new(always: &[String], never: &[String]) -> Result<Self, GlobError> {
        let parse = |globs: &[String]| {
            let parse_one = |glob: &String| {
                glob::Pattern::new(glob).map_err(|source| GlobError { glob: glob.clone(), source })
            };
            globs.iter().map(parse_one).collect::<Result<_, _>>()
        };
        Ok(Self { always: parse(always)?, never: parse(never)? })
    }

    fn from_information(information: &BuildInformation, path: &Path) -> Result<Self, StoreError> {
        Self::new(&information.materialize, &information.no_materialize)
            .map_err(|source| StoreError::Glob { bundle: path.to_owned(), source })
    }

    /// Whether the package of that dotted name is materialized; `carries_files` says that it holds
    /// more than Python files.
    #[must_use]
    pub fn decide(&self, package: &str, carries_files: bool) -> bool {
        let matches = |globs: &[glob::Pattern]| globs.iter().any(|glob| glob.matches(package));
        !matches(&self.never) && (carries_files || matches(&self.always))
    }
}

/// Finds the units of a bundle.
#[derive(Debug, Default)]
pub struct Units {
    rules: MaterializeRules,
    data: Vec<String>,
}

impl Units {
    /// Units under these rules.
    #[must_use]
    pub fn new(rules: MaterializeRules) -> Self {
        Self { rules, data: Vec::new() }
    }

    /// The units of the bundle at `path`, as noted when it was built.
    ///
    /// # Errors
    /// [`StoreError::Glob`] when a rule is no glob.
    pub fn of_bundle(
        information: Option<&BuildInformation>,
        path: &Path,
    ) -> Result<Self, StoreError> {
        let Some(information) = information else { return Ok(Self::default()) };
        // Only names: what leads elsewhere would bring out more than it says.
        let is_name = |name: &&String| !name.is_empty() && !name.contains('/');
        Ok(Self {
            rules: MaterializeRules::from_information(information, path)?,
            data: information.data.iter().filter(is_name).cloned().collect(),
        })
    }

    /// Directories at the root that belong below `sys.prefix`.
    pub fn data(&self) -> impl Iterator<Item = Unit<'_>> {
        self.data.iter().map(String::as_str)
    }

    /// The directory of the data scheme that `name` is or lies in.
    fn data_of<'name>(&self, name: &'name str) -> Option<Unit<'name>> {
        let first = name.split('/').next()?;
        self.data.iter().any(|data| data == first).then_some(first)
    }

    /// The unit that the directory `directory` (no slash at its end) belongs to, when that has to
    /// be materialized.
    #[must_use]
    pub fn of_directory<'name>(
        &self,
        bundle: &Bundle,
        directory: &'name str,
    ) -> Option<Unit<'name>> {
        if let Some(unit) = self.data_of(directory) {
            return Some(unit);
        }
        let unit = topmost_package(bundle, directory)?;
        self.is_materialized(bundle, unit).then_some(unit)
    }

    /// Whether the package `unit` is materialized.
    fn is_materialized(&self, bundle: &Bundle, unit: &str) -> bool {
        let carries_files = bundle.carries_files(unit);
        // The common case allocates nothing.
        if self.rules.always.is_empty() && self.rules.never.is_empty() {
            return carries_files;
        }
        self.rules.decide(&unit.replace('/', "."), carries_files)
    }

    /// The unit that has to be brought out so that the file `name` exists: the package above it, or
    /// else the file alone. A directory that is no package is never a unit: packages below it are.
    #[must_use]
    pub fn holding_file<'name>(&self, bundle: &Bundle, name: &'name str) -> Unit<'name> {
        let Some((directory, _)) = name.rsplit_once('/') else { return name };
        self.data_of(name).or_else(|| topmost_package(bundle, directory)).unwrap_or(name)
    }
}

/// A unit as `mmport inspect` shows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MaterializedUnit {
    /// The package, or the file that stands alone.
    pub unit: String,
    /// How many files it brings out, Python's included.
    pub files: usize,
    /// Their size in bytes.
    pub bytes: u64,
    /// How many of them are extension modules or shared libraries.
    pub libraries: usize,
    /// The first files that are the reason, by name; empty where a glob is.
    pub because: Vec<String>,
    /// How many files are the reason.
    pub reasons: usize,
}

/// How many reasons [`MaterializedUnit::because`] names.
const REASONS: usize = 3;

impl Units {
    /// All units of a bundle that are materialized when they are imported, by name. Folders of
    /// libraries that extension modules need beside them come on top when they are loaded.
    ///
    /// # Errors
    /// [`BundleError`] when the central directory is not sound.
    pub fn materialized(&self, bundle: &Bundle) -> Result<Vec<MaterializedUnit>, BundleError> {
        let mut units: BTreeMap<String, MaterializedUnit> = BTreeMap::new();
        for entry in bundle.files_below("")?.iter().filter(|entry| !entry.is_directory()) {
            let name = entry.name();
            let base = name.rsplit_once('/').map_or(&*name, |(_, base)| base);
            let is_library = is_shared_library(base.as_bytes());
            let unit = match name.rsplit_once('/') {
                Some((directory, _)) => self.of_directory(bundle, directory),
                None => is_library.then_some(&*name),
            };
            let Some(unit) = unit else { continue };
            let report = units.entry(unit.to_owned()).or_insert_with(|| MaterializedUnit {
                unit: unit.to_owned(),
                files: 0,
                bytes: 0,
                libraries: 0,
                because: Vec::new(),
                reasons: 0,
            });
            report.files += 1;
            report.bytes += entry.size();
            report.libraries += usize::from(is_library);
            if !is_python_file(base) {
                report.reasons += 1;
                if report.because.len() < REASONS {
                    report.because.push(name.clone().into_owned());
                }
            }
        }
        Ok(units.into_values().collect())
    }
}

/// The topmost regular package on the way to `directory`, itself included.
fn topmost_package<'name>(bundle: &Bundle, directory: &'name str) -> Option<&'name str> {
    let ends = directory.match_indices('/').map(|(at, _)| at).chain([directory.len()]);
    ends.map(|end| &directory[..end])
        .find(|candidate| !candidate.is_empty() && bundle.is_regular_package(candidate))
}

//! Distributions in bundles: `find_distributions` for `importlib.metadata`.
//!
//! CPython's own `MetadataPathFinder` opens every zip on the path with `zipfile`, which reads the
//! whole central directory in Python. The entry by which a bundle is put on `sys.path` therefore
//! ends in a slash: imports do not mind, `zipfile` cannot open it, and so the bundle's
//! distributions are found here, once and only once. A bundle that a program puts on the path by
//! its bare name is left to CPython.

use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use super::importlib::Importlib;
use super::mount::MountedBundle;
use super::traversable::BundlePath;

/// The distributions that `context` (an `importlib.metadata.DistributionFinder.Context`, or that of
/// the `importlib_metadata` backport) asks for.
pub(super) fn find_distributions<'py>(
    py: Python<'py>,
    context: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let found = PyList::empty(py);
    let (name, path) = match context {
        Some(context) => {
            let name: Option<String> = context.getattr(intern!(py, "name"))?.extract()?;
            (name, context.getattr(intern!(py, "path"))?)
        }
        None => (None, Importlib::get(py)?.sys(py, intern!(py, "path"))?),
    };
    let name = name.map(|name| normalize(&name));
    for entry in path.try_iter()? {
        let entry = entry?;
        let Some(mounted) = entry.cast::<PyString>().ok().and_then(|entry| bundle_of(entry)) else {
            continue;
        };
        for directory in mounted.bundle().metadata_directories() {
            if name.as_ref().is_none_or(|name| *name == distribution_name(directory)) {
                let path = BundlePath::new(Arc::clone(&mounted), directory);
                found.append(path_distribution(py, context)?.call1((path,))?)?;
            }
        }
    }
    Ok(found.try_iter()?.into_any())
}

/// The bundle that an entry of the path stands for, when it is ours to answer for.
fn bundle_of(entry: &Bound<'_, PyString>) -> Option<Arc<MountedBundle>> {
    let entry = entry.to_str().ok()?;
    let (mounted, place) = MountedBundle::of_path(entry.strip_suffix('/')?)?;
    place.is_empty().then_some(mounted)
}

/// `PathDistribution` of the package that asks: `importlib.metadata` or its backport.
fn path_distribution<'py>(
    py: Python<'py>,
    context: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let asking = context.and_then(|context| {
        let module: String = context.get_type().getattr("__module__").ok()?.extract().ok()?;
        py.import(module).ok()?.getattr("PathDistribution").ok()
    });
    match asking {
        Some(class) => Ok(class),
        None => py.import("importlib.metadata")?.getattr("PathDistribution"),
    }
}

/// `name` of `name-version.dist-info`, normalized.
fn distribution_name(directory: &str) -> String {
    let stem = directory.rsplit_once('.').map_or(directory, |(stem, _)| stem);
    normalize(stem.split('-').next().unwrap_or(stem))
}

/// As `Prepared.normalize` in `Lib/importlib/metadata`: PEP 503, with underscores.
fn normalize(name: &str) -> String {
    let mut normalized = String::with_capacity(name.len());
    for character in name.chars() {
        if !matches!(character, '-' | '_' | '.') {
            normalized.extend(character.to_lowercase());
        } else if !normalized.ends_with('_') {
            normalized.push('_');
        }
    }
    normalized
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalized_as_importlib_metadata_does() {
        for (name, normalized) in [
            ("Foo", "foo"),
            ("foo--bar", "foo_bar"),
            ("foo.-_Bar", "foo_bar"),
            ("zope.interface", "zope_interface"),
        ] {
            assert_eq!(normalize(name), normalized);
        }
        assert_eq!(distribution_name("Zope.Interface-5.0.dist-info"), "zope_interface");
        assert_eq!(distribution_name("old.egg-info"), "old");
    }
}

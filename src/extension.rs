//! The extension module `mmport._mmport`: the bridge, and the command line of the pip package.

use pyo3::prelude::*;

/// Python imports served by Rust from memory-mapped zip bundles.
#[pymodule(name = "_mmport")]
pub mod extension_module {
    use std::ffi::OsString;

    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::python::{
        BundleFinder, BundleImporter, BundlePath, BundleResourceReader, install,
        install_as_site_packages, uninstall,
    };

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "the name is Python's")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        // What is wrong with a filter is for the command line to say: nobody's import fails for it.
        let _ = crate::trace::start_log();
        module.add("SourceTreeLoader", crate::python::source_tree_loader_type(py)?)?;
        module.add("ZipImporter", crate::python::zip_importer_type(py)?)
    }

    /// Run the command line "mmport ARGUMENTS" and return its exit status.
    ///
    /// Without arguments, those of the process are taken. A program that is run ends the process.
    #[pyfunction]
    #[pyo3(signature = (arguments=None))]
    fn main(py: Python<'_>, arguments: Option<Vec<OsString>>) -> PyResult<i32> {
        let arguments = match arguments {
            Some(arguments) => arguments,
            None => py.import("sys")?.getattr("argv")?.extract::<Vec<OsString>>()?.split_off(1),
        };
        let mut argv = vec![OsString::from("mmport")];
        argv.extend(arguments);
        crate::embed::end_process_with_program();
        Ok(crate::cli::main(argv, crate::cli::Host::Running))
    }
}

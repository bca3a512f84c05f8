//! The bridge: CPython's import protocol, answered from mounted bundles.
//!
//! | file | Python face |
//! | --- | --- |
//! | `finder.rs` | `BundleFinder`, for `sys.meta_path` |
//! | `importer.rs` | `BundleImporter`, path-entry finder and loader of one directory in a bundle |
//! | `path_hook.rs` | the entry of `sys.path_hooks` |
//! | `hooks.rs`, `installation.rs` | `install`, which puts all three in place, and `uninstall` |
//! | `boot.rs` | the finder before the first import, for a standard library in a bundle |
//! | `bytecode_cache.rs` | compiling by way of the store of code objects |
//! | `execution_log.rs` | what the log says of executions |
//! | `cache_tools.rs` | filling the store and looking into it, for `mmport cache` |
//! | `source_tree.rs` | `SourceTreeLoader`, for directories of sources |
//! | `import_time` | what a program does while it imports, done once |
//! | `loading.rs` | code objects of its modules, and executing them |
//! | `loaded.rs` | modules that are loaded |
//! | `metadata.rs` | `find_distributions` |
//! | `resources.rs`, `traversable.rs` | resource readers, `BundlePath` |
//! | `namespace_resources.rs` | resources of namespace packages |
//! | `frozen.rs` | CPython's table of frozen modules |
//! | `native_functions.rs` | what frozen code of ours calls |
//! | `subinterpreters.rs` | a bundle on the path of other interpreters |
//! | `zip_importer.rs`, `zip_archive.rs`, `zip_code.rs` | `ZipImporter`, for zips that are no bundles |
//! | `site.rs` | `.pth` files and `sitecustomize` of a bundle |
//! | `standard_library` | modules of CPython: remembered, and told about bundles |
//! | `source_lines.rs` | what `linecache` reads from bundles |
//! | `syntax_errors.rs` | lines of what CPython's compiler refuses |
//! | `tracebacks.rs` | the hooks that write a process's last tracebacks |
//!
//! What a bundle holds and where its files are is the core's business ([`MountedBundle`]); this folder
//! makes specs, code objects and errors of it, as `importlib` would. No lock or map guard is held
//! across a call into Python.

mod boot;
mod bytecode_cache;
mod cache_tools;
mod code;
mod errors;
mod execution_log;
mod extension;
mod finder;
mod frozen;
mod hooks;
mod import_time;
mod importer;
mod importlib;
mod installation;
mod loaded;
mod loading;
mod metadata;
mod mount;
mod namespace_resources;
mod native_functions;
mod path_hook;
mod pkg_resources;
mod resources;
mod site;
mod source_lines;
mod source_tree;
mod standard_library;
mod subinterpreters;
mod syntax_errors;
mod tracebacks;
mod traversable;
mod zip_archive;
mod zip_code;
mod zip_importer;
mod zip_legacy;
mod zip_path;

pub use boot::boot_from_bundle;
pub use bytecode_cache::running_target;
pub use cache_tools::{Warmed, disassemble, warm};
pub use errors::full_message;
pub use finder::BundleFinder;
pub use hooks::{Added, Hooks, install_hooks, install_mounted, running_suffixes};
pub use import_time::{is_audited, remember_patterns, speed_up_imports, unseen_builtin_module};
pub use importer::BundleImporter;
pub use installation::{install, uninstall};
pub use loaded::{loaded_module, loaded_modules, of_sys};
pub use mount::{MountError, MountedBundle};
pub use native_functions::register_native_functions;
pub use resources::BundleResourceReader;
pub use site::{install_as_site_packages, install_site};
pub use source_tree::{SourceTreeLoaderBase, source_tree_loader_type};
pub use subinterpreters::{HostedFacts, serve_subinterpreters};
pub use tracebacks::install_traceback_hooks;
pub use traversable::BundlePath;
pub use zip_importer::{ZipImporterBase, zip_importer_type};

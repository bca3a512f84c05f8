//! The standard library, which is in files that CPython's `FileFinder` serves.
//!
//! | file | owns |
//! | --- | --- |
//! | `taught.rs` | modules that are told about bundles as soon as they are executed |
//! | `remembered.rs` | finding modules without looking for files |
//! | `directories.rs` | what is in its directories |
//! | `remembered_code.rs` | their code objects |
//! | `import_system.rs` | whether CPython's own import system is who asks, and as it was made |

mod directories;
mod import_system;
mod remembered;
mod remembered_code;
mod taught;

pub(super) use remembered::{
    find_remembered, invalidate_directories, remember_standard_library, without_absent,
};
pub(super) use taught::{find_taught, teach, teach_imported};

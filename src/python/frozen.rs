//! CPython's table of additional frozen modules, `PyImport_FrozenModules`.
//!
//! What is in it comes before modules of the same name that CPython has frozen itself or finds on
//! `sys.path`. A table is never changed, only replaced, and lives for ever: another interpreter may be
//! reading it.

use std::ffi::{CStr, c_int};

use pyo3::ffi;

/// A module whose code is part of this program.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frozen {
    /// The name by which it is imported.
    pub(super) name: &'static CStr,
    /// Its code object, marshalled.
    pub(super) code: &'static [u8],
}

impl Frozen {
    fn entry(self) -> ffi::_frozen {
        // SAFETY: null pointers and zeros are values of all its fields: no package, no function.
        let mut entry: ffi::_frozen = unsafe { std::mem::zeroed() };
        entry.name = self.name.as_ptr();
        entry.code = self.code.as_ptr();
        entry.size = c_int::try_from(self.code.len()).unwrap_or(c_int::MAX);
        entry
    }
}

/// Adds modules. The calling thread holds the interpreter's lock, or no interpreter has started.
pub(super) fn add_frozen(modules: &[Frozen]) {
    replace_table(modules.iter().map(|module| module.entry()).collect(), None);
}

/// Takes the module `name` out again, under the interpreter's lock.
pub(super) fn remove_frozen(name: &CStr) {
    replace_table(Vec::new(), Some(name));
}

/// Replaces the table by one that begins with `table` and goes on with what is there, without the module
/// `left_out`.
fn replace_table(mut table: Vec<ffi::_frozen>, left_out: Option<&CStr>) {
    // SAFETY: the global is null or points to a table of C strings and code that an entry without a name
    // ends; it is read and set while nothing else does (see the callers), and the new table lives for
    // ever.
    unsafe {
        let mut entry = ffi::PyImport_FrozenModules;
        while !entry.is_null() && !(*entry).name.is_null() {
            if left_out.is_none_or(|name| CStr::from_ptr((*entry).name) != name) {
                table.push(*entry);
            }
            entry = entry.add(1);
        }
        table.push(std::mem::zeroed());
        ffi::PyImport_FrozenModules = Vec::leak(table).as_ptr();
    }
}

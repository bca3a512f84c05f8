//! Opening extension modules: `dlopen` by `libloading`, from a file or from memory.
//!
//! A library that lies where nothing can be loaded from (a directory mounted `noexec`, no writable
//! directory at all) is copied into a sealed `memfd` and opened from there, after the libraries of
//! the bundle that it needs: the loader finds those by the names that they give themselves
//! (`DT_SONAME`). What is open stays open until the process ends, as with CPython.

use std::collections::{BTreeMap, HashMap};
use std::ffi::c_int;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use crate::bundle::{Bundle, Entry};

use super::LibraryError;
use super::elf::DynamicSection;
use super::execution::allows_execution;
use super::explain::explain;
use super::needs::needed_entries;

/// The libraries of one bundle that were opened from memory, by entry, with the path by which the
/// loader knows them.
#[derive(Debug, Default)]
pub struct MemoryLibraries {
    opened: Mutex<HashMap<String, PathBuf>>,
}

/// How often each number of a descriptor has been part of a path, in the whole process. The loader
/// takes a library that it knows by the same path for the same library, so a path must not come
/// again when the number does: slashes tell them apart.
static NUMBERS: Mutex<BTreeMap<RawFd, usize>> = Mutex::new(BTreeMap::new());

/// Opens the library `entry`, whose file is at `path` if it has one, with `flags` for `dlopen`.
/// Returns the path under which CPython can open it: `path`, or one in memory.
///
/// # Errors
/// [`LibraryError`], with the loader's words and what they are about.
pub fn open_library(
    bundle: &Bundle,
    memory: &MemoryLibraries,
    entry: &Entry,
    path: Option<&Path>,
    flags: c_int,
) -> Result<PathBuf, LibraryError> {
    let name = entry.name();
    if let Some(path) = path {
        match load(path, flags) {
            Ok(()) => return Ok(path.to_owned()),
            Err(_) if !allows_execution(path) => {}
            Err(words) => return Err(explain(bundle, &name, words, true)),
        }
    }
    memory.open(bundle, &name, flags, &mut Vec::new())
}

/// Opens the libraries at `paths`, which `entry` needs, in their order, so that the loader knows them by
/// name. Where nothing can be loaded from there, nothing happens: `entry` is opened from memory then.
///
/// # Errors
/// [`LibraryError`], with the loader's words.
pub fn open_first(bundle: &Bundle, entry: &Entry, paths: &[PathBuf]) -> Result<(), LibraryError> {
    for path in paths {
        match load(path, RTLD_NOW | RTLD_LOCAL) {
            Err(words) if allows_execution(path) => {
                return Err(explain(bundle, &entry.name(), words, true));
            }
            _ => {}
        }
    }
    Ok(())
}

impl MemoryLibraries {
    fn open(
        &self,
        bundle: &Bundle,
        name: &str,
        flags: c_int,
        visiting: &mut Vec<String>,
    ) -> Result<PathBuf, LibraryError> {
        let known = || self.opened.lock().ok()?.get(name).cloned();
        if let Some(path) = known() {
            return Ok(path);
        }
        let read = |source| LibraryError::Read { library: name.to_owned(), source };
        let data = bundle.read(name).map_err(read)?;
        visiting.push(name.to_owned());
        if let Some(section) = DynamicSection::parse(&data) {
            for needed in needed_entries(bundle, name, &section) {
                if !visiting.contains(&needed) {
                    self.open(bundle, &needed, RTLD_NOW | RTLD_LOCAL, visiting)?;
                }
            }
        }
        let memory = |source| LibraryError::Memory {
            bundle: bundle.path().to_owned(),
            library: name.to_owned(),
            source,
        };
        let descriptor = copy_to_memory(name, &data).map_err(memory)?;
        let path = path_of_descriptor(descriptor.as_raw_fd());
        load(&path, flags).map_err(|words| explain(bundle, name, words, false))?;
        tracing::info!(
            target: "mmport::store",
            library = name,
            bundle = %bundle.path().display(),
            bytes = data.len(),
            "opened from memory: no file of it can be loaded"
        );
        if let Ok(mut opened) = self.opened.lock() {
            opened.insert(name.to_owned(), path.clone());
        }
        Ok(path)
    }
}

/// A path to a descriptor that no library has been opened by.
fn path_of_descriptor(descriptor: RawFd) -> PathBuf {
    let mut numbers = NUMBERS.lock().unwrap_or_else(PoisonError::into_inner);
    let uses = numbers.entry(descriptor).or_default();
    *uses += 1;
    PathBuf::from(format!("/proc/self/fd{}{descriptor}", "/".repeat(*uses)))
}

/// Opens a library for the rest of the process; an error is the loader's words.
fn load(path: &Path, flags: c_int) -> Result<(), String> {
    // SAFETY: the initializers of the library run, as they do when CPython opens the extension
    // module that it is, or that needs it. Like there, the caller holds the interpreter's lock.
    match unsafe { Library::open(Some(path), flags) } {
        Ok(library) => {
            let _ = library.into_raw();
            Ok(())
        }
        Err(libloading::Error::DlOpen { source }) => Err(source.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// A sealed file in memory with this content.
fn copy_to_memory(name: &str, data: &[u8]) -> io::Result<OwnedFd> {
    let base = name.rsplit_once('/').map_or(name, |(_, base)| base);
    // Names of such files are limited; they are for people who read `/proc/PID/maps`.
    let label: String = base.chars().take(60).collect();
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know that a file in memory may be meant to be executed.
    let descriptor = memfd_create(label.as_str(), flags | MemfdFlags::EXEC)
        .or_else(|_| memfd_create(label.as_str(), flags))?;
    let mut file = File::from(descriptor);
    file.write_all(data)?;
    fcntl_add_seals(
        &file,
        SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
    )?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;

    use super::copy_to_memory;

    #[test]
    fn a_file_in_memory_is_sealed() {
        let descriptor = copy_to_memory("pkg/native.so", b"content").unwrap();
        let path = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
        let mut content = String::new();
        File::open(&path).unwrap().read_to_string(&mut content).unwrap();
        assert_eq!(content, "content");
        let mut file = OpenOptions::new().write(true).open(&path).unwrap();
        assert!(file.write_all(b"other").is_err());
        assert!(file.set_len(3).is_err() && file.set_len(30).is_err());
    }
}

//! ELF files made fit to be moved: without what only debuggers and linkers read, and with another search
//! path for libraries.
//!
//! Everything that is mapped stays at its place, so nothing has to be relocated: the file is cut behind
//! its segments, and the dynamic section is changed where it is. A new search path has to fit where the
//! old one was.

use goblin::elf::dynamic::{DT_NULL, DT_RPATH, DT_RUNPATH, Dyn};
use goblin::elf::{Elf, header};

/// Length of an entry of the dynamic section in files of 64 bits.
const ENTRY: usize = 16;

/// Why an ELF file cannot be made fit to be moved.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// It is not what the dynamic loader of this machine takes.
    #[error("expected a dynamically linked ELF file of 64 bits for this machine")]
    Format,

    /// It cannot be read.
    #[error(transparent)]
    Elf(#[from] goblin::error::Error),

    /// The new search path does not fit.
    #[error("expected a search path of {expected} bytes or more, found {found}")]
    NoRoom {
        /// Length of the new one.
        expected: usize,
        /// Length of the old one; 0 where there is none.
        found: usize,
    },
}

/// `data` without debugging information, symbols for linkers, and search path; with `search_path` for
/// itself and the libraries that it loads, if one is given.
///
/// # Errors
/// [`MoveError`]
pub(super) fn movable(mut data: Vec<u8>, search_path: Option<&str>) -> Result<Vec<u8>, MoveError> {
    let elf = Elf::parse(&data)?;
    let is_native = elf.is_64 && elf.little_endian == cfg!(target_endian = "little");
    let dynamic = elf.dynamic.as_ref().filter(|_| is_native).ok_or(MoveError::Format)?;
    let segment = (elf.program_headers.iter())
        .find(|segment| segment.p_type == goblin::elf::program_header::PT_DYNAMIC)
        .ok_or(MoveError::Format)?;
    let section = usize::try_from(segment.p_offset).map_err(|_| MoveError::Format)?;
    let end = (elf.program_headers.iter())
        .map(|segment| segment.p_offset.saturating_add(segment.p_filesz))
        .max()
        .and_then(|end| usize::try_from(end).ok())
        .filter(|end| *end <= data.len() && *end >= header::header64::SIZEOF_EHDR)
        .ok_or(MoveError::Format)?;

    let mut entries = dynamic.dyns.clone();
    let is_search_path = |entry: &Dyn| matches!(entry.d_tag, DT_RPATH | DT_RUNPATH);
    let old = entries.iter().find(|entry| is_search_path(entry)).cloned();
    entries.retain(|entry| !is_search_path(entry));
    let mut text = None;
    if let Some(new) = search_path {
        let no_room = |found| MoveError::NoRoom { expected: new.len(), found };
        let old = old.ok_or(no_room(0))?;
        let start =
            dynamic.info.strtab + usize::try_from(old.d_val).map_err(|_| MoveError::Format)?;
        let length = elf.dynstrtab.get_at(old.d_val as usize).map_or(0, str::len);
        // Linkers let one text be the end of another.
        let inside = old.d_val as usize + 1..=old.d_val as usize + length;
        let is_shared = elf.dynsyms.iter().any(|symbol| inside.contains(&symbol.st_name));
        if length < new.len() || is_shared || start + length > end {
            return Err(no_room(length));
        }
        text = Some((start, length, new));
        // It counts for the libraries, too, which `DT_RUNPATH` does not.
        entries.insert(0, Dyn { d_tag: DT_RPATH, d_val: old.d_val });
    }
    let count = dynamic.dyns.len();
    drop(elf);

    if section + count * ENTRY > end {
        return Err(MoveError::Format);
    }
    entries.resize(count, Dyn { d_tag: DT_NULL, d_val: 0 });
    for (entry, place) in entries.iter().zip(data[section..].chunks_exact_mut(ENTRY)) {
        place[..8].copy_from_slice(&entry.d_tag.to_ne_bytes());
        place[8..].copy_from_slice(&entry.d_val.to_ne_bytes());
    }
    if let Some((start, length, new)) = text {
        data[start..start + length].fill(0);
        data[start..start + new.len()].copy_from_slice(new.as_bytes());
    }
    data.truncate(end);
    // No table of sections: its place, the number of its entries, and which one has their names.
    data[40..48].fill(0);
    data[60..64].fill(0);
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own_program() -> Vec<u8> {
        std::fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    #[test]
    fn a_program_without_debugging_information_still_runs() {
        let moved = movable(own_program(), None).unwrap();
        assert!(moved.len() < own_program().len());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("program");
        std::fs::write(&path, &moved).unwrap();
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        let elf = Elf::parse(&moved).unwrap();
        assert!(elf.runpaths.is_empty() && elf.rpaths.is_empty());
        let library = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let output = std::process::Command::new(&path)
            .arg("--list")
            .env("LD_LIBRARY_PATH", join(library, env!("MMPORT_PYTHON_LIBDIR")))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn join(path: std::ffi::OsString, more: &str) -> std::ffi::OsString {
        let paths = std::env::split_paths(&path).chain([more.into()]).collect::<Vec<_>>();
        std::env::join_paths(paths).unwrap()
    }

    #[test]
    fn a_search_path_has_to_fit() {
        let without = movable(own_program(), None).unwrap();
        assert!(matches!(
            movable(without, Some("$ORIGIN")),
            Err(MoveError::NoRoom { found: 0, .. })
        ));
    }

    #[test]
    fn what_is_no_program_is_refused() {
        assert!(movable(b"\x7fELF".to_vec(), None).is_err());
        assert!(movable(Vec::new(), None).is_err());
    }
}

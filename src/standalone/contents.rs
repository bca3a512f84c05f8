//! What a standalone executable begins with: the head, the manifest and the runtime's files.

use super::manifest::{Manifest, RuntimeFile};

/// The head, compiled when mmport was built; empty where only the Python package was.
static HEAD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/head"));

/// What files begin at multiples of, so that file systems can share their blocks.
const ALIGNMENT: usize = 4096;

/// A file of a runtime that is being put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeSource {
    /// Where it goes in the runtime's directory.
    pub path: String,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// Whether this mmport can make standalone executables.
#[must_use]
pub fn has_head() -> bool {
    !HEAD.is_empty()
}

/// What stands before the zip of an executable with this runtime, whose first file is the program; and
/// the runtime's name.
#[must_use]
pub fn head_of(files: &[RuntimeSource]) -> (Vec<u8>, String) {
    let name = name_of(files);
    // The length of the manifest depends on the numbers in it: with room for all of them it does not
    // matter.
    let reserved = files.iter().map(|file| file.path.len() + 2 * 20 + 3).sum::<usize>();
    let mut at = (HEAD.len() + name.len() + 32 + reserved).next_multiple_of(ALIGNMENT);
    let mut manifest = Manifest { name: name.clone(), files: Vec::new() };
    for RuntimeSource { path, data } in files {
        let (offset, size) = (at as u64, data.len() as u64);
        manifest.files.push(RuntimeFile { path: path.clone(), offset, size });
        at = (at + data.len()).next_multiple_of(ALIGNMENT);
    }
    let mut head = HEAD.to_vec();
    head.extend(manifest.to_text().as_bytes());
    for (file, RuntimeSource { data, .. }) in manifest.files.iter().zip(files) {
        head.resize(usize::try_from(file.offset).unwrap_or(usize::MAX), 0);
        head.extend(data);
    }
    (head, name)
}

/// The hash of all files with their paths.
fn name_of(files: &[RuntimeSource]) -> String {
    let mut hasher = blake3::Hasher::new();
    for RuntimeSource { path, data } in files {
        for part in [path.as_bytes(), data] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    hasher.finalize().to_hex().as_str()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::super::manifest::end_of_program;
    use super::*;

    #[test]
    fn the_head_ends_where_its_header_says() {
        let header = HEAD[..64].try_into().unwrap();
        assert_eq!(end_of_program(header), Some(HEAD.len() as u64));
    }

    #[test]
    fn the_manifest_says_where_the_files_are() {
        let file = |path: &str, data: &[u8]| RuntimeSource { path: path.into(), data: data.into() };
        let files = [file("bin/mmport", b"program"), file("lib/a.so", &[7; 5000])];
        let (head, name) = head_of(&files);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("executable");
        fs::write(&path, &head).unwrap();
        let manifest = Manifest::of_executable(&File::open(path).unwrap()).unwrap();
        assert_eq!(manifest.name, name);
        for (found, file) in manifest.files.iter().zip(&files) {
            let start = usize::try_from(found.offset).unwrap();
            assert_eq!(found.path, file.path);
            assert_eq!(&head[start..][..file.data.len()], file.data);
            assert_eq!(found.size, file.data.len() as u64);
        }
        assert_ne!(name_of(&files[..1]), name_of(&files));
    }
}

//! Runtimes on disk: bringing one out, and telling which one a program belongs to.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::manifest::{Manifest, RuntimeFile};
use super::root::{create_private, is_own_directory};

/// The version of the layout.
const LAYOUT: &str = "runtimes-v1";
/// Bytes that are copied at a time.
const BLOCK: usize = 1 << 18;

/// The variable that tells the runtime's mmport by which path its executable was started.
pub const EXECUTABLE_VARIABLE: &str = "MMPORT_STANDALONE";

/// The name of the runtime that `program`, its mmport, belongs to; `None` for any other program.
#[must_use]
pub fn runtime_name(program: &Path) -> Option<&str> {
    let runtime = program.parent()?.parent()?;
    let is_runtime = runtime.parent()?.file_name()? == LAYOUT;
    if is_runtime { runtime.file_name()?.to_str() } else { None }
}

/// The runtimes below `root`.
#[must_use]
pub fn cached_runtimes(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root.join(LAYOUT)).into_iter().flatten().filter_map(Result::ok);
    let mut runtimes: Vec<PathBuf> = entries
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    runtimes.sort();
    runtimes
}

/// The program of a runtime below `root`, if it is there and whole.
#[must_use]
pub fn existing(root: &Path, manifest: &Manifest) -> Option<PathBuf> {
    let directory = root.join(LAYOUT).join(&manifest.name);
    let is_whole = |file: &RuntimeFile| {
        let metadata = directory.join(&file.path).symlink_metadata();
        metadata.is_ok_and(|metadata| metadata.is_file() && metadata.len() == file.size)
    };
    let is_usable = is_own_directory(&directory) && manifest.files.iter().all(is_whole);
    is_usable.then(|| directory.join(&manifest.files[0].path))
}

/// Brings a runtime out below `root`, from the executable that carries it, and returns its program.
///
/// # Errors
/// What the operating system says.
pub fn bring_out(root: &Path, executable: &File, manifest: &Manifest) -> io::Result<PathBuf> {
    create_private(root)?;
    if !is_own_directory(root) {
        return Err(io::Error::other("it belongs to somebody else"));
    }
    let parent = root.join(LAYOUT);
    create_private(&parent)?;
    let staging = parent.join(format!(".staging-{}", std::process::id()));
    let outcome = write_all(&staging, executable, manifest)
        .and_then(|()| take_place(root, &staging, &parent.join(&manifest.name), manifest));
    // Nothing is left of a try that failed, or came second.
    let _ = fs::remove_dir_all(&staging);
    outcome
}

/// Writes the files below `staging`.
fn write_all(staging: &Path, executable: &File, manifest: &Manifest) -> io::Result<()> {
    // Of a process with the same number that was killed.
    let _ = fs::remove_dir_all(staging);
    for file in &manifest.files {
        let path = staging.join(&file.path);
        create_private(path.parent().unwrap_or(staging))?;
        // Read-only, and no program writes to what others execute.
        let mut options = OpenOptions::new();
        let written = options.write(true).create_new(true).mode(0o500).open(&path)?;
        let mut block = vec![0; BLOCK];
        let (mut at, end) = (file.offset, file.offset + file.size);
        while at < end {
            let length = usize::try_from(end - at).map_or(BLOCK, |left| left.min(BLOCK));
            executable.read_exact_at(&mut block[..length], at)?;
            written.write_all_at(&block[..length], at - file.offset)?;
            at += length as u64;
        }
    }
    Ok(())
}

/// Renames what was written to where it belongs, unless another process was first.
fn take_place(
    root: &Path,
    staging: &Path,
    directory: &Path,
    manifest: &Manifest,
) -> io::Result<PathBuf> {
    for _ in 0..2 {
        let renamed = fs::rename(staging, directory);
        if let Some(program) = existing(root, manifest) {
            return Ok(program);
        }
        // What is there is damaged. Its files may be in use, so it is moved away whole.
        let aside = directory.with_file_name(format!(".removed-{}", std::process::id()));
        if fs::rename(directory, &aside).is_err() {
            let changed = || io::Error::other("the files have changed while they were written");
            return Err(renamed.err().unwrap_or_else(changed));
        }
        let _ = fs::remove_dir_all(&aside);
    }
    Err(io::Error::other("it is being replaced again and again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried() -> (tempfile::TempDir, File, Manifest) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("executable");
        fs::write(&path, b"head|program|library").unwrap();
        let file = |path: &str, offset, size| RuntimeFile { path: path.into(), offset, size };
        let files = vec![file("bin/mmport", 5, 7), file("lib/libpython.so", 13, 7)];
        let manifest = Manifest { name: "name".into(), files };
        (directory, File::open(path).unwrap(), manifest)
    }

    #[test]
    fn a_runtime_is_brought_out_once_and_mended() {
        let (directory, executable, manifest) = carried();
        let root = directory.path().join("root");
        assert_eq!(existing(&root, &manifest), None);
        let program = bring_out(&root, &executable, &manifest).unwrap();
        assert_eq!(fs::read(&program).unwrap(), b"program");
        assert_eq!(existing(&root, &manifest).as_ref(), Some(&program));
        assert_eq!(runtime_name(&program), Some("name"));
        assert_eq!(cached_runtimes(&root), [root.join("runtimes-v1/name")]);

        let library = root.join("runtimes-v1/name/lib/libpython.so");
        fs::remove_file(&library).unwrap();
        fs::write(&library, b"cut").unwrap();
        assert_eq!(existing(&root, &manifest), None);
        assert_eq!(bring_out(&root, &executable, &manifest).unwrap(), program);
        assert_eq!(fs::read(&library).unwrap(), b"library");
        let left: Vec<_> = fs::read_dir(root.join("runtimes-v1")).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn who_comes_second_uses_what_is_there() {
        let (directory, executable, manifest) = carried();
        let root = directory.path().join("root");
        let first = bring_out(&root, &executable, &manifest).unwrap();
        let before = first.metadata().unwrap();
        let second = bring_out(&root, &executable, &manifest).unwrap();
        use std::os::unix::fs::MetadataExt;
        assert_eq!(second.metadata().unwrap().ino(), before.ino());
    }

    #[test]
    fn other_programs_are_no_runtimes() {
        assert_eq!(runtime_name(Path::new("/usr/local/bin/mmport")), None);
        assert_eq!(runtime_name(Path::new("mmport")), None);
    }
}

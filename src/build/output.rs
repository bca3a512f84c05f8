//! The file that a bundle is written to: complete, or as it was before.
//!
//! The bundle is written to a file beside the output and takes its name only when it is complete
//! and on the disk. On Linux that file has no name until then, so that nothing is left of a build
//! that is killed; where the file system cannot do that, it is a temporary file that is removed
//! when the build ends.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::error::BuildError;

/// How the names of temporary files begin.
const PREFIX: &str = ".mmport-build-";

/// An output under way. Dropping it leaves what was there before.
#[derive(Debug)]
pub(super) struct Output {
    /// The output as it was asked for.
    path: PathBuf,
    /// The output without links, which is what is replaced.
    place: PathBuf,
    file: File,
    /// The temporary file's name, if it has one.
    temporary: Option<TempPath>,
}

impl Output {
    /// Makes sure that `path` can be written, by beginning to write beside it.
    ///
    /// # Errors
    ///
    /// [`BuildError::OutputNotAFile`], [`BuildError::Output`].
    pub(super) fn create(path: &Path, executable: bool) -> Result<Self, BuildError> {
        let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        match fs::metadata(&place) {
            Ok(metadata) if metadata.is_file() => {}
            Ok(metadata) => {
                return Err(BuildError::OutputNotAFile {
                    path: path.to_owned(),
                    found: if metadata.is_dir() { "a folder" } else { "a device or the like" },
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(output_error(path, source)),
        }
        if place.file_name().is_none() {
            return Err(BuildError::OutputNotAFile { path: path.to_owned(), found: "a folder" });
        }
        let directory = directory_of(&place);
        let (file, temporary) =
            create_beside(directory, executable).map_err(|source| output_error(path, source))?;
        Ok(Self { path: path.to_owned(), place, file, temporary })
    }

    /// The output as it was asked for.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file to write to.
    ///
    /// # Errors
    ///
    /// [`BuildError::Output`] when no further handle to it can be had.
    pub(super) fn file(&self) -> Result<File, BuildError> {
        (self.file.try_clone()).map_err(|source| output_error(&self.path, source))
    }

    /// Brings what was written to the disk and gives it the output's name; returns its size.
    ///
    /// # Errors
    ///
    /// [`BuildError::Output`].
    pub(super) fn persist(self) -> Result<u64, BuildError> {
        let Self { path, place, file, temporary } = self;
        let persist = || {
            file.sync_all()?;
            let size = file.metadata()?.len();
            let temporary = match temporary {
                Some(temporary) => temporary,
                None => name(&file, directory_of(&place))?,
            };
            temporary.persist(&place).map_err(|error| error.error)?;
            Ok(size)
        };
        persist().map_err(|source| output_error(&path, source))
    }
}

/// The error for an output that cannot be written.
pub(super) fn output_error(path: &Path, source: io::Error) -> BuildError {
    BuildError::Output { path: path.to_owned(), source }
}

/// The directory that holds `place`.
fn directory_of(place: &Path) -> &Path {
    match place.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A file in `directory`, without a name where that is possible.
fn create_beside(directory: &Path, executable: bool) -> io::Result<(File, Option<TempPath>)> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, Mode, OFlags, openat};
        use rustix::io::Errno;
        // The process's umask takes away what it should.
        let mode = if executable { 0o777 } else { 0o666 };
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        // It is named through `/proc`; without that a name from the beginning is what remains.
        if Path::new("/proc/self/fd").exists() {
            match openat(CWD, directory, flags, Mode::from_raw_mode(mode)) {
                Ok(descriptor) => return Ok((File::from(descriptor), None)),
                // What file systems and kernels answer that have no nameless files.
                Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX);
    #[cfg(unix)]
    let permissions = {
        use std::os::unix::fs::PermissionsExt;
        fs::Permissions::from_mode(if executable { 0o777 } else { 0o666 })
    };
    #[cfg(unix)]
    builder.permissions(permissions);
    #[cfg(not(unix))]
    let _ = executable;
    let (file, temporary) = builder.tempfile_in(directory)?.into_parts();
    Ok((file, Some(temporary)))
}

/// Gives a nameless file a temporary name in `directory`: a name can be taken over by renaming
/// alone, and a file that exists is never replaced by giving another its name.
#[cfg(target_os = "linux")]
fn name(file: &File, directory: &Path) -> io::Result<TempPath> {
    use std::os::fd::AsRawFd;

    use rustix::fs::{AtFlags, CWD, linkat};
    let descriptor = format!("/proc/self/fd/{}", file.as_raw_fd());
    let named = tempfile::Builder::new().prefix(PREFIX).make_in(directory, |path| {
        linkat(CWD, &descriptor, CWD, path, AtFlags::SYMLINK_FOLLOW).map_err(io::Error::from)
    })?;
    Ok(named.into_temp_path())
}

#[cfg(not(target_os = "linux"))]
fn name(_: &File, _: &Path) -> io::Result<TempPath> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn listing(folder: &Path) -> Vec<String> {
        (fs::read_dir(folder).unwrap())
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn an_output_that_is_dropped_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.pyz");
        fs::write(&path, "before").unwrap();
        let output = Output::create(&path, false).unwrap();
        output.file().unwrap().write_all(b"half").unwrap();
        drop(output);
        assert_eq!(fs::read(&path).unwrap(), b"before");
        assert_eq!(listing(folder.path()), ["app.pyz"]);
    }

    #[test]
    fn an_output_that_is_complete_replaces_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.pyz");
        fs::write(&path, "before").unwrap();
        let output = Output::create(&path, true).unwrap();
        output.file().unwrap().write_all(b"after").unwrap();
        assert_eq!(output.persist().unwrap(), 5);
        assert_eq!(fs::read(&path).unwrap(), b"after");
        assert_eq!(listing(folder.path()), ["app.pyz"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_its_target_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("v1.pyz"), folder.path().join("app.pyz"));
        fs::write(&target, "before").unwrap();
        std::os::unix::fs::symlink("v1.pyz", &link).unwrap();
        let output = Output::create(&link, false).unwrap();
        output.file().unwrap().write_all(b"after").unwrap();
        output.persist().unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&target).unwrap(), b"after");
    }

    #[test]
    fn folders_are_refused_and_missing_folders_named() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            Output::create(folder.path(), false),
            Err(BuildError::OutputNotAFile { .. })
        ));
        let missing = Output::create(&folder.path().join("no/app.pyz"), false).unwrap_err();
        assert_eq!(missing.next_step().as_deref(), Some("create the folder first"));
    }
}

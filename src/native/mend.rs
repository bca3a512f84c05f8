//! Mending a unit: putting what the bundle has in the place of files that are damaged or missing.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::StoreError;
use super::content::is_intact;
use super::directory::TreeDirectory;
use super::seal::Seal;
use super::write::UnitWriter;

impl UnitWriter<'_> {
    /// Replaces the files of the unit that are not as they were written; returns their paths. With
    /// `everything`, the content counts whatever a seal says.
    ///
    /// # Errors
    /// [`StoreError`], naming what could not be written or read. The other files are mended first.
    pub(super) fn mend(
        &self,
        directory: &TreeDirectory,
        everything: bool,
    ) -> Result<Vec<PathBuf>, StoreError> {
        let (mut replaced, mut failure) = (Vec::new(), None);
        for entry in self.files() {
            let path = directory.packages().join(&*entry.name());
            let seal = Seal::of_entry(entry);
            let looks_intact = path.symlink_metadata().is_ok_and(|found| seal.holds(&found));
            if looks_intact && !everything {
                continue;
            }
            let data = self.read(entry)?;
            let is_as_written = if looks_intact {
                fs::read(&path).is_ok_and(|found| found == *data)
            } else {
                is_intact(&path, &data, seal)
            };
            if is_as_written {
                continue;
            }
            tracing::warn!(
                target: "mmport::store", path = %path.display(), "damaged file is replaced"
            );
            // A content that has the same damage is not what it is replaced by.
            if looks_intact {
                let _ = fs::remove_file(self.content_of(entry, &data));
            }
            let stage = |staged: &Path| self.place(entry, &data, staged);
            match replace(directory, &path, stage) {
                Ok(()) => replaced.push(path),
                Err(source) => {
                    failure.get_or_insert(self.write_error(&path, source));
                }
            }
        }
        failure.map_or(Ok(replaced), Err)
    }
}

/// Puts what `stage` writes in the place of a file. Whoever has the old one open or mapped keeps it.
fn replace(
    directory: &TreeDirectory,
    path: &Path,
    stage: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let staging = directory.staging()?;
    let staged = staging.path().join("file");
    stage(&staged)?;
    let Some(parent) = path.parent() else { return Ok(()) };
    // What is read-only, or made here, is closed again afterwards.
    let nearest = parent.ancestors().find(|ancestor| ancestor.is_dir()).unwrap_or(parent);
    let permissions = nearest.metadata()?.permissions();
    fs::set_permissions(nearest, Permissions::from_mode(0o755))?;
    let renamed = fs::create_dir_all(parent).and_then(|()| fs::rename(&staged, path));
    for made in parent.ancestors().take_while(|ancestor| *ancestor != nearest) {
        let _ = fs::set_permissions(made, permissions.clone());
    }
    fs::set_permissions(nearest, permissions)?;
    renamed
}

//! Contents: one copy of each file, however many bundles have it.
//!
//! Layout: `ROOT/contents-v1/HH/REST` (and `REST-x` for what is executable), where `HHREST` is the
//! blake3 hash of the content in hexadecimal. The files of all trees below the same root are hard
//! links to it, so a content that two bundles share takes its room once, and goes with the last of
//! them. Where the file system has no hard links, or a file has as many as it can have, a tree gets
//! its own copy.
//!
//! Invariant: a content is linked here only when it is completely written and sealed. A content
//! whose seal is broken is read and compared before it is used, and replaced where it differs.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::create_private;
use super::seal::Seal;

/// The version of the layout.
pub(super) const CONTENTS: &str = "contents-v1";

/// The contents below one root.
#[derive(Debug)]
pub(super) struct ContentStore {
    directory: PathBuf,
}

impl ContentStore {
    pub(super) fn in_root(root: &Path) -> Self {
        Self { directory: root.join(CONTENTS) }
    }

    /// Makes `path`, which must not exist, a file with this content that nobody can write to.
    pub(super) fn place(
        &self,
        data: &[u8],
        seal: Seal,
        is_executable: bool,
        path: &Path,
    ) -> io::Result<()> {
        let content = self.path_of(data, is_executable);
        if fs::hard_link(&content, path).is_ok() {
            if is_intact(path, data, seal) {
                return Ok(());
            }
            tracing::warn!(
                target: "mmport::store", path = %content.display(), "damaged content is replaced"
            );
            fs::remove_file(path)?;
            let _ = fs::remove_file(&content);
        }
        // Where there is none yet, or it has as many links as a file can have.
        write_sealed(data, seal, is_executable, path)?;
        // Sharing is a gain, not a need: whatever stands in the way, the tree has its file.
        if let Err(error) = fs::hard_link(path, &content)
            && error.kind() == io::ErrorKind::NotFound
            && let Some(parent) = content.parent()
        {
            let _ = create_private(parent).and_then(|()| fs::hard_link(path, &content));
        }
        Ok(())
    }

    /// Where a content is stored.
    pub(super) fn path_of(&self, data: &[u8], is_executable: bool) -> PathBuf {
        let hash = blake3::hash(data).to_hex();
        let (directory, name) = hash.split_at(2);
        let mark = if is_executable { "-x" } else { "" };
        self.directory.join(directory).join(format!("{name}{mark}"))
    }
}

/// Whether the file has this content. A broken seal is mended where the content is right: a copied
/// store has lost its times, or its modes, but not its contents.
pub(super) fn is_intact(path: &Path, data: &[u8], seal: Seal) -> bool {
    let Ok(metadata) = path.symlink_metadata() else { return false };
    if seal.holds(&metadata) {
        return true;
    }
    let same = metadata.is_file() && fs::read(path).is_ok_and(|found| found == data);
    if same {
        let mode = metadata.permissions().mode() & !0o222;
        let _ = fs::set_permissions(path, Permissions::from_mode(mode));
        let _ = File::open(path).and_then(|file| seal.apply(&file));
    }
    same
}

fn write_sealed(data: &[u8], seal: Seal, is_executable: bool, path: &Path) -> io::Result<()> {
    let mode = if is_executable { 0o555 } else { 0o444 };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(data)?;
    seal.apply(&file)
}

//! Contents: one copy of each file, however many bundles have it.
//!
//! Layout: `ROOT/contents-v1/HH/REST` (`REST-x` for what is executable, `REST-NAME` for libraries),
//! where `HHREST` is the blake3 hash of the content in hexadecimal. `NAME` begins the hash of the
//! entry's name: the dynamic loader takes two links to one file for one library, so a content that a
//! bundle has at two places is kept twice, as it is in a virtual environment. The files of all trees below the same root are hard
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

/// What a file is for; contents are shared among files of the same use.
#[derive(Debug, Clone, Copy)]
pub(super) enum Use<'entry> {
    /// It is read.
    Read,
    /// It is run.
    Execute,
    /// It is an extension module or a shared library, at the entry of this name.
    Load(&'entry [u8]),
}

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
        used: Use<'_>,
        path: &Path,
    ) -> io::Result<()> {
        let content = self.path_of(data, used);
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
        write_sealed(data, seal, used, path)?;
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
    pub(super) fn path_of(&self, data: &[u8], used: Use<'_>) -> PathBuf {
        let hash = blake3::hash(data).to_hex();
        let (directory, name) = hash.split_at(2);
        let mark = match used {
            Use::Read => String::new(),
            Use::Execute => "-x".into(),
            Use::Load(entry) => format!("-{}", &blake3::hash(entry).to_hex()[..16]),
        };
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

fn write_sealed(data: &[u8], seal: Seal, used: Use<'_>, path: &Path) -> io::Result<()> {
    let mode = if matches!(used, Use::Read) { 0o444 } else { 0o555 };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(data)?;
    seal.apply(&file)
}

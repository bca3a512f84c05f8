//! What changes when a file or a directory does.
//!
//! CPython compares a source's modification time in seconds and its size with those that its `.pyc` notes,
//! and a directory's modification time with that of its last look. A stamp has these to the nanosecond, and
//! the number of the file and the time of its last change of any sort, which no program can set.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// For how long after a change another one may leave the same stamp: a tick of the coarsest clock that file
/// systems write times by.
const TICK: Duration = Duration::from_secs(2);

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// Something else.
    Other,
}

/// The state of a file or directory; links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    kind: Kind,
    inode: u64,
    size: u64,
    /// When the content has changed last: seconds since the epoch, and nanoseconds.
    modified: (i64, i64),
    /// When anything about it has changed last.
    changed: (i64, i64),
}

impl Stamp {
    /// The stamp of what is at `path` now; `None` where there is nothing that can be looked at.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|metadata| Self::from(&metadata))
    }

    /// What it is the stamp of.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether a change after `now` cannot leave the same stamp: the last one is long enough ago.
    #[must_use]
    pub fn is_settled(&self, now: SystemTime) -> bool {
        let Ok(now) = now.duration_since(SystemTime::UNIX_EPOCH) else { return false };
        let tick = TICK.as_secs().cast_signed();
        i64::try_from(now.as_secs()).is_ok_and(|now| self.changed.0.saturating_add(tick) < now)
    }

    /// The modification time in seconds and the size, both as a `.pyc` notes them.
    #[must_use]
    pub fn recorded(&self) -> (u32, u32) {
        // As `_code_to_timestamp_pyc` of CPython does: the lowest 32 bits.
        ((self.modified.0 & 0xffff_ffff) as u32, (self.size & 0xffff_ffff) as u32)
    }

    /// What something that is remembered of `path` is found by. `subject` keeps different things apart.
    #[must_use]
    pub fn key(&self, subject: &str, path: &str) -> Vec<u8> {
        let mut key = Vec::with_capacity(64 + path.len());
        // No source begins so.
        key.push(0);
        key.extend(subject.as_bytes());
        key.push(0);
        key.extend(self.inode.to_le_bytes());
        key.extend(self.size.to_le_bytes());
        for (seconds, nanoseconds) in [self.modified, self.changed] {
            key.extend(seconds.to_le_bytes());
            key.extend(nanoseconds.to_le_bytes());
        }
        key.extend(path.as_bytes());
        key
    }
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        let kind = match metadata.file_type() {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Directory,
            _ => Kind::Other,
        };
        Self {
            kind,
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn later(seconds: u64) -> SystemTime {
        SystemTime::now() + Duration::from_secs(seconds)
    }

    #[test]
    fn every_change_leaves_another_stamp() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("module.py");
        let mut stamps = vec![Stamp::of(directory.path()).unwrap()];
        let look = |stamps: &mut Vec<Stamp>, path: &Path| {
            let stamp = Stamp::of(path).unwrap();
            assert!(!stamps.contains(&stamp), "{stamp:?}");
            stamps.push(stamp);
            // Times are those of the last tick of a clock of some milliseconds.
            std::thread::sleep(Duration::from_millis(20));
        };
        fs::write(&path, "x = 1\n").unwrap();
        look(&mut stamps, &path);
        look(&mut stamps, directory.path());
        fs::write(&path, "x = 2\n").unwrap();
        look(&mut stamps, &path);
        // The same content, size and modification time: only the change itself shows.
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "x = 3\n").unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        look(&mut stamps, &path);
        let other = directory.path().join("other.py");
        fs::write(&other, "x = 3\n").unwrap();
        fs::rename(&other, &path).unwrap();
        look(&mut stamps, &path);
        look(&mut stamps, directory.path());
        fs::remove_file(&path).unwrap();
        assert_eq!(Stamp::of(&path), None);
        look(&mut stamps, directory.path());
        let keys: std::collections::BTreeSet<_> =
            stamps.iter().map(|stamp| stamp.key("module", "module.py")).collect();
        assert_eq!(keys.len(), stamps.len());
    }

    #[test]
    fn young_stamps_are_not_settled() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let stamp = Stamp::of(file.path()).unwrap();
        assert_eq!(stamp.kind(), Kind::File);
        assert!(!stamp.is_settled(SystemTime::now()));
        assert!(!stamp.is_settled(later(1)));
        assert!(stamp.is_settled(later(4)));
        // The clock was set back since the file was written.
        assert!(!stamp.is_settled(SystemTime::now() - Duration::from_secs(60)));
        // A modification time is what anybody says; it does not count here.
        let old = SystemTime::now() - Duration::from_secs(3600);
        file.as_file().set_modified(old).unwrap();
        let stamp = Stamp::of(file.path()).unwrap();
        assert!(!stamp.is_settled(SystemTime::now()));
        let seconds = old.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(stamp.recorded(), (u32::try_from(seconds).unwrap(), 0));
    }
}

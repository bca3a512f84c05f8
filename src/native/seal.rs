//! Seals: how a stored file shows, at the price of one `stat`, that nobody has written to it.
//!
//! Nobody may be allowed to write to it, its size has to be the entry's, and the part of its modification time below a second is set to a
//! number that follows from the entry's CRC-32. Whatever writes to a file moves that time, and hits
//! the number by chance once in ten million. The seconds are those of the writing, as with any
//! installation. Nothing has to be recorded beside the file, and hard links share one seal. Numbers
//! are multiples of 100 ns, which all but the coarsest file systems keep; where a time has no
//! part below a second, the size alone decides.
//!
//! A seal finds what programs, full disks and lost power do. Decay of the disk itself it does not:
//! that takes reading everything.

use std::fs::{File, FileTimes, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use crate::bundle::Entry;

/// The smallest step of a sealed time in nanoseconds.
const STEP: u32 = 100;
/// How many steps make a second.
const STEPS: u32 = 10_000_000;

/// What an unchanged file looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seal {
    size: u64,
    nanoseconds: u32,
}

impl Seal {
    /// The seal of an entry's content.
    pub(super) fn of_entry(entry: &Entry) -> Self {
        Self::new(entry.size(), entry.crc())
    }

    fn new(size: u64, crc: u32) -> Self {
        // Never 0: that is what file systems without such times show.
        Self { size, nanoseconds: (crc % (STEPS - 1) + 1) * STEP }
    }

    /// Seals a file that is completely written and read-only.
    pub(super) fn apply(&self, file: &File) -> io::Result<()> {
        let seconds = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since_epoch| since_epoch.as_secs());
        let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, self.nanoseconds);
        file.set_times(FileTimes::new().set_modified(time))
    }

    /// Whether a file with this metadata is as it was sealed.
    pub(super) fn holds(&self, metadata: &Metadata) -> bool {
        let found = metadata.mtime_nsec();
        metadata.is_file()
            && metadata.size() == self.size
            && metadata.mode() & 0o222 == 0
            && (found == 0 || found == i64::from(self.nanoseconds))
    }

    /// The seal as text, for a record.
    pub(super) fn to_text(self) -> String {
        format!("{} {}", self.size, self.nanoseconds)
    }

    /// Reads [`Self::to_text`] at the beginning of a line; also returns the rest of the line.
    pub(super) fn from_text(line: &str) -> Option<(Self, &str)> {
        let (size, rest) = line.split_once(' ')?;
        let (nanoseconds, rest) = rest.split_once(' ')?;
        Some((Self { size: size.parse().ok()?, nanoseconds: nanoseconds.parse().ok()? }, rest))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::Seal;

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_seal_holds_until_the_file_is_written_to() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        for crc in [0, 1, 9_999_999, u32::MAX] {
            let _ = std::fs::remove_file(&path);
            std::fs::write(&path, b"content").unwrap();
            set_mode(&path, 0o444);
            let seal = Seal::new(7, crc);
            seal.apply(&std::fs::File::open(&path).unwrap()).unwrap();
            assert!(seal.holds(&path.metadata().unwrap()), "{crc}");
            assert!(!Seal::new(8, crc).holds(&path.metadata().unwrap()));
            assert!(!Seal::new(7, crc.wrapping_add(1)).holds(&path.metadata().unwrap()));
            set_mode(&path, 0o644);
            assert!(!seal.holds(&path.metadata().unwrap()), "it can be written to");
            std::fs::OpenOptions::new().write(true).open(&path).unwrap().write_all(b"C").unwrap();
            set_mode(&path, 0o444);
            assert!(!seal.holds(&path.metadata().unwrap()), "{crc}");
        }
    }

    #[test]
    fn text_gives_the_seal_back() {
        let seal = Seal::new(12, 345);
        let line = format!("{} a file name", seal.to_text());
        assert_eq!(Seal::from_text(&line), Some((seal, "a file name")));
        assert_eq!(Seal::from_text("12"), None);
        assert_eq!(Seal::from_text("a b c"), None);
    }
}

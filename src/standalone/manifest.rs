//! The manifest: a text behind the head that says where the runtime's files lie.
//!
//! ```text
//! mmport-runtime-1 NAME
//! OFFSET SIZE PATH
//! OFFSET SIZE PATH
//!
//! ```
//!
//! An empty line ends it. Offsets count from the beginning of the executable; the first file is the
//! program.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// What the first line begins with.
const MAGIC: &str = "mmport-runtime-1 ";
/// The most bytes that a manifest may have.
const LONGEST: usize = 1 << 16;
/// Length of the ELF header of 64-bit files.
const HEADER: usize = 64;

/// What an executable carries as its runtime.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Name of the runtime's directory.
    pub name: String,
    /// The files; the first is the program.
    pub files: Vec<RuntimeFile>,
}

/// One file of a runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeFile {
    /// Where it is in the runtime's directory, such as `bin/mmport`.
    pub path: String,
    /// Where its bytes begin in the executable.
    pub offset: u64,
    /// How many they are.
    pub size: u64,
}

/// Why the manifest of an executable cannot be read.
#[derive(Debug)]
pub enum ManifestError {
    /// Reading fails.
    Read(io::Error),
    /// The text is not a manifest.
    Format {
        /// Where it begins.
        offset: u64,
        /// What was expected there.
        expected: &'static str,
    },
}

impl fmt::Display for ManifestError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(_) => formatter.write_str("read the runtime's manifest"),
            Self::Format { offset, expected } => {
                write!(
                    formatter,
                    "read the runtime's manifest at offset {offset}: expected {expected}"
                )
            }
        }
    }
}

impl Error for ManifestError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Read(error) => Some(error),
            Self::Format { .. } => None,
        }
    }
}

impl Manifest {
    /// The text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{MAGIC}{}\n", self.name);
        for RuntimeFile { path, offset, size } in &self.files {
            text += &format!("{offset} {size} {path}\n");
        }
        text.push('\n');
        text
    }

    /// Reads the manifest behind the ELF file that `executable` begins with.
    ///
    /// # Errors
    /// [`ManifestError`]
    pub fn of_executable(executable: &File) -> Result<Self, ManifestError> {
        let mut header = [0; HEADER];
        executable.read_exact_at(&mut header, 0).map_err(ManifestError::Read)?;
        let offset = end_of_program(&header)
            .ok_or(ManifestError::Format { offset: 0, expected: "an ELF header of 64 bits" })?;
        let mut data = vec![0; LONGEST];
        let mut length = 0;
        while length < data.len() {
            match executable.read_at(&mut data[length..], offset + length as u64) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ManifestError::Read(error)),
            }
        }
        let size = executable.metadata().map_err(ManifestError::Read)?.len();
        Self::parse(&data[..length], size)
            .map_err(|expected| ManifestError::Format { offset, expected })
    }

    /// Reads the text that `data` begins with, in an executable of `size` bytes; says what was expected
    /// where it is none.
    fn parse(data: &[u8], size: u64) -> Result<Self, &'static str> {
        let end =
            data.windows(2).position(|pair| pair == b"\n\n").ok_or("an empty line at its end")?;
        let text = std::str::from_utf8(&data[..end]).map_err(|_| "text in UTF-8")?;
        let mut lines = text.lines();
        let name = lines.next().and_then(|line| line.strip_prefix(MAGIC));
        let name = name.filter(|name| is_name(name)).ok_or("the line `mmport-runtime-1 NAME`")?;
        let files = lines
            .map(|line| RuntimeFile::parse(line, size))
            .collect::<Option<Vec<_>>>()
            .filter(|files| !files.is_empty())
            .ok_or("lines `OFFSET SIZE PATH` inside the executable")?;
        Ok(Self { name: name.to_owned(), files })
    }
}

impl RuntimeFile {
    fn parse(line: &str, size: u64) -> Option<Self> {
        let mut words = line.splitn(3, ' ');
        let (offset, length) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let path = words.next().filter(|path| path.split('/').all(is_name))?;
        let ends_inside = u64::checked_add(offset, length).is_some_and(|end| end <= size);
        ends_inside.then(|| Self { path: path.to_owned(), offset, size: length })
    }
}

/// Whether a text is the name of one file or directory, and no hidden one.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('.') && !text.contains(['/', '\0', '\n'])
}

/// Where the ELF file with this header ends: linkers put the table of sections at the end.
pub(super) fn end_of_program(header: &[u8; HEADER]) -> Option<u64> {
    let is_64_bit = header.starts_with(b"\x7fELF\x02");
    let number = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
    let table = u64::from_ne_bytes(header[40..48].try_into().ok()?);
    let length = u64::from(number(58)) * u64::from(number(60));
    if is_64_bit { table.checked_add(length) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let file = |path: &str, offset, size| RuntimeFile { path: path.into(), offset, size };
        Manifest {
            name: "0123abcd".into(),
            files: vec![file("bin/mmport", 4096, 100), file("lib/a b.so.1", 8192, 7)],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut text = manifest().to_text().into_bytes();
        text.extend(b"\x7fELF and more\n\n");
        assert_eq!(Manifest::parse(&text, 10_000), Ok(manifest()));
    }

    #[test]
    fn what_leads_outside_is_refused() {
        let text = manifest().to_text();
        for (size, text) in [
            (8_198, text.clone()),
            (10_000, text.replace("bin/", "../")),
            (10_000, text.replace("bin/", "/")),
            (10_000, text.replace("0123", "../")),
            (10_000, text.replace("4096", "18446744073709551615")),
            (10_000, text.replace("4096 ", "")),
            (10_000, text.trim_end().to_owned()),
            (10_000, "mmport-runtime-1 name\n\n".to_owned()),
            (10_000, String::new()),
        ] {
            assert!(Manifest::parse(text.as_bytes(), size).is_err(), "{text}");
        }
    }
}

//! The 16-byte header of a `.pyc` (PEP 552) and what it asks for.
//!
//! | bytes | meaning |
//! | --- | --- |
//! | 0–3 | magic number of the Python that wrote it (little-endian, ends in `\r\n`) |
//! | 4–7 | flags: bit 0 hash-based, bit 1 check the source |
//! | 8–15 | hash of the source, or time stamp and size of the source (4 bytes each) |
//!
//! The rules are those of `_classify_pyc`, `_validate_hash_pyc` and `_validate_timestamp_pyc` in
//! `Lib/importlib/_bootstrap_external.py`.

/// Length of the header in bytes.
const HEADER_SIZE: usize = 16;

/// Why a `.pyc` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BytecodeError {
    /// Written by another Python.
    #[error("bad magic number in '{name}': {found:?}", found = Bytes(found))]
    Magic {
        /// The module.
        name: String,
        /// The bytes in place of the magic number.
        found: Vec<u8>,
    },
    /// Shorter than its header.
    #[error("reached EOF while reading pyc header of '{name}'")]
    Truncated {
        /// The module.
        name: String,
    },
    /// Flags that no Python of today writes.
    #[error("invalid flags {flags} in '{name}'")]
    Flags {
        /// The module.
        name: String,
        /// The flags.
        flags: u32,
    },
}

/// Bytes shown as Python shows them.
struct Bytes<'bytes>(&'bytes [u8]);

impl std::fmt::Debug for Bytes<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "b'{}'", self.0.escape_ascii())
    }
}

/// What must hold for bytecode to stand for its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderKind {
    /// Nothing: an unchecked-hash pyc.
    Unchecked {
        /// `_imp.source_hash` of the source.
        source_hash: [u8; 8],
    },
    /// The source has this hash.
    CheckedHash {
        /// `_imp.source_hash` of the source.
        source_hash: [u8; 8],
    },
    /// The source has this time stamp and size.
    Timestamp {
        /// Seconds since the epoch, modulo 2^32.
        modified: u32,
        /// Bytes, modulo 2^32.
        size: u32,
    },
}

/// `--check-hash-based-pycs`: which hash-based bytecode is checked against its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HashCheck {
    /// As the header says.
    #[default]
    Default,
    /// All.
    Always,
    /// None.
    Never,
}

/// A parsed header and the marshal data behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PycHeader<'data> {
    /// What must hold for it to be used.
    pub kind: HeaderKind,
    /// The marshalled code object.
    pub marshal: &'data [u8],
}

impl<'data> PycHeader<'data> {
    /// Parses the `.pyc` in `data`, of the module `name`, for the Python with this magic number.
    ///
    /// # Errors
    /// As `_classify_pyc`: a foreign magic number, a header cut off, unknown flags.
    pub fn parse(data: &'data [u8], magic: [u8; 4], name: &str) -> Result<Self, BytecodeError> {
        let found = &data[..data.len().min(4)];
        if found != magic {
            return Err(BytecodeError::Magic { name: name.into(), found: found.into() });
        }
        let Some((header, marshal)) = data.split_at_checked(HEADER_SIZE) else {
            return Err(BytecodeError::Truncated { name: name.into() });
        };
        let word = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let mut source_hash = [0; 8];
        source_hash.copy_from_slice(&header[8..16]);
        let kind = match word(4) {
            0b00 => HeaderKind::Timestamp { modified: word(8), size: word(12) },
            0b01 => HeaderKind::Unchecked { source_hash },
            0b11 => HeaderKind::CheckedHash { source_hash },
            flags => return Err(BytecodeError::Flags { name: name.into(), flags }),
        };
        Ok(Self { kind, marshal })
    }

    /// The hash that the source must have under this policy, or `None` where none is compared.
    #[must_use]
    pub fn hash_to_check(&self, policy: HashCheck) -> Option<[u8; 8]> {
        match (self.kind, policy) {
            (HeaderKind::CheckedHash { source_hash }, HashCheck::Default)
            | (
                HeaderKind::CheckedHash { source_hash } | HeaderKind::Unchecked { source_hash },
                HashCheck::Always,
            ) => Some(source_hash),
            _ => None,
        }
    }
}

/// Whether a source still is the one that a time stamp header records. In a zip the time has steps
/// of two seconds, so one second of difference counts as none, as in `zipimport`.
#[must_use]
pub fn source_is_as_recorded(
    modified: u32,
    size: u32,
    source_modified: i64,
    source_size: u64,
) -> bool {
    let difference = i64::from(modified) - (source_modified & 0xffff_ffff);
    difference.abs() <= 1 && u64::from(size) == source_size & 0xffff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: [u8; 4] = [0xa7, 0x0d, 0x0d, 0x0a];

    fn pyc(flags: u32) -> Vec<u8> {
        let mut data = MAGIC.to_vec();
        data.extend(flags.to_le_bytes());
        data.extend([1, 0, 0, 0, 2, 0, 0, 0]);
        data.extend(b"code");
        data
    }

    #[test]
    fn headers_are_classified() {
        let hash = [1, 0, 0, 0, 2, 0, 0, 0];
        for (flags, kind) in [
            (0, HeaderKind::Timestamp { modified: 1, size: 2 }),
            (1, HeaderKind::Unchecked { source_hash: hash }),
            (3, HeaderKind::CheckedHash { source_hash: hash }),
        ] {
            let data = pyc(flags);
            let header = PycHeader::parse(&data, MAGIC, "m").unwrap();
            assert_eq!((header.kind, header.marshal), (kind, &b"code"[..]));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let parse = |data: &[u8]| PycHeader::parse(data, MAGIC, "m").unwrap_err().to_string();
        assert_eq!(parse(&[0xcb, 0x0d]), "bad magic number in 'm': b'\\xcb\\r'");
        assert_eq!(parse(&pyc(0)[..12]), "reached EOF while reading pyc header of 'm'");
        assert_eq!(parse(&pyc(2)), "invalid flags 2 in 'm'");
        assert_eq!(parse(&pyc(5)), "invalid flags 5 in 'm'");
    }

    #[test]
    fn policy_decides_which_hash_is_compared() {
        use HashCheck::{Always, Default, Never};
        for (flags, policy, compared) in [
            (0, Always, false),
            (1, Default, false),
            (1, Always, true),
            (1, Never, false),
            (3, Default, true),
            (3, Always, true),
            (3, Never, false),
        ] {
            let data = pyc(flags);
            let header = PycHeader::parse(&data, MAGIC, "m").unwrap();
            assert_eq!(header.hash_to_check(policy).is_some(), compared, "{flags} {policy:?}");
        }
    }

    #[test]
    fn zip_times_may_differ_by_a_second() {
        for (source_modified, expected) in [(99, true), (100, true), (101, true), (102, false)] {
            assert_eq!(source_is_as_recorded(100, 7, source_modified, 7), expected);
        }
        assert!(!source_is_as_recorded(100, 7, 100, 8));
    }
}

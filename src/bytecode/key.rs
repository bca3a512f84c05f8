//! Keys: what decides which code object a source becomes, and nothing else.
//!
//! A key is the blake3 hash of the source's bytes, keyed by the hash of the [`Target`]'s fields:
//!
//! | field | why it is part of the key |
//! | --- | --- |
//! | version of the scheme | keys of another one must not meet these |
//! | cache tag (`cpython-311`) | the implementation and its minor version |
//! | magic number | bytecode of one minor version changes before its release |
//! | optimization level | `-O` drops assertions, `-OO` docstrings |
//! | debug ranges | `-X no_debug_ranges` drops columns from the line table |
//!
//! No part of it: time stamps (unpacking, copying and touching change them and not the code; an edit
//! within their resolution changes the code and not them), the file's path (code objects are kept
//! without theirs and get the one that they are loaded from, as `_imp._fix_co_filename` does) and
//! the module's name (the compiler is not told it). So one entry serves every place where a source is;
//! two versions of Python have two; one edited byte makes another key.

/// What code objects are compiled for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    cache_tag: Box<str>,
    optimization: u8,
    magic: [u8; 4],
    seed: [u8; 32],
}

/// The key of one source's code object for one [`Target`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub(super) [u8; 32]);

/// The version of the scheme above.
const SCHEME: &[u8] = b"mmport code object key 1";

impl Target {
    /// The target of an interpreter with this `sys.implementation.cache_tag`,
    /// `importlib.util.MAGIC_NUMBER` and `sys.flags.optimize`, which keeps columns of instructions
    /// (`debug_ranges`) or not.
    #[must_use]
    pub fn new(cache_tag: &str, magic: [u8; 4], optimization: u8, debug_ranges: bool) -> Self {
        let mut hasher = blake3::Hasher::new();
        for field in [SCHEME, cache_tag.as_bytes(), &magic, &[optimization], &[debug_ranges.into()]]
        {
            hasher.update(&(field.len() as u64).to_le_bytes());
            hasher.update(field);
        }
        let seed = *hasher.finalize().as_bytes();
        Self { cache_tag: cache_tag.into(), optimization, magic, seed }
    }

    /// Whether a `.pyc` that begins with `header` was written by a Python with this magic number.
    #[must_use]
    pub fn has_written(&self, header: &[u8]) -> bool {
        header.starts_with(&self.magic)
    }

    /// The key of a source: the bytes that the compiler is given.
    #[must_use]
    pub fn key(&self, source: &[u8]) -> Key {
        Key(*blake3::keyed_hash(&self.seed, source).as_bytes())
    }

    /// The name of the directory for this target's code objects: what PEP 488 has between a module's
    /// name and `.pyc`. Only that it keeps targets apart that never share an entry is of importance.
    #[must_use]
    pub fn directory(&self) -> String {
        // A tag is an identifier; whatever else somebody has compiled in must not lead elsewhere.
        let tag = self.cache_tag.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "_");
        match self.optimization {
            0 => tag,
            level => format!("{tag}.opt-{level}"),
        }
    }
}

impl Key {
    /// The key that [`Display`](std::fmt::Display) shows as `text`.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        blake3::Hash::from_hex(text).ok().map(|hash| Self(*hash.as_bytes()))
    }

    /// What shows that `code` is what was stored under this key.
    pub(super) fn check(&self, code: &[u8]) -> [u8; 16] {
        let mut check = [0; 16];
        check.copy_from_slice(&blake3::keyed_hash(&self.0, code).as_bytes()[..16]);
        check
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const MAGIC: [u8; 4] = [0xa7, 0x0d, 0x0d, 0x0a];

    #[test]
    fn same_source_and_flags_give_the_same_key() {
        let target = || Target::new("cpython-311", MAGIC, 0, true);
        assert_eq!(target().key(b"x = 1\n"), target().key(b"x = 1\n"));
    }

    #[test]
    fn every_field_makes_another_key() {
        let sources: [&[u8]; 4] = [b"", b"x = 1\n", b"x = 1", b"x = 1\r\n"];
        let mut keys = BTreeSet::new();
        let mut count = 0;
        for tag in ["cpython-311", "cpython-31", "cpython-312"] {
            for magic in [MAGIC, [0xa6, 0x0d, 0x0d, 0x0a]] {
                for optimization in 0..3 {
                    for debug_ranges in [false, true] {
                        let target = Target::new(tag, magic, optimization, debug_ranges);
                        for source in sources {
                            keys.insert(target.key(source));
                            count += 1;
                        }
                    }
                }
            }
        }
        assert_eq!(keys.len(), count);
    }

    #[test]
    fn one_changed_bit_makes_another_key() {
        let target = Target::new("cpython-311", MAGIC, 0, true);
        let source = b"def function(argument):\n    return argument + 1\n".to_vec();
        let mut keys = BTreeSet::from([target.key(&source)]);
        for position in 0..source.len() {
            for bit in 0..8 {
                let mut changed = source.clone();
                changed[position] ^= 1 << bit;
                assert!(keys.insert(target.key(&changed)), "byte {position}, bit {bit}");
            }
            assert!(keys.insert(target.key(&source[..position])), "cut off at {position}");
        }
    }

    #[test]
    fn directories_are_named_as_bytecode_files_are() {
        let directory = |tag, level| Target::new(tag, MAGIC, level, true).directory();
        assert_eq!(directory("cpython-311", 0), "cpython-311");
        assert_eq!(directory("cpython-311", 2), "cpython-311.opt-2");
        assert_eq!(directory("../../x", 0), "______x");
    }
}

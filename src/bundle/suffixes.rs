//! Which file names mean a module, for one Python.
//!
//! The rule is CPython's, from `Lib/importlib/_bootstrap_external.py`
//! (`_get_supported_file_loaders`): extension modules first, in the order of
//! `importlib.machinery.EXTENSION_SUFFIXES`, then source, then sourceless bytecode. Bytecode made
//! for a source lies at its PEP 3147 name, `__pycache__/mod.TAG.pyc` or `mod.TAG.opt-N.pyc`
//! (PEP 488), or directly beside it as `mod.pyc`.

/// The suffixes by which one Python recognises modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suffixes {
    extension: Vec<Box<str>>,
    cached: Box<str>,
    optimization: u8,
}

impl Suffixes {
    /// Suffixes for a Python with these extension suffixes (most specific first, such as
    /// `.cpython-311-x86_64-linux-gnu.so`), cache tag (`cpython-311`) and optimization level
    /// (`sys.flags.optimize`).
    pub fn new<S: AsRef<str>>(
        extension: impl IntoIterator<Item = S>,
        cache_tag: &str,
        optimization: u8,
    ) -> Self {
        let cached = match optimization {
            0 => format!(".{cache_tag}.pyc"),
            level => format!(".{cache_tag}.opt-{level}.pyc"),
        };
        Self {
            extension: extension.into_iter().map(|suffix| suffix.as_ref().into()).collect(),
            cached: cached.into(),
            optimization,
        }
    }

    /// The optimization level whose bytecode these suffixes select.
    #[must_use]
    pub fn optimization(&self) -> u8 {
        self.optimization
    }

    /// The suffix of extension modules with this rank; a lower rank wins.
    pub(crate) fn extension_suffix(&self, rank: u8) -> Option<&str> {
        self.extension.get(usize::from(rank)).map(|suffix| &**suffix)
    }

    /// The rank of a suffix of extension modules.
    pub(crate) fn extension_rank(&self, suffix: &str) -> Option<u8> {
        let rank = self.extension.iter().position(|known| **known == *suffix)?;
        u8::try_from(rank).ok()
    }

    /// What follows a module's name in the name of its bytecode.
    pub(crate) fn cached_suffix(&self) -> &str {
        &self.cached
    }

    /// What a file named `base` in a directory is, and the module's name without its suffix.
    pub(crate) fn classify<'name>(&self, base: &'name [u8]) -> FileKind<'name> {
        if let Some(stem) = base.strip_suffix(b".py") {
            return FileKind::Source(stem);
        }
        if let Some(stem) = base.strip_suffix(b".pyc") {
            return FileKind::Bytecode(stem);
        }
        if is_typing(base) {
            return FileKind::Typing;
        }
        for (rank, suffix) in self.extension.iter().enumerate() {
            if let Some(stem) = base.strip_suffix(suffix.as_bytes()) {
                return FileKind::Extension(stem, u8::try_from(rank).unwrap_or(u8::MAX));
            }
        }
        FileKind::Data
    }

    /// The module's name if `base`, in a `__pycache__` directory, is bytecode for this Python.
    pub(super) fn cached_stem<'name>(&self, base: &'name [u8]) -> Option<&'name [u8]> {
        base.strip_suffix(self.cached.as_bytes())
    }
}

/// What a file is to the import system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind<'name> {
    /// `stem.py`
    Source(&'name [u8]),
    /// `stem.pyc`, beside a source or instead of one.
    Bytecode(&'name [u8]),
    /// An extension module and the rank of its suffix; a lower rank wins.
    Extension(&'name [u8], u8),
    /// Only type checkers read it.
    Typing,
    /// Anything else.
    Data,
}

/// Whether only type checkers read a file of this name.
fn is_typing(base: &[u8]) -> bool {
    base.ends_with(b".pyi") || base == b"py.typed"
}

/// Whether a package that holds nothing but files like this one needs no real files: source,
/// bytecode and what type checkers read.
#[must_use]
pub fn is_python_file(base: &str) -> bool {
    let base = base.as_bytes();
    base.ends_with(b".py") || base.ends_with(b".pyc") || is_typing(base)
}

/// Whether a file name is that of a shared library or extension module: `x.so`, `libx.so.1.2`,
/// `libx.so.1.1k`, and the spellings of other platforms.
#[must_use]
pub fn is_shared_library(base: &[u8]) -> bool {
    if [&b".so"[..], b".pyd", b".dylib"]
        .iter()
        .any(|suffix| base.len() > suffix.len() && base.ends_with(suffix))
    {
        return true;
    }
    let Some(at) = base.windows(4).position(|window| window == b".so.") else { return false };
    at > 0
        && base[at + 4..].split(|byte| *byte == b'.').all(|part| {
            part.first().is_some_and(u8::is_ascii_digit)
                && part.iter().all(u8::is_ascii_alphanumeric)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_classified_as_cpython_does() {
        let suffixes = Suffixes::new(
            [".cpython-311-x86_64-linux-gnu.so", ".abi3.so", ".so"],
            "cpython-311",
            0,
        );
        let cases: &[(&str, FileKind)] = &[
            ("a.py", FileKind::Source(b"a")),
            ("a.pyc", FileKind::Bytecode(b"a")),
            ("a.cpython-311-x86_64-linux-gnu.so", FileKind::Extension(b"a", 0)),
            ("a.abi3.so", FileKind::Extension(b"a", 1)),
            ("a.so", FileKind::Extension(b"a", 2)),
            // Built for another Python: CPython would take it for the module `a.cpython-312-...`.
            (
                "a.cpython-312-x86_64-linux-gnu.so",
                FileKind::Extension(b"a.cpython-312-x86_64-linux-gnu", 2),
            ),
            ("libfoo.so.1", FileKind::Data),
            ("py.typed", FileKind::Typing),
            ("a.pyi", FileKind::Typing),
            ("Grammar.txt", FileKind::Data),
        ];
        for (name, kind) in cases {
            assert_eq!(suffixes.classify(name.as_bytes()), *kind, "{name}");
        }
    }

    #[test]
    fn optimization_selects_its_own_bytecode() {
        let plain = Suffixes::new([".so"], "cpython-311", 0);
        let optimized = Suffixes::new([".so"], "cpython-311", 2);
        assert_eq!(plain.cached_stem(b"a.cpython-311.pyc"), Some(&b"a"[..]));
        assert_eq!(plain.cached_stem(b"a.cpython-312.pyc"), None);
        assert_eq!(optimized.cached_stem(b"a.cpython-311.opt-2.pyc"), Some(&b"a"[..]));
        assert_eq!(optimized.cached_stem(b"a.cpython-311.pyc"), None);
    }

    #[test]
    fn shared_libraries_are_told_by_name() {
        for (name, expected) in [
            ("a.so", true),
            ("libz.so.1", true),
            ("libz.so.1.2.11", true),
            ("a.so.txt", false),
            ("a.so.", false),
            ("libssl-81259c47.so.1.1.1k", true),
            ("a.so.a1", false),
            ("a.so.1-2", false),
            ("a.sock", false),
            (".so", false),
            ("so", false),
            ("a.pyd", true),
        ] {
            assert_eq!(is_shared_library(name.as_bytes()), expected, "{name}");
        }
    }
}

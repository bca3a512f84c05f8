//! What a lookup in the index finds: a module with the entries that it can be loaded from, or a
//! portion of a namespace package.

/// What an import of a name finds. The entries are offsets of central directory headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A module or package with code.
    Module(FoundModule),
    /// A directory without `__init__`: a portion of a namespace package.
    NamespacePortion,
}

/// A module or package and the entries it can be made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundModule {
    /// Whether it is a package.
    pub is_package: bool,
    /// What to load.
    pub kind: FoundKind,
}

/// Which entries a module is loaded from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundKind {
    /// An extension module.
    Extension(u32),
    /// A source and the bytecode that may stand for it: at its PEP 3147 name, or beside it.
    Source {
        /// `mod.py`
        source: u32,
        /// `__pycache__/mod.TAG.pyc` for the Python that asks.
        cached: Option<u32>,
        /// `mod.pyc`
        beside: Option<u32>,
    },
    /// Bytecode without a source.
    Bytecode(u32),
}

//! The order in which a bundle's entries lie, and how each lies there.
//!
//! First `mmport.json` and the bundle's `__main__`, then all bytecode together, so that a start
//! reads neighbouring pages; then what only some programs read: sources, metadata, data, native
//! code. Within each the order is that of the names; of bytecode, first that in which a run of the program
//! has loaded it, where one was asked for.

use std::collections::HashMap;

use super::names;
use super::tree::Tree;
use crate::bundle::Compression;

/// The bundle's main module.
pub(super) const MAIN_SOURCE: &str = "__main__.py";

/// A part of the bundle. The order is the order in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Section {
    /// The sources.
    Sources,
    /// The distributions' metadata.
    Metadata,
    /// Everything that is not Python's.
    Data,
    /// Extension modules and shared libraries.
    Native,
}

impl Section {
    fn of(name: &str) -> Self {
        if names::is_metadata(name) {
            Self::Metadata
        } else if names::is_source(name) {
            Self::Sources
        } else if names::is_native(name) {
            Self::Native
        } else {
            Self::Data
        }
    }

    /// How its entries are kept where that makes them smaller. Metadata is read by
    /// `importlib.metadata` while programs start, and is small.
    pub(super) fn compression(self, libraries: Compression) -> Compression {
        match self {
            Self::Sources | Self::Data => Compression::Deflated,
            Self::Metadata => Compression::Stored,
            Self::Native => libraries,
        }
    }
}

/// An entry of the bytecode section.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BytecodeEntry<'tree> {
    /// Made from the source of this name.
    Compiled(&'tree str),
    /// Brought by an input, under this name, without its source.
    Sourceless(&'tree str),
}

impl BytecodeEntry<'_> {
    /// What orders the section: the module first that runs first, then those that a run has loaded, by when,
    /// then all others, by name.
    fn key(&self, ranks: &HashMap<&str, usize>) -> (bool, usize, &str) {
        let stem = match self {
            Self::Compiled(name) => name.strip_suffix(".py"),
            Self::Sourceless(name) => name.strip_suffix(".pyc"),
        };
        let stem = stem.unwrap_or_default();
        (stem != "__main__", ranks.get(stem).copied().unwrap_or(usize::MAX), stem)
    }
}

/// The entries of `tree` in the order in which they are written.
#[derive(Debug)]
pub(super) struct Layout<'tree> {
    /// The bytecode.
    pub bytecode: Vec<BytecodeEntry<'tree>>,
    /// Everything after it, without the main module's source, which comes before.
    pub rest: Vec<(Section, &'tree str)>,
}

impl<'tree> Layout<'tree> {
    /// Lays out `tree`; `loaded` are names without suffixes, in the order in which a run has loaded them.
    pub(super) fn of(tree: &'tree Tree, loaded: &[String]) -> Self {
        let ranks = loaded.iter().enumerate().map(|(rank, name)| (name.as_str(), rank)).collect();
        let (mut bytecode, mut rest) = (Vec::new(), Vec::new());
        for name in tree.names() {
            let metadata = names::is_metadata(name);
            if names::is_source(name) && !metadata {
                bytecode.push(BytecodeEntry::Compiled(name));
            }
            if names::is_bytecode(name) && !metadata {
                bytecode.push(BytecodeEntry::Sourceless(name));
            } else if name != MAIN_SOURCE {
                rest.push((Section::of(name), name));
            }
        }
        bytecode.sort_by(|one, other| one.key(&ranks).cmp(&other.key(&ranks)));
        // Stable: the names are sorted already.
        rest.sort_by_key(|(section, _)| *section);
        Self { bytecode, rest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytecode_lies_together_and_the_main_module_first() {
        let mut tree = Tree::default();
        for name in [
            "a.py",
            "__main__.py",
            "a-1.dist-info/METADATA",
            "b/only.pyc",
            "b/__init__.py",
            "b/_x.so",
            "b/data.json",
        ] {
            tree.set(name, Vec::new());
        }
        let layout = Layout::of(&tree, &[]);
        assert_eq!(
            layout.bytecode,
            [
                BytecodeEntry::Compiled("__main__.py"),
                BytecodeEntry::Compiled("a.py"),
                BytecodeEntry::Compiled("b/__init__.py"),
                BytecodeEntry::Sourceless("b/only.pyc"),
            ]
        );
        let rest: Vec<&str> = layout.rest.iter().map(|(_, name)| *name).collect();
        assert_eq!(
            rest,
            ["a.py", "b/__init__.py", "a-1.dist-info/METADATA", "b/data.json", "b/_x.so"]
        );
        let loaded = ["b/only", "a"].map(str::to_owned);
        assert_eq!(
            Layout::of(&tree, &loaded).bytecode,
            [
                BytecodeEntry::Compiled("__main__.py"),
                BytecodeEntry::Sourceless("b/only.pyc"),
                BytecodeEntry::Compiled("a.py"),
                BytecodeEntry::Compiled("b/__init__.py"),
            ]
        );
    }
}

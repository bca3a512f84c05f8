//! What an entry is, told from its name alone.

use crate::bundle::{is_metadata_directory, is_python_file, is_shared_library};

/// Name of an entry's last part.
pub(super) fn file_name(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, last)| last)
}

/// Name of the directory that an entry lies in; empty for the bundle's root.
pub(super) fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Whether the entry is a Python source.
pub(super) fn is_source(name: &str) -> bool {
    name.ends_with(".py")
}

/// Whether the entry is bytecode.
pub(super) fn is_bytecode(name: &str) -> bool {
    name.ends_with(".pyc")
}

/// Whether the entry is an extension module or a shared library.
pub(super) fn is_native(name: &str) -> bool {
    is_shared_library(file_name(name).as_bytes())
}

/// Whether the entry is only for Python and its tools, so that no program opens it as a file.
pub(super) fn is_python_only(name: &str) -> bool {
    is_python_file(file_name(name))
}

/// Whether the entry lies in a distribution's metadata at the bundle's root.
pub(super) fn is_metadata(name: &str) -> bool {
    name.split_once('/').is_some_and(|(top, _)| is_metadata_directory(top))
}

/// The normalized name of the distribution in a metadata directory.
pub(super) fn distribution(directory: &str) -> String {
    let stem = directory.rsplit_once('.').map_or(directory, |(stem, _)| stem);
    let name = stem.split('-').next().unwrap_or(stem).to_lowercase();
    name.replace(['.', '_'], "-")
}

/// The module that an extension module's file name is for, as the interpreter's suffixes say.
pub(super) fn extension_module<'name>(name: &'name str, suffixes: &[String]) -> Option<&'name str> {
    let file = file_name(name);
    (suffixes.iter())
        .filter_map(|suffix| file.strip_suffix(suffix.as_str()))
        .filter(|stem| !stem.is_empty())
        .min_by_key(|stem| stem.len())
}

/// Whether `text` can be a module's name in the file system: compilers of modules also write some
/// that begin with a digit, which only the import machinery can name.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty()
        && (text.chars()).all(|character| character == '_' || character.is_alphanumeric())
}

/// Whether `text` can be a part of a dotted name in a program.
pub(super) fn is_identifier(text: &str) -> bool {
    let mut characters = text.chars();
    (characters.next()).is_some_and(|first| first == '_' || first.is_alphabetic())
        && characters.all(|character| character == '_' || character.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_extension_suffix_decides() {
        let suffixes = [".cpython-311-x86_64-linux-gnu.so".to_owned(), ".so".to_owned()];
        let name = "pkg/_speed.cpython-311-x86_64-linux-gnu.so";
        assert_eq!(extension_module(name, &suffixes), Some("_speed"));
        assert_eq!(extension_module("pkg/_speed.py", &suffixes), None);
    }

    #[test]
    fn metadata_only_at_the_root() {
        assert!(is_metadata("black-24.1.dist-info/METADATA"));
        assert!(!is_metadata("pkg/_vendor/x-1.dist-info/METADATA"));
        assert!(!is_metadata("x.dist-info"));
    }
}

//! The distributions in a bundle, told by their metadata directories.

use crate::bundle::{Distribution, is_metadata_directory};

use super::error::BuildError;
use super::tree::Tree;

/// The distributions in `tree`, by their directories' names.
///
/// # Errors
///
/// [`BuildError::Read`].
pub(super) fn distributions(tree: &Tree) -> Result<Vec<Distribution>, BuildError> {
    let mut found = Vec::new();
    for (name, item) in tree.iter() {
        if let Some((directory, "METADATA" | "PKG-INFO")) = name.split_once('/')
            && is_metadata_directory(directory)
        {
            found.push(Distribution::parse(directory, &item.content.read()?));
        }
    }
    Ok(found)
}

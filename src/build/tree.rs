//! What goes into a bundle before it is written: names in sorted order, each with its content and
//! where it came from. Two inputs may bring the same file; they may not bring different ones.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::error::BuildError;
use super::names;

/// Where an entry's bytes are.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// In a file.
    File(Arc<Path>),
    /// In memory.
    Bytes(Arc<[u8]>),
}

impl Content {
    /// The bytes.
    ///
    /// # Errors
    ///
    /// [`BuildError::Read`].
    pub(super) fn read(&self) -> Result<Cow<'_, [u8]>, BuildError> {
        match self {
            Self::File(path) => fs::read(path).map(Cow::Owned).map_err(BuildError::read(path)),
            Self::Bytes(bytes) => Ok(Cow::Borrowed(bytes)),
        }
    }
}

/// A file that goes into the bundle.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// Its bytes.
    pub content: Content,
    /// How many there are.
    pub size: u64,
    /// Whether it may be executed.
    pub executable: bool,
    /// Which input it is from, for messages.
    pub origin: Arc<str>,
}

/// Everything that goes into the bundle, by name.
#[derive(Debug, Default)]
pub(super) struct Tree {
    items: BTreeMap<String, Item>,
    empty_directories: BTreeSet<String>,
}

impl Tree {
    /// Adds a file.
    ///
    /// # Errors
    ///
    /// [`BuildError::Conflict`] when another input brought a different one of that name.
    pub(super) fn add(&mut self, name: String, item: Item) -> Result<(), BuildError> {
        let Some(earlier) = self.items.get_mut(&name) else {
            self.items.insert(name, item);
            return Ok(());
        };
        // What an installer notes about itself differs between two environments that hold the
        // same distribution; the first one's notes stay.
        if is_installers_note(&name) {
            return Ok(());
        }
        if earlier.size == item.size && earlier.content.read()? == item.content.read()? {
            earlier.executable |= item.executable;
            return Ok(());
        }
        Err(BuildError::Conflict {
            name,
            first: earlier.origin.to_string(),
            second: item.origin.to_string(),
        })
    }

    /// Adds a file that mmport writes itself, in place of one that is there.
    pub(super) fn set(&mut self, name: &str, bytes: Vec<u8>) {
        let item = Item {
            size: bytes.len() as u64,
            content: Content::Bytes(bytes.into()),
            executable: false,
            origin: Arc::from("mmport"),
        };
        self.items.insert(name.to_owned(), item);
    }

    /// Removes a file.
    pub(super) fn remove(&mut self, name: &str) {
        self.items.remove(name);
    }

    /// Notes a directory without files.
    pub(super) fn add_empty_directory(&mut self, name: String) {
        self.empty_directories.insert(name);
    }

    /// The files themselves, by name.
    pub(super) fn into_files(self) -> impl Iterator<Item = (String, Item)> {
        self.items.into_iter()
    }

    /// The file of that name.
    pub(super) fn get(&self, name: &str) -> Option<&Item> {
        self.items.get(name)
    }

    /// Whether there is a file of that name.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.items.contains_key(name)
    }

    /// Whether there is a directory of that name.
    pub(super) fn contains_directory(&self, name: &str) -> bool {
        let prefix = format!("{name}/");
        self.empty_directories.contains(name)
            || (self.items.range(prefix.clone()..).next())
                .is_some_and(|(found, _)| found.starts_with(&prefix))
    }

    /// The files, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Item)> + Clone {
        self.items.iter().map(|(name, item)| (name.as_str(), item))
    }

    /// The names of the files, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.items.keys().map(String::as_str)
    }

    /// The directories that no file gives rise to, sorted.
    pub(super) fn empty_directories(&self) -> impl Iterator<Item = &str> {
        (self.empty_directories.iter().map(String::as_str)).filter(|name| {
            let prefix = format!("{name}/");
            !(self.items.range(prefix.clone()..).next())
                .is_some_and(|(found, _)| found.starts_with(&prefix))
        })
    }
}

/// Whether the entry tells how a distribution was installed rather than what it is.
fn is_installers_note(name: &str) -> bool {
    names::is_metadata(name)
        && matches!(
            names::file_name(name),
            "RECORD" | "INSTALLER" | "REQUESTED" | "direct_url.json"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(text: &str, origin: &str) -> Item {
        Item {
            size: text.len() as u64,
            content: Content::Bytes(text.as_bytes().into()),
            executable: false,
            origin: Arc::from(origin),
        }
    }

    #[test]
    fn the_same_file_twice_is_one_and_a_different_one_is_a_conflict() {
        let mut tree = Tree::default();
        tree.add("a/b.py".into(), item("x", "one")).unwrap();
        tree.add("a/b.py".into(), item("x", "two")).unwrap();
        let error = tree.add("a/b.py".into(), item("y", "two")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "put two different files at `a/b.py`: one from one, one from two"
        );
    }

    #[test]
    fn installers_may_disagree_about_themselves() {
        let mut tree = Tree::default();
        let name = "p-1.dist-info/INSTALLER";
        tree.add(name.into(), item("pip", "one")).unwrap();
        tree.add(name.into(), item("uv", "two")).unwrap();
        assert_eq!(tree.get(name).unwrap().origin.as_ref(), "one");
    }

    #[test]
    fn directories_are_known_by_their_files() {
        let mut tree = Tree::default();
        tree.add("a/b.py".into(), item("x", "one")).unwrap();
        tree.add("a.b/c.py".into(), item("x", "one")).unwrap();
        tree.add_empty_directory("a".into());
        tree.add_empty_directory("e".into());
        assert!(tree.contains_directory("a"));
        assert!(!tree.contains_directory("a/b.py"));
        assert_eq!(tree.empty_directories().collect::<Vec<_>>(), ["e"]);
    }
}

//! The distributions in a bundle, told by their metadata directories.

use super::error::BuildError;
use super::names;
use super::tree::Tree;

/// An installed distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// Its name, as its metadata spells it.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its metadata directory in the bundle, as `black-24.1.0.dist-info`.
    pub directory: String,
}

impl Distribution {
    /// The distributions in `tree`, by their directories' names.
    ///
    /// # Errors
    ///
    /// [`BuildError::Read`].
    pub(super) fn all(tree: &Tree) -> Result<Vec<Self>, BuildError> {
        let mut found = Vec::new();
        for (name, item) in tree.iter() {
            let Some((directory, file)) = name.split_once('/') else {
                continue;
            };
            if names::is_metadata_directory(directory) && matches!(file, "METADATA" | "PKG-INFO") {
                let metadata = item.content.read()?;
                found.push(Self::from_metadata(directory, &String::from_utf8_lossy(&metadata)));
            }
        }
        Ok(found)
    }

    /// A distribution as its metadata's headers say, or as its directory's name says where they
    /// are silent.
    fn from_metadata(directory: &str, metadata: &str) -> Self {
        let header = |wanted: &str| {
            (metadata.lines())
                .take_while(|line| !line.trim().is_empty())
                .filter_map(|line| line.split_once(':'))
                .find(|(key, _)| key.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.trim().to_owned())
        };
        let stem = directory.rsplit_once('.').map_or(directory, |(stem, _)| stem);
        let (name, version) = stem.split_once('-').unwrap_or((stem, ""));
        Self {
            name: header("Name").unwrap_or_else(|| name.to_owned()),
            version: header("Version").unwrap_or_else(|| version.to_owned()),
            directory: directory.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_before_the_directory_name() {
        let metadata = "Metadata-Version: 2.1\nName: Foo-Bar\nversion: 1.0\n\nName: not a header\n";
        let distribution = Distribution::from_metadata("foo_bar-1.0.dist-info", metadata);
        assert_eq!((distribution.name.as_str(), distribution.version.as_str()), ("Foo-Bar", "1.0"));
        let distribution = Distribution::from_metadata("foo_bar-1.0.dist-info", "");
        assert_eq!((distribution.name.as_str(), distribution.version.as_str()), ("foo_bar", "1.0"));
    }
}

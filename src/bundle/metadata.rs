//! Metadata of distributions: names and versions, and the scripts that they declare.

use serde::Serialize;

/// The sections of `entry_points.txt` whose entries are scripts.
const SCRIPT_GROUPS: [&str; 2] = ["console_scripts", "gui_scripts"];

/// Whether a directory at the root holds the metadata of a distribution.
#[must_use]
pub fn is_metadata_directory(name: &str) -> bool {
    name.ends_with(".dist-info") || name.ends_with(".egg-info")
}

/// A distribution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Distribution {
    /// Its name, as its metadata spells it.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence, as its metadata says it: an SPDX expression (PEP 639), or what came before that.
    pub license: Option<String>,
}

/// What classifiers of licences begin with.
const LICENSE_CLASSIFIER: &str = "License :: ";
/// What older metadata says for nothing.
const UNKNOWN: &str = "UNKNOWN";

impl Distribution {
    /// The distribution that the headers of `metadata` (a `METADATA` or `PKG-INFO`) describe; where
    /// they are silent, the name of its directory (`black-24.1.0.dist-info`) speaks.
    #[must_use]
    pub fn parse(directory: &str, metadata: &[u8]) -> Self {
        let metadata = String::from_utf8_lossy(metadata);
        let headers = |wanted: &'static str| {
            (metadata.lines())
                .take_while(|line| !line.trim().is_empty())
                .filter_map(|line| line.split_once(':'))
                .filter(move |(key, _)| key.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.trim().to_owned())
        };
        let header = |wanted| headers(wanted).next();
        let classifiers: Vec<String> = headers("Classifier")
            .filter_map(|text| {
                text.strip_prefix(LICENSE_CLASSIFIER)?.rsplit(" :: ").next().map(str::to_owned)
            })
            .collect();
        let license = header("License-Expression")
            .or_else(|| (!classifiers.is_empty()).then(|| classifiers.join(", ")))
            .or_else(|| header("License").filter(|text| !text.is_empty() && text != UNKNOWN));
        let stem = directory.rsplit_once('.').map_or(directory, |(stem, _)| stem);
        let (name, version) = stem.split_once('-').unwrap_or((stem, ""));
        Self {
            name: header("Name").unwrap_or_else(|| name.to_owned()),
            version: header("Version").unwrap_or_else(|| version.to_owned()),
            license,
        }
    }
}

/// A script that a distribution declares.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ScriptEntryPoint {
    /// Name of the script.
    pub name: String,
    /// `module:object`, and extras in brackets.
    pub value: String,
    /// `console_scripts` or `gui_scripts`
    pub group: String,
}

impl ScriptEntryPoint {
    /// The scripts in an `entry_points.txt`, read as `importlib.metadata` reads it: sections in
    /// brackets, one `name = value` a line, lines that begin with `#` are comments.
    #[must_use]
    pub fn parse(text: &[u8]) -> Vec<Self> {
        let text = String::from_utf8_lossy(text);
        let mut group = "";
        let mut scripts = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                group = name.trim();
            } else if SCRIPT_GROUPS.contains(&group)
                && let Some((name, value)) = line.split_once('=')
            {
                scripts.push(Self {
                    name: name.trim().to_owned(),
                    value: value.trim().to_owned(),
                    group: group.to_owned(),
                });
            }
        }
        scripts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distribution(name: &str, version: &str, license: Option<&str>) -> Distribution {
        let license = license.map(str::to_owned);
        Distribution { name: name.into(), version: version.into(), license }
    }

    #[test]
    fn licences_are_read_from_the_most_telling_header() {
        for (headers, expected) in [
            ("License-Expression: MIT\nLicense: no\n", Some("MIT")),
            (
                "License: text\nClassifier: License :: OSI Approved :: MIT License\n",
                Some("MIT License"),
            ),
            ("License: BSD\nClassifier: Topic :: Software\n", Some("BSD")),
            ("License: UNKNOWN\n", None),
            ("Name: a\n\nLicense: in the description\n", None),
        ] {
            let found = Distribution::parse("a-1.dist-info", headers.as_bytes());
            assert_eq!(found, distribution("a", "1", expected), "{headers}");
        }
    }

    #[test]
    fn headers_come_before_the_directory_name() {
        let metadata = "Metadata-Version: 2.1\nName: Foo-Bar\nversion: 1.0\n\nName: no header\n";
        let found = Distribution::parse("foo_bar-2.0.dist-info", metadata.as_bytes());
        assert_eq!(found, distribution("Foo-Bar", "1.0", None));
        let found = Distribution::parse("foo_bar-2.0.dist-info", b"");
        assert_eq!(found, distribution("foo_bar", "2.0", None));
    }

    #[test]
    fn scripts_are_told_from_other_entry_points() {
        let text = b"# comment\n[console_scripts]\nblack = black:main\n# b = c:d\n\
                     blackd=blackd:main [d]\n[plugins]\nx = y:z\n[ gui_scripts ]\ng = a.b:C.d\n";
        let found = ScriptEntryPoint::parse(text);
        let pairs: Vec<(&str, &str)> =
            found.iter().map(|script| (&*script.name, &*script.value)).collect();
        assert_eq!(
            pairs,
            [("black", "black:main"), ("blackd", "blackd:main [d]"), ("g", "a.b:C.d")]
        );
    }
}

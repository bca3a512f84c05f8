//! Platforms other than the one that builds, by the tags that wheels have.

use super::error::BuildError;
use super::interpreter::Interpreter;
use crate::bundle::TargetPython;

/// Older names of tags, and the minor version of glibc 2 that each stands for (PEP 600).
const LEGACY: [(&str, u32); 3] = [("manylinux2014", 17), ("manylinux2010", 12), ("manylinux1", 5)];

/// A Linux platform that wheels are chosen for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// The tag, as pip takes it: `manylinux_2_28_aarch64`.
    tag: String,
    /// `manylinux_2_28`
    system: String,
    /// `aarch64`
    machine: String,
}

impl Platform {
    /// Reads a tag of PEP 600 or PEP 656, or an older name of such a tag.
    ///
    /// # Errors
    ///
    /// [`BuildError::UnknownPlatform`].
    pub fn parse(tag: &str) -> Result<Self, BuildError> {
        let unknown = || BuildError::UnknownPlatform { found: tag.to_owned() };
        let parts: Vec<&str> = tag.splitn(4, '_').collect();
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        let (system, machine) = match parts[..] {
            ["manylinux" | "musllinux", major, minor, machine]
                if is_number(major) && is_number(minor) =>
            {
                (format!("{}_{major}_{minor}", parts[0]), machine.to_owned())
            }
            [system, ..] if LEGACY.iter().any(|(name, _)| *name == system) => {
                (system.to_owned(), parts[1..].join("_"))
            }
            _ => return Err(unknown()),
        };
        if machine.is_empty() || !machine.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_')
        {
            return Err(unknown());
        }
        Ok(Self { tag: tag.to_owned(), system, machine })
    }

    /// The tag, as it was given.
    pub(super) fn tag(&self) -> &str {
        &self.tag
    }

    /// All that pip takes after `--platform`: wheels for an older C library run there, too.
    pub(super) fn tags(&self) -> Vec<String> {
        let (family, major, newest) = self.library();
        let names = (0..=newest).rev().flat_map(|minor| {
            let legacy = LEGACY
                .iter()
                .find(|(_, version)| (family, major, minor) == ("manylinux", 2, *version));
            [Some(format!("{family}_{major}_{minor}")), legacy.map(|(name, _)| (*name).to_owned())]
        });
        names.flatten().map(|name| format!("{name}_{}", self.machine)).collect()
    }

    /// Family, major and minor version of the C library.
    fn library(&self) -> (&str, u32, u32) {
        if let Some((_, version)) = LEGACY.iter().find(|(name, _)| *name == self.system) {
            return ("manylinux", 2, *version);
        }
        let mut parts = self.system.split('_');
        let family = parts.next().unwrap_or_default();
        let mut number = || parts.next().and_then(|text| text.parse().ok()).unwrap_or_default();
        // No C library has a hundred minor versions; pip would be given as many options.
        (family, number(), number().min(99))
    }

    /// What uv takes after `--python-platform`.
    pub(super) fn triple(&self) -> String {
        match self.system.starts_with("musl") {
            true => format!("{}-unknown-linux-musl", self.machine),
            false => format!("{}-{}", self.machine, self.system),
        }
    }

    /// `interpreter` as it would describe itself there.
    pub(super) fn target(&self, interpreter: &Interpreter) -> TargetPython {
        let library = if self.system.starts_with("musl") { "musl" } else { "gnu" };
        TargetPython {
            soabi: format!("{}-{}-linux-{library}", interpreter.cache_tag, self.machine),
            platform: format!("linux-{}", self.machine),
            ..interpreter.target(true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_taken_apart() {
        for (tag, triple) in [
            ("manylinux_2_28_aarch64", "aarch64-manylinux_2_28"),
            ("manylinux_2_17_x86_64", "x86_64-manylinux_2_17"),
            ("manylinux2014_x86_64", "x86_64-manylinux2014"),
            ("musllinux_1_2_x86_64", "x86_64-unknown-linux-musl"),
        ] {
            let platform = Platform::parse(tag).unwrap();
            assert_eq!((platform.tag(), platform.triple()), (tag, triple.to_owned()));
        }
    }

    #[test]
    fn older_libraries_count() {
        let tags = |tag: &str| Platform::parse(tag).unwrap().tags();
        let found = tags("manylinux_2_28_aarch64");
        assert_eq!(found[0], "manylinux_2_28_aarch64");
        for older in ["manylinux_2_17_aarch64", "manylinux2014_aarch64", "manylinux1_aarch64"] {
            assert!(found.iter().any(|tag| tag == older), "{older}");
        }
        assert_eq!(tags("manylinux2014_x86_64")[0], "manylinux_2_17_x86_64");
        assert_eq!(tags("musllinux_1_1_x86_64"), ["musllinux_1_1_x86_64", "musllinux_1_0_x86_64"]);
    }

    #[test]
    fn what_is_no_linux_tag_is_refused() {
        for tag in [
            "",
            "win_amd64",
            "macosx_11_0_arm64",
            "manylinux",
            "manylinux_2_x_aarch64",
            "manylinux_2_28_",
            "manylinux2014",
            "manylinux_2_28_a/b",
            "linux_x86_64",
        ] {
            assert!(Platform::parse(tag).is_err(), "{tag}");
        }
    }
}

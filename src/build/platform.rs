//! Platforms other than the one that builds, by the tags that wheels have.

use super::error::BuildError;
use super::interpreter::Interpreter;
use crate::bundle::TargetPython;

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
            [system @ ("manylinux1" | "manylinux2010" | "manylinux2014"), ..] => {
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

    /// What pip takes after `--platform`.
    pub(super) fn tag(&self) -> &str {
        &self.tag
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

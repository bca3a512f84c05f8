"""Running programs, and comparing what they did."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

Word = str | os.PathLike[str]

# Long enough for an installation on a slow network.
INSTALLATION = 600
# Reached only where something hangs.
TIMEOUT = 60

# Variables that change what Python, mmport or a program under test does.
_CHANGES_PROGRAMS = re.compile(
    r"PYTHON(?!_?KEYRING).*|MMPORT_.*|VIRTUAL_ENV|COLUMNS|LINES|CI|GITHUB_.*|(FORCE|NO)_COLOR"
    r"|PYTEST_.*|PYENV_VERSION|DJANGO_.*|ANSIBLE_.*|POETRY_.*|XDG_.*|LC_.*|LANG|LANGUAGE|TERM"
)


def clean_environment() -> dict[str, str]:
    """Return the environment without what would change the outcome of a test."""
    kept = {k: v for k, v in os.environ.items() if not _CHANGES_PROGRAMS.fullmatch(k)}
    return {**kept, "LC_ALL": "C.UTF-8", "TERM": "dumb", "COLUMNS": "100"}


@dataclass(frozen=True)
class Outcome:
    """What a program did: its exit status (negative: the signal that ended it) and its output."""

    status: int
    stdout: str
    stderr: str

    def __str__(self) -> str:
        return f"status {self.status}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"

    def named(self, names: Names) -> Outcome:
        """Return the outcome with places replaced by their common names."""
        return replace(self, stdout=names(self.stdout), stderr=names(self.stderr))

    def succeeded(self) -> Outcome:
        """Return the outcome itself, if it is a success."""
        assert self.status == 0, str(self)
        return self


def run_program(
    command: Sequence[Word],
    *,
    environment: Mapping[str, str],
    cwd: Path,
    stdin: str = "",
    timeout: float = TIMEOUT,
) -> Outcome:
    """Run a command to its end."""
    finished = subprocess.run(
        [os.fspath(word) for word in command],
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="backslashreplace",
        cwd=cwd,
        env=dict(environment),
        timeout=timeout,
    )
    return Outcome(finished.returncode, finished.stdout, finished.stderr)


@dataclass(frozen=True)
class Runner:
    """Runs commands in one environment and working directory."""

    environment: Mapping[str, str]
    cwd: Path

    def __call__(
        self, *command: Word, stdin: str = "", cwd: Path | None = None, **variables: str
    ) -> Outcome:
        """Run a command; `variables` are added to its environment."""
        environment = {**self.environment, **variables}
        return run_program(command, environment=environment, cwd=cwd or self.cwd, stdin=stdin)


@dataclass(frozen=True)
class Names:
    """Replaces places of this run by common names; the longest place first."""

    places: Mapping[str | Path, str] = field(default_factory=dict)
    patterns: Mapping[str, str] = field(default_factory=dict)

    def also(self, patterns: Mapping[str, str]) -> Names:
        """Return what replaces these patterns first."""
        return replace(self, patterns={**patterns, **self.patterns})

    def __call__(self, text: str) -> str:
        for pattern, name in self.patterns.items():
            text = re.sub(pattern, name, text)
        for place in sorted(map(str, self.places), key=len, reverse=True):
            by_path = {str(path): name for path, name in self.places.items()}
            # A place's name ends where a further component begins, or the path ends.
            text = re.sub(re.escape(place) + r"(?![\w.-])", by_path[place], text)
        return text


def names_in_bundle(bundle: Path, root: Path) -> Names:
    """Name the places of a program that runs from a bundle; `root` is `MMPORT_ROOT`."""
    environment = rf"{re.escape(str(root))}/environments-v1/[0-9a-f]{{32}}"
    return Names(
        # Only in front of a slash: by itself the bundle's path is the program's name.
        patterns={
            rf"{re.escape(str(bundle))}(?=/)": "<packages>",
            rf"{re.escape(str(root))}/trees-v2/[0-9a-f]{{32}}/site-packages": "<packages>",
            rf"{environment}/bin/python(3(\.\d+)?)?(?![\w.])": "<python>",
            environment: "<prefix>",
        },
        places={bundle: "<program>", bundle.parent: "<programs>"},
    )


def names_in_venv(venv: Path, program: str) -> Names:
    """Name the places of a script of a virtual environment."""
    return Names(
        patterns={
            rf"{re.escape(str(venv))}/lib/python3\.\d+/site-packages": "<packages>",
            rf"{re.escape(str(venv))}/bin/python(3(\.\d+)?)?(?![\w.])": "<python>",
        },
        places={venv / "bin" / program: "<program>", venv / "bin": "<programs>", venv: "<prefix>"},
    )


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files below a folder; names may have folders of their own."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def files_below(folder: Path) -> dict[str, bytes]:
    """Return the content of all files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }

"""Which Pythons there are on this machine, and which of them mmport can be built for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "target" / "tests"
SUPPORTED = [(3, minor) for minor in range(10, 14)]

# Answers which Python it is, and whether there is a libpython that a program can be linked with.
PROBE = """
import json, os, sys, sysconfig
names = {sysconfig.get_config_var(v) for v in ("LDLIBRARY", "LIBRARY", "INSTSONAME")} - {None}
places = [sysconfig.get_config_var(v) for v in ("LIBDIR", "LIBPL")]
print(json.dumps({
    "executable": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
    "implementation": sys.implementation.name,
    "version": sys.version_info[:3],
    "linkable": any(os.path.exists(os.path.join(p, n)) for p in places if p for n in names),
}))
"""


class StepFailed(Exception):
    """A step could not be done; the message says what to do about it."""


@dataclass(frozen=True)
class Python:
    """A CPython that mmport is built for and tested with."""

    executable: Path
    version: tuple[int, int, int]
    linkable: bool

    @property
    def name(self) -> str:
        """Return the minor version, such as `3.11`."""
        return "{}.{}".format(*self.version)

    @property
    def place(self) -> Path:
        """Return where everything that is made for this Python is kept."""
        return TESTS / self.name


def probe(command: str | Path) -> Python | None:
    """Ask a command which Python it is; `None` where it is no supported CPython."""
    try:
        answer = subprocess.run(
            [command, "-I", "-c", PROBE], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    facts = json.loads(answer.stdout)
    if facts["implementation"] != "cpython" or tuple(facts["version"][:2]) not in SUPPORTED:
        return None
    return Python(Path(facts["executable"]), tuple(facts["version"]), facts["linkable"])


def find_pythons() -> list[Python]:
    """Find the newest linkable patch release of each supported minor version."""
    candidates = [shutil.which("python{}.{}".format(*version)) for version in SUPPORTED]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates += [str(path) for path in sorted(pyenv.glob("versions/*/bin/python3"))]
    newest: dict[str, Python] = {}
    for candidate in filter(None, [sys.executable, *candidates]):
        python = probe(candidate)
        if python is None or not python.linkable:
            continue
        known = newest.get(python.name)
        if known is None or python.version > known.version:
            newest[python.name] = python
    return sorted(newest.values(), key=lambda python: python.version)


def named(command: str | Path) -> Python:
    """Return the Python of a command, or fail where it cannot be used."""
    python = probe(command)
    if python is None:
        raise StepFailed(f"`{command}` is no CPython 3.10 to 3.13; name one with --python")
    if not python.linkable:
        raise StepFailed(
            f"`{python.executable}` has no libpython to link with; on Debian and Ubuntu: "
            f"apt-get install libpython{python.name}-dev; or name another one with --python"
        )
    return python

"""Programs in a root directory of their own that has the C library and nothing else.

    python empty_root.py ROOT PLACE... -- PROGRAM [ARGUMENT...]

Run as a program, in a mount namespace: shows the directories `PLACE` at their paths in `ROOT`,
makes it the root directory, and becomes `PROGRAM`.
"""

from __future__ import annotations

import functools
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from support import Outcome, Runner, Word

# What belongs to glibc, by the beginning of its name.
C_LIBRARY = ("ld-linux", "libc", "libdl", "libm", "libpthread", "libresolv", "librt", "libutil")
DEVICES = ("null", "random", "tty", "urandom", "zero")


def c_library() -> list[Path]:
    """Return the files of the C library on this machine."""
    # The loader says where they are.
    listing = subprocess.run(["ldd", sys.executable], capture_output=True, text=True, check=True)
    paths = [Path(found) for found in re.findall(r"(/\S+) \(0x", listing.stdout)]
    names = {f"{name}.so" for name in C_LIBRARY} | {f"{C_LIBRARY[0]}-{platform.machine()}.so"}
    directory = next(path.parent for path in paths if path.name.startswith("libc.so"))
    found = [path for path in paths if path.name.startswith("ld-linux")]
    for path in sorted(directory.iterdir()):
        if any(path.name.startswith(f"{name}.") for name in names):
            found.append(path)
    return found


@functools.cache
def _unshare() -> tuple[str, ...] | None:
    for flags in ("-mn", "-Urmn"):
        prefix = ("unshare", flags)
        if (
            shutil.which("unshare")
            and not subprocess.run(
                [*prefix, "mount", "-t", "tmpfs", "tmpfs", "/tmp"], capture_output=True
            ).returncode
        ):
            return prefix
    return None


def in_empty_root(root: Path, places: Sequence[Path], *command: Word) -> list[Word]:
    """Return the command that runs another one without network, in an empty root directory."""
    unshare = _unshare()
    if unshare is None:
        pytest.skip("this machine permits no namespaces")
    root.mkdir(exist_ok=True)
    for library in c_library():
        copy = root / library.relative_to("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not copy.exists():
            shutil.copy(library, copy)
    return [*unshare, sys.executable, __file__, root, *places, "--", *command]


def run_in_empty_root(run: Runner, program: Path, *arguments: Word, **variables: str) -> Outcome:
    """Run a program with nothing but the C library, its own directory and the test's."""
    root = run.cwd / "empty-root"
    places = [program.parent, run.cwd / "cache", run.cwd / "work"]
    for place in places:
        place.mkdir(exist_ok=True)
    command = in_empty_root(root, places, program, *arguments)
    variables = {"MMPORT_ROOT": str(places[1]), "HOME": str(places[2]), **variables}
    return run(*command, cwd=places[2], **variables)


def _mount(*arguments: Word) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _become(root: Path, places: Sequence[Path], command: Sequence[str]) -> None:
    cwd = Path.cwd()
    for folder in ("dev/shm", "tmp"):
        (root / folder).mkdir(parents=True, exist_ok=True)
        _mount("-t", "tmpfs", "tmpfs", root / folder)
    for place in [Path("/proc"), *places]:
        inside = root / place.relative_to("/")
        inside.mkdir(parents=True, exist_ok=True)
        _mount("--rbind", place, inside)
    for device in DEVICES:
        (root / "dev" / device).touch()
        _mount("--bind", Path("/dev") / device, root / "dev" / device)
    os.chroot(root)
    os.chdir(cwd)
    os.execv(command[0], command)


if __name__ == "__main__":
    at = sys.argv.index("--")
    _become(Path(sys.argv[1]), [Path(place) for place in sys.argv[2:at]], sys.argv[at + 1 :])

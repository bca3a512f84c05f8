"""What not all tools' products can do, tried one by one: needs, and places without something."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

from .measurement import PLAIN, Way, new_directories, run
from .preparation import checked_output, progress
from .trial import Trial
from .ways import in_directory

NEEDS = {
    "native": "extension modules",
    "data": "data opened by path",
    "spawn": "multiprocessing spawn",
}
"""Arguments of the application, and what it needs for them."""

NO_PYTHON = (
    'for place in "$PREFIX" /usr/lib/python3* /usr/local/lib/python3*; do '
    '[ ! -d "$place" ] || mount -t tmpfs tmpfs "$place"; done'
)
READ_ONLY = (
    'for place in /tmp /var/tmp /dev/shm /run "$HOME" "$PWD"; do [ -d "$place" ] || continue; '
    'mount --bind "$place" "$place" && mount -o remount,bind,ro "$place"; done'
)
NOEXEC = (
    'mount -t tmpfs -o noexec tmpfs "$HOME" && '
    "for place in /dev/shm /run; do mount -t tmpfs -o noexec tmpfs $place; done"
)
PLACES = {"no Python": NO_PYTHON, "nothing writable": READ_ONLY, "noexec": NOEXEC}
"""What is done to the file system before the application starts in a namespace of its own."""


def abilities(trial: Trial) -> None:
    """Try them all, in the same way that a virtual environment does it."""
    plain = trial.ways[PLAIN]
    for way in trial.ways_in("abilities"):
        progress(f"trying what {way.name} can do")
        works: dict[str, str] = {}
        made = trial.products[way.name].made
        if made is not None:
            works["one file"] = "yes" if made.is_file() else "no"
            works["MB"] = f"{size_of(made) / 1e6:.1f}"
        with new_directories(trial.preparation.directory) as new_directory:
            for argument, need in NEEDS.items():
                expected = run(started(plain, new_directory(), argument))
                outcome = run(started(way, new_directory(), argument))
                works[need] = "yes" if outcome.is_like(expected) and not outcome.status else "no"
            for name, change in PLACES.items():
                works[f"runs: {name}"] = runs_in(trial, way, change, new_directory())
        trial.measurement.abilities[way.name] = works


def started(way: Way, directory: Path, argument: str) -> Way:
    """The way with an argument and a directory of its own."""
    own = in_directory(way, directory)
    return replace(own, command=[*own.command, argument])


def size_of(made: Path) -> int:
    """The bytes of a file, or of all in a directory."""
    files = [made] if made.is_file() else [path for path in made.rglob("*") if path.is_file()]
    return sum(path.lstat().st_size for path in files)


def runs_in(trial: Trial, way: Way, change: str, directory: Path) -> str:
    """Whether the application runs after a change of the file system."""
    python = trial.preparation.python
    prefix = checked_output([python, "-c", "import sys; print(sys.base_prefix)"]).strip()
    own = started(way, directory, "native")
    variables = own.environment | {"PREFIX": prefix}
    # The default places of all, so that they find those that are left.
    for name in ("SHIV_ROOT", "PEX_ROOT", "MMPORT_ROOT"):
        del variables[name]
    for flags in (["-m"], ["-Urm"]):
        prepared = ["unshare", *flags, "sh", "-c", f'{change} && exec "$@"', "sh"]
        try:
            permitted = subprocess.run([*prepared, "true"], env=variables, capture_output=True)
        except FileNotFoundError:
            return "not tried"
        if permitted.returncode == 0:
            command = [*prepared, *own.command]
            outcome = subprocess.run(command, env=variables, capture_output=True, timeout=120)
            worked = outcome.stdout == b"markupsafe._speedups\n" and not outcome.returncode
            return "yes" if worked else "no"
    return "not tried"

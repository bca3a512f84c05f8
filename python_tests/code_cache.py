"""What the tests of the cache of code objects share: programs, and what the log says of them."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet
from support import Outcome, Word, run_program

LOG = "mmport::bytecode=debug"
_LINE = re.compile(r"\S+ +(?P<level>[A-Z]+) mmport::bytecode: (?P<message>.*)")
_ASKED = re.compile(r'cache (hit|miss) module="((?:[^"\\]|\\.)*)" key=([0-9a-f]{64})')

# Serves a zip, wheel or directory in a Python that has the package, and imports a module of it.
SERVE = "import importlib, sys, mmport\nmmport.install(sys.argv[1])\n"
SERVE += "importlib.import_module(sys.argv[2])\n"


@dataclass(frozen=True)
class Asked:
    """A module whose code object the cache was asked for."""

    is_hit: bool
    module: str
    key: str


@dataclass(frozen=True)
class Start:
    """What a program did, without the lines of the log, and what those say."""

    outcome: Outcome
    asked: Sequence[Asked]
    warnings: Sequence[str]

    @property
    def hits(self) -> list[str]:
        """Return the modules whose code object was there."""
        return sorted(asked.module for asked in self.asked if asked.is_hit)

    @property
    def misses(self) -> list[str]:
        """Return the modules that were compiled."""
        return sorted(asked.module for asked in self.asked if not asked.is_hit)

    @property
    def keys(self) -> dict[str, str]:
        """Return the key of each module."""
        return {asked.module: asked.key for asked in self.asked}


def start_of(outcome: Outcome) -> Start:
    """Take the log out of what a program wrote to standard error."""
    rest, asked, warnings = [], [], []
    for line in outcome.stderr.splitlines(keepends=True):
        found = _LINE.fullmatch(line.rstrip("\n"))
        if not found:
            rest.append(line)
        elif about := _ASKED.fullmatch(found["message"]):
            asked.append(Asked(about[1] == "hit", about[2], about[3]))
        elif found["level"] == "WARN":
            warnings.append(found["message"])
    return Start(replace(outcome, stderr="".join(rest)), asked, warnings)


@dataclass(frozen=True)
class Cached:
    """A cache of a test's own, and programs that use it."""

    root: Path
    mmport: Path
    environment: Mapping[str, str]
    cwd: Path

    @property
    def variables(self) -> dict[str, str]:
        """Return the environment variables that choose this cache."""
        # With nothing in it but the code objects of the test's own modules.
        library = {"MMPORT_STANDARD_LIBRARY": "files"}
        return {**self.environment, **library, "MMPORT_ROOT": str(self.root)}

    def __call__(self, *command: Word, cwd: Path | None = None, **variables: str) -> Start:
        """Run a command with the log."""
        environment = {**self.variables, "MMPORT_LOG": LOG, **variables}
        return start_of(run_program(command, environment=environment, cwd=cwd or self.cwd))

    def run(self, bundle: Path, *arguments: Word, **variables: str) -> Start:
        """Run a bundle or zip with the native binary."""
        return self(self.mmport, "run", bundle, *arguments, **variables)

    def serve(self, place: Path, module: str, *options: str, **variables: str) -> Start:
        """Import a module of a zip or directory in the Python that runs the tests."""
        return self(sys.executable, *options, "-c", SERVE, place, module, **variables)

    def command(self, *arguments: Word, **variables: str) -> Outcome:
        """Run `mmport cache`."""
        command = (self.mmport, "cache", *arguments)
        environment = {**self.variables, **variables}
        return run_program(command, environment=environment, cwd=self.cwd)

    def told(self, *arguments: Word, **variables: str) -> Any:
        """Run `mmport cache --json`; return what it says."""
        return json.loads(self.command(*arguments, "--json", **variables).succeeded().stdout)

    def packs(self) -> list[Path]:
        """Return all files that have code objects or shall get some."""
        return sorted(path for path in self.root.glob("bytecode-v1/*/*") if "-" in path.name)

    def is_sound(self) -> bool:
        """Check all of it; tell whether nothing had to be dropped."""
        told = self.told("verify")
        return bool(told["code_objects_looked_at"]) and told["damaged_packs"] == []


def write_zip(path: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write a plain zip, as others do."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def many_modules(count: int) -> dict[str, str]:
    """Return a program of many modules, which prints what all of them say."""
    modules = {
        f"many/m{number}.py": f"class C:\n    def value(self, x={number}):\n"
        f"        return [x * y for y in range(3)]\n\n\ntext = 'text of {number}' * 3\n"
        for number in range(count)
    }
    main = (
        f"import importlib\nnames = [f'many.m{{number}}' for number in range({count})]\n"
        "print(sum(importlib.import_module(name).C().value()[1] for name in names))\n"
    )
    return {"__main__.py": main, "many/__init__.py": "", **modules}


def without_capabilities() -> None:
    """In a child of root's, before it becomes another program: give up being above file modes."""
    if os.geteuid() == 0:
        import ctypes

        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def finished(process: subprocess.Popen[str]) -> Outcome:
    """Wait for a program; return what it did."""
    stdout, stderr = process.communicate()
    return Outcome(process.returncode, stdout, stderr)


def set_stamps(pack: Path, seconds: int) -> None:
    """Set when the entries of a sealed pack were last used; its last 40 bytes say where that is."""
    content = bytearray(pack.read_bytes())
    mark, count, start = struct.unpack("<16sQQ", content[-40:-8])
    assert mark == b"mmport index".ljust(16, b"\0")
    stamps = start + count * 40
    content[stamps : stamps + count * 4] = struct.pack("<I", seconds) * count
    pack.write_bytes(content)


SMALL = {"__main__.py": "import small\nprint(small.f(4))\n", "small.py": "def f(x): return x * 2\n"}


def ran_at_all(cached: Cached, place: Path, **variables: str) -> None:
    """The program runs with at most one line in the log."""
    start = cached.run(place, **variables)
    assert (start.outcome.succeeded().stdout, start.outcome.stderr) == ("8\n", "")
    assert len(start.warnings) <= 1, start.warnings


def is_mended(cached: Cached, place: Path) -> None:
    """After a start without faults the next one compiles nothing, and all is well."""
    cached.run(place).outcome.succeeded()
    start = cached.run(place)
    assert (start.outcome.stdout, start.misses, list(start.warnings)) == ("8\n", [], [])
    assert cached.is_sound()


def full(*values: object) -> list[ParameterSet]:
    """Leave parameters to the full tests."""
    return [pytest.param(value, marks=pytest.mark.full) for value in values]

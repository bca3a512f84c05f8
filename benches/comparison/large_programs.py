"""Programs to measure at scale: how many entries, bytes, path entries and imports they have.

Each is one tree of generated modules with a ``__main__.py``, once as a folder with bytecode and
once as a bundle of the same files.
"""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

from .preparation import Preparation, Stamp, checked_output, progress, remove_tree

GIGABYTE = 10**9
MODULES_IN_A_PACKAGE = 20
"""As installed distributions have on average, with the ``__init__``."""
SAMPLE = 20
"""How many modules a program imports where the number of imports is not what is measured."""
EVERY_TENTH = 10

MODULE = '''\
"""Module {number}: what a small module of a library is made of."""

NAMES = {{"first": {number}, "second": "two", "third": (1, 2, 3)}}


class Thing:
    """Something with a value."""

    def __init__(self, value, factor=1):
        self.value = value
        self.factor = factor

    def scaled(self, by):
        """The value, scaled."""
        if by < 0:
            raise ValueError(f"a factor of {{by}} is not supported")
        return Thing(self.value * by, self.factor * by)


def total(things):
    """The sum of the values of some things."""
    return sum(thing.value for thing in things if thing.factor)


VALUE = total([Thing({number}), Thing(1)])
'''

MAIN = """\
import importlib
import sys

sys.path[:0] = {path}
print(sum(importlib.import_module(name).VALUE for name in {names}))
with open("/proc/self/status") as status:
    sys.stderr.writelines(line for line in status if line.startswith(("VmHWM", "RssAnon")))
"""
"""The program. What it took is asked at its end: what the system says of an ended process includes
what the process had that started it."""

BUILD = """\
import py_compile, sys
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
for line in sys.stdin:
    py_compile.compile(line.rstrip(), doraise=True, invalidation_mode=mode)
"""


@dataclass(frozen=True)
class Program:
    """One program, of one size."""

    series: str
    """What grows."""
    size: float
    modules: int
    imports: int
    hole: int = 0
    """Bytes between bytecode and sources that nothing was written to."""
    path_entries: int = 0
    """Entries that it puts on ``sys.path`` before all others, of a module each."""

    @property
    def label(self) -> str:
        """The size, for people."""
        return f"{self.size:,g}" if self.size < 1 else f"{self.size:,.0f}"

    @property
    def is_large(self) -> bool:
        """Whether it takes more room than one wants to keep."""
        return self.hole >= 5 * GIGABYTE


@dataclass(frozen=True)
class Made:
    """A program in its forms."""

    main: Path
    """The ``__main__.py`` of the folder."""
    bundle: Path


ENTRIES = "entries of the bundle"
BYTES = "gigabytes of the bundle"
PATH = "path entries"
IMPORTS = "imports"

PROGRAMS = [
    # Half of the entries are sources, half is bytecode.
    *(Program(ENTRIES, size, size // 2, SAMPLE) for size in (100, 1_000, 10_000, 100_000)),
    *(Program(BYTES, size, 500, SAMPLE, hole=int(size * GIGABYTE)) for size in (0.1, 1, 5)),
    *(Program(PATH, size, 100, SAMPLE, path_entries=size) for size in (1, 10, 100, 1_000)),
    *(Program(IMPORTS, size, size, size) for size in (100, 1_000, 5_000)),
]


def make(program: Program, preparation: Preparation) -> Made:
    """Make what is not there yet."""
    name = f"{program.series.split()[0]}-{program.label.replace(',', '')}"
    directory = preparation.directory / "scale" / name
    made = Made(directory / "tree" / "__main__.py", directory / "program.pyz")
    sources = [MODULE, MAIN, BUILD, MODULES_IN_A_PACKAGE]
    stamp = Stamp(made.bundle, program=repr(program), sources=sources)
    if not stamp.is_current():
        progress(f"making a program with {program.label} {program.series}")
        remove_tree(directory)
        names = [module_name(number) for number in range(program.modules)]
        path, on_path = write_path(directory / "path", program.path_entries)
        wanted = [*spread(names, program.imports), *spread(on_path, SAMPLE)]
        files = {f"{name.replace('.', '/')}.py": MODULE for name in names if "." in name}
        files |= {f"{name}/__init__.py": MODULE for name in names if "." not in name}
        files["__main__.py"] = MAIN.replace("{path}", repr(path)).replace("{names}", repr(wanted))
        for number, (file, text) in enumerate(files.items()):
            target = made.main.parent / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text if text != MODULE else text.format(number=number))
        compile_all(made.main.parent, sorted(files), preparation)
        write_bundle(made, sorted(files), program.hole)
        stamp.write()
    return made


def module_name(number: int) -> str:
    """The module of a number; the first of each package is the package."""
    package = f"package_{number // MODULES_IN_A_PACKAGE:05}"
    place = number % MODULES_IN_A_PACKAGE
    return f"{package}.module_{place:02}" if place else package


def spread(names: list[str], count: int) -> list[str]:
    """That many of the names, from all over."""
    return names[:: max(1, len(names) // count)][:count]


def write_path(directory: Path, count: int) -> tuple[list[str], list[str]]:
    """Write entries for ``sys.path``, every tenth a zip; their paths, and their modules' names."""
    path, names = [], []
    for number in range(count):
        name = f"on_path_{number:04}"
        text = MODULE.format(number=number)
        place = directory / f"entry_{number:04}"
        directory.mkdir(parents=True, exist_ok=True)
        if number % EVERY_TENTH == EVERY_TENTH - 1:
            place = place.with_suffix(".zip")
            with zipfile.ZipFile(place, "w") as archive:
                archive.writestr(f"{name}.py", text)
        else:
            place.mkdir()
            (place / f"{name}.py").write_text(text)
        path.append(str(place))
        names.append(name)
    return path, names


def cached(source: Path, preparation: Preparation) -> Path:
    """Where the bytecode of a source is."""
    tag = "cpython-" + "".join(preparation.version.split(".")[:2])
    return source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc"


def compile_all(tree: Path, files: list[str], preparation: Preparation) -> None:
    """Compile the modules with the interpreter that runs them; beside each, for the bundle."""
    listing = tree.parent / "files"
    listing.write_text("".join(f"{tree / file}\n" for file in files))
    script = f"import sys; sys.stdin = open({str(listing)!r})\n{BUILD}"
    checked_output([preparation.python, "-c", script])
    listing.unlink()
    for file in files:
        source = tree / file
        shutil.copyfile(cached(source, preparation), source.with_suffix(".pyc"))


def write_bundle(made: Made, files: list[str], hole: int) -> None:
    """Write all entries stored: bytecode first, then, behind the hole, the sources."""
    tree = made.main.parent
    with zipfile.ZipFile(made.bundle, "w") as archive:
        for file in files:
            bytecode = (tree / file).with_suffix(".pyc")
            archive.writestr(f"{file}c", bytecode.read_bytes())
            bytecode.unlink()
        archive.start_dir += hole
        for file in files:
            archive.write(tree / file, file)

"""What it costs to find a module and get its code object; run by ``bytecode.py``.

Its arguments are a directory of modules that have their ``.pyc``, a zip of the same modules without
any, and a number of rounds. With the pip package installed, it takes for each module in turn the
time of ``FileFinder`` and its loader on the directory, of ``mmport.ZipImporter`` on the zip, and of
``marshal.loads`` alone. It prints JSON: the number of modules, the mean lengths of their sources
and marshalled code objects, and for each round the microseconds per module in each way.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import marshal
import os
import sys
import time
from pathlib import Path

import mmport

PYC_HEADER = 16
"""Length of what a ``.pyc`` has before the code object."""


def main() -> None:
    """Measure, and print the result."""
    directory, archive, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    machinery = importlib.machinery
    # As the path hook of the interpreter makes them.
    loaders = (
        (machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES),
        (machinery.SourceFileLoader, machinery.SOURCE_SUFFIXES),
        (machinery.SourcelessFileLoader, machinery.BYTECODE_SUFFIXES),
    )
    modules = []
    source_length = 0
    for parent, folders, names in os.walk(directory):
        folders[:] = sorted(folder for folder in folders if folder.isidentifier())
        below = os.path.relpath(parent, directory)
        finder = machinery.FileFinder(parent, *loaders)
        place = archive if below == os.curdir else os.path.join(archive, below)
        importer = None
        for name in sorted(names):
            module, suffix = os.path.splitext(name)
            if suffix == ".py" and module.isidentifier() and module != "__init__":
                importer = importer or mmport.ZipImporter(place)
                data = bytecode_of(Path(parent, name))
                modules.append((module, finder, importer, data))
                source_length += os.path.getsize(os.path.join(parent, name))
    check(modules)
    figures = [measure(modules) for _ in range(rounds)]
    code_length = sum(len(data) for *_, data in modules)
    count = len(modules)
    lengths = {"source": source_length / count, "code": code_length / count}
    print(json.dumps({"count": count, "lengths": lengths, "rounds": figures}))


def bytecode_of(path: Path) -> bytes:
    """The marshalled code object of a module that has its ``.pyc``."""
    return Path(importlib.util.cache_from_source(str(path))).read_bytes()[PYC_HEADER:]


def check(modules: list) -> None:
    """Get all code objects once, to warm up and to compare them (not by path, as `==` does)."""
    for name, finder, importer, _ in modules:
        loaded = finder.find_spec(name).loader.get_code(name)
        if loaded != importer.find_spec(name).loader.get_code(name):
            raise SystemExit(f"{name}: other code from the zip than from the directory")


def measure(modules: list) -> dict[str, float]:
    """Microseconds per module in each way, the ways in turn."""
    # Processor time: whatever else the machine does is no part of it.
    clock = time.thread_time_ns
    totals = dict.fromkeys(("find", "find in zip", "code", "code in zip", "unmarshal"), 0)
    for name, finder, importer, data in modules:
        started = clock()
        loader = finder.find_spec(name).loader
        found = clock()
        loader.get_code(name)
        got = clock()
        zip_loader = importer.find_spec(name).loader
        found_in_zip = clock()
        zip_loader.get_code(name)
        got_from_zip = clock()
        marshal.loads(data)
        ended = clock()
        totals["find"] += found - started
        totals["code"] += got - found
        totals["find in zip"] += found_in_zip - got
        totals["code in zip"] += got_from_zip - found_in_zip
        totals["unmarshal"] += ended - got_from_zip
    return {way: total / 1000 / len(modules) for way, total in totals.items()}


if __name__ == "__main__":
    main()

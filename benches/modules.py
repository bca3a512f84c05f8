#!/usr/bin/env python3
"""What the import of one module costs, taken apart.

See README.md beside this file for what is measured and how.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from comparison.measurement import pin
from comparison.options import add_options, parsed, preparation_of
from comparison.preparation import (
    ComparisonError,
    Preparation,
    checked_output,
    clean_environment,
    progress,
)
from comparison.report import markdown_table, text_table

MODULES = 400
SIZES = {"empty": 0, "of 8 KiB": 34}
"""How many functions a module has."""
PARTS = ("whole", "find", "code", "unmarshal", "execute", "rest")
SETTLED = 4
"""Seconds after which files count as unchanged."""
SCRIPT = Path(__file__).parent / "comparison" / "import_parts.py"
LIBRARY = Path(__file__).parent / "comparison" / "import_library.py"

FUNCTION = '''
def function_{number}(first, second=None, *rest, key={number}, **more):
    """Do something with what is given."""
    if first is None:
        raise ValueError(f"expected something, found {{first!r}} and {{rest!r}}")
    return [first, second, *rest, key, more.get("name_{number}")]
'''


def main() -> int:
    """Measure, and show it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser, [], rounds=9)
    arguments = parsed(parser, [])
    try:
        preparation = preparation_of(arguments)
        pin()
        tables = [
            row
            for size, functions in SIZES.items()
            for row in measure(size, functions, preparation, arguments.rounds)
        ]
        tables += measure_library(preparation, arguments.rounds)
    except ComparisonError as error:
        print(f"modules.py: {error}", file=sys.stderr)
        return 1
    head = ["modules", "way", *PARTS]
    table = [head, *tables]
    lines = markdown_table(table, titles=2) if arguments.markdown else text_table(table)
    print("\n".join(lines))
    return 0


def measure(size: str, functions: int, preparation: Preparation, rounds: int) -> list[list[str]]:
    """The rows of modules of one size: medians of microseconds per module."""
    place = preparation.directory / "modules" / str(functions)
    shutil.rmtree(place, ignore_errors=True)
    # As the directory of extension modules is named, which may be elsewhere than the others.
    remembered = place / "lib-dynload"
    files = place / "files"
    for directory in files, remembered:
        directory.mkdir(parents=True)
        for number in range(MODULES):
            text = "".join(FUNCTION.format(number=it) for it in range(functions))
            (directory / f"module_{number}.py").write_text(f"NUMBER = {number}\n{text}")
        compileall.compile_dir(directory, quiet=1)
    bundle, nothing = place / "modules.pyz", place / "nothing.pyz"
    (place / "empty").mkdir()
    for source, output in (files, bundle), (place / "empty", nothing):
        build = [preparation.mmport, "build", "--quiet", "--source", source, "-o", output]
        checked_output([*build, "--python", preparation.python])
    mmport = [preparation.mmport, "run"]
    ways = {
        "files": ([preparation.empty_environment()], files),
        "bundle": ([*mmport, bundle], None),
        "remembered": ([*mmport, nothing], remembered),
    }
    time.sleep(SETTLED)
    progress(f"measuring modules {size}: {rounds} rounds of {len(ways)} ways")
    samples: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for number in range(-3, rounds):
        for way, (command, path) in ways.items():
            environment = clean_environment() | {"MMPORT_ROOT": str(place / "root")}
            if path:
                environment["PYTHONPATH"] = str(path)
            words = [os.fspath(word) for word in [*command, SCRIPT, files]]
            done = subprocess.run(
                words, env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise ComparisonError(f"{' '.join(words)}: {done.stderr}")
            if number >= 0:
                samples[way].append(json.loads(done.stdout))
    rows = [[size, way, *numbers(found)] for way, found in samples.items()]
    # It is for `import` alone: who asks for the parts is answered by CPython.
    rows[-1][3:] = [*[""] * (len(PARTS) - 1)]
    floor = statistics.median(it["unmarshal"] + it["execute"] for it in samples["bundle"])
    return [*rows, [size, "unmarshal and execute", f"{floor:.1f}", *[""] * (len(PARTS) - 1)]]


def measure_library(preparation: Preparation, rounds: int) -> list[list[str]]:
    """The rows of the standard library: medians of microseconds per module."""
    nothing = preparation.directory / "modules" / "0" / "nothing.pyz"
    root = preparation.directory / "modules" / "0" / "root"
    environment = clean_environment() | {"MMPORT_ROOT": str(root)}
    options = ["-W", "ignore", LIBRARY]
    ways = {
        "files": [preparation.empty_environment(), *options],
        "remembered": [preparation.mmport, "run", nothing, *options],
    }
    progress(f"measuring the standard library: {rounds} rounds of {len(ways)} ways")
    samples: dict[str, list[float]] = {way: [] for way in ways}
    count = 0
    for number in range(-3, rounds):
        for way, command in ways.items():
            words = [os.fspath(word) for word in command]
            found = json.loads(checked_output(words, environment))
            count = found["count"]
            if number >= 0:
                samples[way].append(found["whole"])
    title = f"standard library, {count}"
    empty = [""] * (len(PARTS) - 1)
    return [
        [title, way, f"{statistics.median(found):.1f}", *empty] for way, found in samples.items()
    ]


def numbers(samples: list[dict[str, float]]) -> list[str]:
    """The cells of a row."""
    parts = {part: statistics.median(it[part] for it in samples) for part in samples[0]}
    parts["rest"] = parts["whole"] - parts["find"] - parts["code"] - parts["execute"]
    return [f"{parts[part]:.1f}" for part in PARTS]


if __name__ == "__main__":
    raise SystemExit(main())

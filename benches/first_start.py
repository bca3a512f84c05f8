#!/usr/bin/env python3
"""Compare first and next starts: a virtual environment, shiv, PEX and ``mmport run``.

See README.md beside this file for what is measured and how.
"""

from __future__ import annotations

import argparse
import os
import stat
import statistics
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from comparison.cases import BLACK, CASES, PANDAS, Case
from comparison.measurement import (
    PLAIN,
    Outcome,
    Way,
    checked,
    environment_of,
    new_directories,
    pin,
    run,
    standard_input_of,
)
from comparison.options import add_options, chosen, parsed, preparation_of
from comparison.packing import PACKERS, Products
from comparison.preparation import (
    ComparisonError,
    Preparation,
    checked_output,
    progress,
    remove_tree,
)
from comparison.report import Spread, machine, markdown_table, text_table

STARTS = [case for case in CASES if case.application in (BLACK, PANDAS)]

SHIV = "shiv"
PEX = "PEX, venv mode"
STORE = "mmport run, store"
MEMFD = "mmport run, memfd"

NOWHERE = "/proc/none"
"""Where nothing can be written, by nobody: extension modules are opened from memory then."""
OWN_DIRECTORY = ("HOME", "TMPDIR", "SHIV_ROOT", "PEX_ROOT", "MMPORT_ROOT")
"""Variables that name where a process may leave files: one directory, new for each first start."""


@dataclass(frozen=True)
class Start:
    """What one start took and left behind."""

    milliseconds: float
    peak_memory: int
    files: int
    size: int
    """Bytes in these files."""


@dataclass(frozen=True)
class Round:
    """A first start of a way, and the next one on what that left behind."""

    first: Start
    next: Start


@dataclass(frozen=True)
class Comparison:
    """What was measured of one case."""

    case: Case
    rounds: dict[str, list[Round]]
    """By way; those at the same index belong to the same round."""
    left_out: dict[str, str]
    """Why a way is not measured, by way."""


def main() -> int:
    """Measure, and show it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser, STARTS, rounds=7)
    arguments = parsed(parser, STARTS)
    try:
        preparation = preparation_of(arguments)
        cases = chosen(STARTS, arguments)
        products = {case.application: Products.of(case.application, preparation) for case in cases}
        pin()
        comparisons = [
            measure(case, products[case.application], preparation, arguments.rounds)
            for case in cases
        ]
        version = checked_output([preparation.mmport, "--version"]).split()[-1]
    except ComparisonError as error:
        print(f"first_start.py: {error}", file=sys.stderr)
        return 1
    remarks = notes(comparisons)
    if arguments.markdown:
        table, remarks = markdown_table(rows(comparisons), 2), [f"- {note}" for note in remarks]
    else:
        table = text_table(rows(comparisons))
    subject = (
        f"mmport {version}, CPython {preparation.version}, {', '.join(PACKERS)}, {machine()}; "
        f"{arguments.rounds} rounds: medians, ratios to the virtual environment's next start "
        "(quartiles)."
    )
    print("\n".join([subject, "", *table, "", *remarks]).rstrip())
    return 0


def ways_of(
    case: Case, products: Products, preparation: Preparation, directory: Path
) -> dict[str, Way]:
    """All ways to start a case, by name and in the order in which they take turns."""
    python = preparation.empty_environment()
    environment = environment_of(case)
    # PEX looks for its interpreter there.
    environment["PATH"] = f"{python.parent}{os.pathsep}{environment['PATH']}"
    run_bundle: list[str | Path] = [preparation.mmport, "run", products.bundle]
    commands: dict[str, list[str | Path]] = {
        PLAIN: [products.program],
        SHIV: [python, products.shiv],
        PEX: [products.pex],
        STORE: run_bundle,
        MEMFD: run_bundle,
    }
    standard_input = standard_input_of(case, directory)
    return {
        name: Way(name, [*map(str, command), *case.arguments], environment, standard_input)
        for name, command in commands.items()
    }


def measure(case: Case, products: Products, preparation: Preparation, rounds: int) -> Comparison:
    """Start a case in all its ways, in turn, and compare what they print."""
    directory = preparation.working_directory(case)
    ways = ways_of(case, products, preparation, directory)
    comparison = Comparison(case, {name: [] for name in ways}, {})
    before = Path.cwd()
    os.chdir(directory)
    try:
        with new_directories(preparation.directory) as new_directory:
            expected = run(in_directory(ways[PLAIN], new_directory()))
            outcome = run(in_directory(ways[MEMFD], new_directory()))
        if not outcome.is_like(expected):
            comparison.left_out[MEMFD] = reason(outcome, products.bundle)
            del ways[MEMFD], comparison.rounds[MEMFD]
        progress(f"measuring {case.name}: {rounds} rounds of {len(ways)} ways, two starts each")
        # One round more, to warm up.
        for number in range(-1, rounds):
            for name, round_ in measure_round(case, ways, products, preparation, expected):
                if number >= 0:
                    comparison.rounds[name].append(round_)
    finally:
        os.chdir(before)
    return comparison


def measure_round(
    case: Case,
    ways: dict[str, Way],
    products: Products,
    preparation: Preparation,
    expected: Outcome,
) -> list[tuple[str, Round]]:
    """Start all ways in turn for the first time, and then all again."""
    for bytecode in list(products.environment.rglob("__pycache__")):
        remove_tree(bytecode)
    with new_directories(preparation.directory) as new_directory:
        own = {name: in_directory(way, new_directory()) for name, way in ways.items()}
        starts: dict[str, list[Start]] = {name: [] for name in ways}
        for _ in range(2):
            for name, way in own.items():
                places = [Path(way.environment["HOME"])]
                if name == PLAIN:
                    places.append(products.environment)
                before = files_below(places)
                outcome = checked(case, way, expected)
                new = [size for key, size in files_below(places).items() if key not in before]
                # What one has written does not keep the disk busy while the next one starts.
                os.sync()
                times = outcome.milliseconds, outcome.peak_memory
                starts[name].append(Start(*times, len(new), sum(new)))
    return [(name, Round(*pair)) for name, pair in starts.items()]


def in_directory(way: Way, directory: Path) -> Way:
    """A way that leaves its files in a directory."""
    own = dict.fromkeys(OWN_DIRECTORY, str(directory))
    if way.name == MEMFD:
        own["MMPORT_ROOT"] = NOWHERE
    return replace(way, environment=way.environment | own)


def files_below(directories: list[Path]) -> dict[tuple[int, int, int], int]:
    """The sizes of all files, symbolic links included, by what tells them and their state apart.

    Names of one file, its hard links, count once.
    """
    sizes = {}
    for directory in directories:
        for parent, folders, names in os.walk(directory):
            for name in (*folders, *names):
                status = os.lstat(os.path.join(parent, name))
                if not stat.S_ISDIR(status.st_mode):
                    key = (status.st_dev, status.st_ino, status.st_mtime_ns)
                    sizes[key] = status.st_size
    return sizes


def reason(outcome: Outcome, bundle: Path) -> str:
    """Why a program does not run: the last that mmport says, or else the program."""
    lines = outcome.errors.decode(errors="replace").strip().splitlines()
    said = [line.removeprefix("mmport: ") for line in lines if line.startswith("mmport: ")]
    line = (said or lines or [f"exit status {outcome.status}, and other output"])[-1]
    # A path of this machine.
    return line.replace(str(bundle), bundle.name)


def rows(comparisons: list[Comparison]) -> list[list[str]]:
    """The table, the heading first."""
    heading = ["", "way"]
    for which in ("first", "next"):
        heading += [f"{which}, ms", f"{which}, ratio", f"{which}, memory"]
    table = [[*heading, "files written", "MB written"]]
    for comparison in comparisons:
        title = comparison.case.title
        base = [round_.next for round_ in comparison.rounds[PLAIN]]
        for name, rounds in comparison.rounds.items():
            row = [title, name]
            written = []
            for start in ([round_.first for round_ in rounds], [round_.next for round_ in rounds]):
                pairs = list(zip(start, base, strict=True))
                ratio = Spread.of([one.milliseconds / two.milliseconds for one, two in pairs])
                memory = statistics.median(one.peak_memory for one in start)
                factor = statistics.median(one.peak_memory / two.peak_memory for one, two in pairs)
                milliseconds = statistics.median(one.milliseconds for one in start)
                row += [
                    f"{milliseconds:,.0f}",
                    str(ratio),
                    f"{memory / 2**20:.0f} MiB, {factor:.2f}",
                ]
                files = statistics.median(one.files for one in start)
                size = statistics.median(one.size for one in start)
                written.append((f"{files:,.0f}", f"{size / 1e6:.1f}"))
            table.append([*row, *(" + ".join(figures) for figures in zip(*written, strict=True))])
            title = ""
        for name in comparison.left_out:
            table.append([title, name, "does not run", *[""] * 7])
    return table


def notes(comparisons: list[Comparison]) -> list[str]:
    """Why ways are left out."""
    titles: dict[str, list[str]] = {}
    for comparison in comparisons:
        for name, why in comparison.left_out.items():
            titles.setdefault(f"`{name}` does not run: {why}.", []).append(comparison.case.title)
    return [f"{'; '.join(cases)}: {why}" for why, cases in titles.items()]


if __name__ == "__main__":
    raise SystemExit(main())

#!/usr/bin/env python3
"""Compare the ways to keep libraries in a bundle: size, build, first start and next start.

See README.md beside this file for what is measured and how.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from comparison.measurement import new_directories, pin, spawn
from comparison.options import add_places, interpreter
from comparison.preparation import (
    ComparisonError,
    Preparation,
    Stamp,
    checked_output,
    progress,
    remove_tree,
)
from comparison.report import machine

METHODS = ("deflated", "stored", "zstd")
"""What `mmport build --libraries` takes; the others are compared with the first."""


@dataclass(frozen=True)
class Libraries:
    """Distributions with extension modules, and a program that imports them."""

    requirements: tuple[str, ...]
    program: str

    @property
    def name(self) -> str:
        """What it is called in the table."""
        return ", ".join(requirement.split("==")[0] for requirement in self.requirements)


CASES = (
    Libraries(
        ("numpy==2.4.6", "pandas==3.1.1"),
        "import pandas; print(pandas.DataFrame({'x': [1, 2]}).sum())",
    ),
    Libraries(
        ("scipy==1.17.1", "scikit-learn==1.9.1"),
        "import sklearn.linear_model; print(sklearn.linear_model.LinearRegression())",
    ),
    Libraries(("pyarrow==26.0.1",), "import pyarrow; print(pyarrow.array([1, 2]))"),
    Libraries(("opencv-python-headless==5.0.0.93",), "import cv2; print(cv2.__version__)"),
    Libraries(
        ("cryptography==50.0.2", "lxml==6.1.3"),
        "import lxml.etree, cryptography.fernet; print(lxml.etree.Element('a').tag)",
    ),
)


@dataclass(frozen=True)
class Milliseconds:
    """Processor time of a process.

    Not of the clock: much is written in a first start, and what else the machine does shows most.
    """

    user: float
    system: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.user + self.system


@dataclass
class Samples:
    """What was measured of one case with one method."""

    size: int = 0
    build: list[float] = field(default_factory=list)
    first: list[Milliseconds] = field(default_factory=list)
    next: list[Milliseconds] = field(default_factory=list)


def main() -> int:
    """Measure, and print a table."""
    arguments = parse()
    try:
        mmport = arguments.mmport.resolve()
        if not mmport.is_file():
            raise ComparisonError(f"{mmport} is missing; build it with `cargo build --release`")
        preparation = Preparation(arguments.cache.resolve(), mmport, interpreter(None, mmport))
        chosen = [case for case in CASES if arguments.words <= {*case.name.split(", ")}]
        measured = {
            case: measure(case, preparation, arguments.rounds, arguments.builds) for case in chosen
        }
    except ComparisonError as error:
        print(f"libraries.py: {error}", file=sys.stderr)
        return 1
    print(as_markdown(measured, preparation, arguments), end="")
    return 0


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "words", nargs="*", metavar="DISTRIBUTION", help="only the cases with these distributions"
    )
    parser.add_argument("--rounds", type=int, default=7, help="rounds of starts (default: 7)")
    parser.add_argument("--builds", type=int, default=2, help="rounds of builds (default: 2)")
    add_places(parser)
    arguments = parser.parse_args()
    arguments.words = set(arguments.words)
    if arguments.rounds < 1 or arguments.builds < 1:
        parser.error("--rounds and --builds have to be at least 1")
    if not any(arguments.words <= {*case.name.split(", ")} for case in CASES):
        parser.error(f"no such case; there are {'; '.join(case.name for case in CASES)}")
    return arguments


def measure(
    case: Libraries, preparation: Preparation, rounds: int, builds: int
) -> dict[str, Samples]:
    """Build and run a case with every method, in turn."""
    directory = preparation.directory / "libraries" / case.name.replace(", ", "+")
    environment = directory / "venv"
    stamp = Stamp(environment, python=str(preparation.python), requirements=case.requirements)
    if not stamp.is_current():
        progress(f"installing {case.name}")
        remove_tree(directory)
        preparation.virtual_environment(environment)
        preparation.pip(environment, "install", "--quiet", *case.requirements)
        stamp.write()
    bundles = {method: directory / method for method in METHODS}
    samples = {method: Samples() for method in METHODS}

    progress(f"building {case.name}")
    for _ in range(builds):
        for method, bundle in bundles.items():
            command = [preparation.mmport, "build", "--quiet", "--venv", environment]
            started = time.perf_counter()
            checked_output([*command, "--libraries", method, "-o", bundle])
            samples[method].build.append(time.perf_counter() - started)
            samples[method].size = bundle.stat().st_size

    progress(f"measuring {case.name}")
    unpinned = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    pin()
    try:
        # In another order each round: what one run leaves to be written slows the next.
        for _ in range(rounds):
            for method in random.sample(METHODS, len(METHODS)):
                with new_directories(preparation.directory) as new_directory:
                    root = new_directory()
                    for times in samples[method].first, samples[method].next:
                        times.append(run(preparation, case, bundles[method], root))
    finally:
        if unpinned is not None:
            os.sched_setaffinity(0, unpinned)
    return samples


def run(preparation: Preparation, case: Libraries, bundle: Path, root: Path) -> Milliseconds:
    """Run a case's program from a bundle."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(root),
        "LANG": "C.UTF-8",
        "MMPORT_ROOT": str(root / "root"),
    }
    command = [str(preparation.mmport), "run", str(bundle), "-c", case.program]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    outcome = spawn(command, environment, Path(os.devnull))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if outcome.status:
        errors = outcome.errors.decode(errors="replace")
        raise ComparisonError(f"{case.name}: exit status {outcome.status}\n{errors}")
    return Milliseconds(
        user=1000 * (after.ru_utime - before.ru_utime),
        system=1000 * (after.ru_stime - before.ru_stime),
    )


def as_markdown(
    measured: dict[Libraries, dict[str, Samples]],
    preparation: Preparation,
    arguments: argparse.Namespace,
) -> str:
    """The table."""
    lines = [
        f"CPython {preparation.version}, {machine()} for starts. Starts: processor time, the "
        f"least of {arguments.rounds} rounds; builds: the fastest of {arguments.builds}. In "
        f"brackets: ratios to `{METHODS[0]}`.",
        "",
        "| | libraries | bundle, MB | build, s | first start, ms | of it user | next start, ms |",
        "| --- | --- | --: | --: | --: | --: | --: |",
    ]
    for case, samples in measured.items():
        base = samples[METHODS[0]]
        for method, sample in samples.items():
            cells = [
                case.name if sample is base else "",
                method,
                compared(sample.size / 1e6, base.size / 1e6, 1),
                compared(min(sample.build), min(base.build), 1),
                compared(least(sample.first), least(base.first), 0),
                compared(*(min(run.user for run in each.first) for each in (sample, base)), 0),
                compared(least(sample.next), least(base.next), 0),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def least(runs: list[Milliseconds]) -> float:
    """The least time of some runs."""
    return min(run.total for run in runs)


def compared(value: float, base: float, digits: int) -> str:
    """A value, and its ratio to another."""
    return f"{value:.{digits}f} ({value / base:.2f})"


if __name__ == "__main__":
    raise SystemExit(main())

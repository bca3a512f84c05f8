#!/usr/bin/env python3
"""Measure how time and memory of a start grow: with entries, bytes, path entries and imports.

See README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from dataclasses import asdict
from pathlib import Path

from comparison.large_programs import PROGRAMS, Program, make
from comparison.measurement import MMPORT, PLAIN, Way, pin, run
from comparison.options import add_places, preparation_of
from comparison.preparation import ComparisonError, Preparation, checked_output, progress
from comparison.report import Spread, machine, markdown_table, text_table
from comparison.scale_chart import Point, as_svg

ZIP = "python bundle"
FOLDER = PLAIN
WARM_UP_ROUNDS = 2


def main() -> int:
    """Measure, or read what was measured, and show it."""
    arguments = parse()
    try:
        points, footing = read(arguments.read) if arguments.read else measure_all(arguments)
    except ComparisonError as error:
        print(f"scale.py: {error}", file=sys.stderr)
        return 1
    if arguments.json:
        report = {"footing": footing, "points": [asdict(point) for point in points]}
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    if arguments.svg:
        arguments.svg.write_text(as_svg(points, footing))
    table = rows(points)
    lines = markdown_table(table, titles=2) if arguments.markdown else text_table(table)
    print("\n".join([f"{footing}.", "", *lines]))
    return 0


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    series = list(dict.fromkeys(program.series.split()[0] for program in PROGRAMS))
    parser.add_argument("series", nargs="*", metavar="SERIES", help=f"any of {', '.join(series)}")
    parser.add_argument("--rounds", type=int, default=9, help="rounds per size (default: 9)")
    add_places(parser)
    parser.add_argument("--python", help="interpreter to compare with (default: the embedded one)")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to FILE")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw plots into FILE")
    parser.add_argument("--read", type=Path, metavar="FILE", help="show what --json wrote")
    parser.add_argument("--keep", action="store_true", help="keep the bundle of 5 GB, too")
    arguments = parser.parse_args()
    if unknown := set(arguments.series) - set(series):
        parser.error(f"no such series: {', '.join(sorted(unknown))}")
    if arguments.rounds < 1:
        parser.error("--rounds has to be at least 1")
    return arguments


def read(path: Path) -> tuple[list[Point], str]:
    """What ``--json`` wrote."""
    report = json.loads(path.read_text())
    return [Point(**point) for point in report["points"]], report["footing"]


def measure_all(arguments: argparse.Namespace) -> tuple[list[Point], str]:
    """Measure the sizes that were asked for, and say of what and where."""
    preparation = preparation_of(arguments)
    wanted = arguments.series
    programs = [it for it in PROGRAMS if not wanted or it.series.split()[0] in wanted]
    for program in programs:
        make(program, preparation)
    pin()
    points = []
    for program in programs:
        points.append(measure(program, preparation, arguments.rounds))
        if program.is_large and not arguments.keep:
            make(program, preparation).bundle.unlink()
    version = checked_output([preparation.mmport, "--version"]).split()[-1]
    facts = [f"mmport {version}", f"CPython {preparation.version}", machine()]
    return points, f"{', '.join(facts)}; {arguments.rounds} rounds"


def measure(program: Program, preparation: Preparation, rounds: int) -> Point:
    """Run a program in all its ways, in turn, and compare what they print."""
    made = make(program, preparation)
    # One without packages, whose `.pth` files would be measured too.
    python = str(preparation.empty_environment())
    commands = {
        FOLDER: [python, str(made.main)],
        ZIP: [python, str(made.bundle)],
        MMPORT: [str(preparation.mmport), "run", str(made.bundle)],
    }
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": str(preparation.directory / "home"),
        "MMPORT_ROOT": str(preparation.directory / "root"),
    }
    Path(environment["HOME"]).mkdir(exist_ok=True)
    nothing = Path(os.devnull)
    ways = {name: Way(name, command, environment, nothing) for name, command in commands.items()}
    expected = run(ways[FOLDER])
    if expected.status:
        raise ComparisonError(expected.errors.decode(errors="replace"))
    if not run(ways[ZIP]).is_like(expected):
        del ways[ZIP]
    progress(f"measuring {program.label} {program.series}: {rounds} rounds of {len(ways)} ways")
    point = Point(program.series, program.label)
    for number in range(-WARM_UP_ROUNDS, rounds):
        for name, way in ways.items():
            outcome = run(way)
            if not outcome.is_like(expected):
                raise ComparisonError(
                    f"{program.label} {program.series}: `{name}` differs from `{FOLDER}`\n"
                    f"{outcome.errors.decode(errors='replace')}"
                )
            if number >= 0:
                point.milliseconds.setdefault(name, []).append(outcome.milliseconds)
                processor = outcome.processor_milliseconds
                point.processor_milliseconds.setdefault(name, []).append(processor)
                for line in outcome.errors.decode().splitlines():
                    kind, size, _ = line.split()
                    memory = point.resident if kind == "VmHWM:" else point.private
                    memory.setdefault(name, []).append(int(size) / 1024)
    return point


def rows(points: list[Point]) -> list[list[str]]:
    """The table, the heading first."""
    table = [
        [
            "what grows",
            "",
            "plain, ms (wall)",
            f"{ZIP}, ms",
            "mmport run, ms (wall)",
            "mmport run / plain",
            "plain, MiB (private)",
            "mmport run, MiB (private)",
        ]
    ]
    series = ""
    for point in points:
        processor, memory = point.processor_milliseconds, point.resident
        pairs = zip(processor[MMPORT], processor[FOLDER], strict=True)
        table.append(
            [
                point.series if point.series != series else "",
                point.label,
                both_medians(processor[FOLDER], point.milliseconds[FOLDER]),
                f"{statistics.median(processor[ZIP]):.0f}" if ZIP in processor else "does not run",
                both_medians(processor[MMPORT], point.milliseconds[MMPORT]),
                str(Spread.of([mmport / plain for mmport, plain in pairs])),
                both_medians(memory[FOLDER], point.private[FOLDER], digits=1),
                both_medians(memory[MMPORT], point.private[MMPORT], digits=1),
            ]
        )
        series = point.series
    return table


def both_medians(values: list[float], others: list[float], digits: int = 0) -> str:
    """A median, and another one in brackets."""
    return f"{statistics.median(values):.{digits}f} ({statistics.median(others):.{digits}f})"


if __name__ == "__main__":
    raise SystemExit(main())

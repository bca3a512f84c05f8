#!/usr/bin/env python3
"""Compare whole processes: a plain virtual environment, ``python bundle`` and ``mmport run``.

See README.md beside this file for what is measured and how.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from comparison.cases import CASES
from comparison.chart import as_svg
from comparison.measurement import measure, pin
from comparison.options import add_options, chosen, parsed, preparation_of
from comparison.preparation import ComparisonError, checked_output
from comparison.report import Report, as_markdown, as_text, machine


def main() -> int:
    """Measure, or read what was measured, and show it."""
    arguments = parse()
    try:
        report = Report.read(arguments.read) if arguments.read else compare(arguments)
    except ComparisonError as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 1
    if arguments.json:
        report.write(arguments.json)
    if arguments.svg:
        arguments.svg.write_text(as_svg(report))
    print(as_markdown(report) if arguments.markdown else as_text(report), end="")
    return 0


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser, CASES, rounds=11)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to FILE")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write a bar chart to FILE")
    parser.add_argument(
        "--read", type=Path, metavar="FILE", help="measure nothing, show what --json wrote"
    )
    return parsed(parser, CASES)


def compare(arguments: argparse.Namespace) -> Report:
    """Measure the cases that were asked for."""
    preparation = preparation_of(arguments)
    cases = chosen(CASES, arguments)
    for case in cases:
        preparation.application(case.application)
    pin()
    return Report(
        mmport=checked_output([preparation.mmport, "--version"]).split()[-1],
        python=preparation.version,
        machine=machine(),
        rounds=arguments.rounds,
        measurements=[measure(case, preparation, arguments.rounds) for case in cases],
    )


if __name__ == "__main__":
    raise SystemExit(main())

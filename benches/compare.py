#!/usr/bin/env python3
"""Compare whole processes: a plain virtual environment, ``python bundle`` and ``mmport run``.

See README.md beside this file for what is measured and how.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from comparison.cases import CASES, Case
from comparison.chart import as_svg
from comparison.measurement import measure
from comparison.preparation import ComparisonError, Preparation, checked_output
from comparison.report import Report, as_markdown, as_text, machine

REPOSITORY = Path(__file__).resolve().parents[1]


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
    names = list(dict.fromkeys(name for case in CASES for name in names_of(case)))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "cases", nargs="*", metavar="CASE", help=f"cases or applications: {', '.join(names)}"
    )
    parser.add_argument("--rounds", type=int, default=11, help="rounds per case (default: 11)")
    parser.add_argument(
        "--mmport",
        type=Path,
        default=REPOSITORY / "target" / "release" / "mmport",
        help="the command to measure (default: target/release/mmport)",
    )
    parser.add_argument(
        "--python",
        help="interpreter of the virtual environments; has to be the version that mmport embeds "
        "(default: the one that it embeds)",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=REPOSITORY / "target" / "benches",
        help="where environments and bundles are kept (default: target/benches)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to FILE")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write a bar chart to FILE")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument(
        "--read", type=Path, metavar="FILE", help="measure nothing, show what --json wrote"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.cases) - set(names):
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    if arguments.rounds < 1:
        parser.error("--rounds has to be at least 1")
    return arguments


def compare(arguments: argparse.Namespace) -> Report:
    """Measure the cases that were asked for."""
    mmport = arguments.mmport.resolve()
    if not mmport.is_file():
        raise ComparisonError(f"{mmport} is missing; build it with `cargo build --release`")
    python = interpreter(arguments.python, mmport)
    preparation = Preparation(arguments.cache.resolve(), mmport, python)
    wanted = set(arguments.cases)
    chosen = [case for case in CASES if not wanted or wanted & set(names_of(case))]
    for case in chosen:
        preparation.application(case.application)
    pin()
    return Report(
        mmport=checked_output([mmport, "--version"]).split()[-1],
        python=preparation.version,
        machine=machine(),
        rounds=arguments.rounds,
        measurements=[measure(case, preparation, arguments.rounds) for case in chosen],
    )


def names_of(case: Case) -> tuple[str, str]:
    """What a case can be called by: its application stands for all cases of that."""
    return case.application.name, case.name


def interpreter(name: str | None, mmport: Path) -> Path:
    """The interpreter to compare with: the executable itself, no link and no shim."""
    question = "import sys; print(sys.version_info[:3]); print(sys._base_executable)"
    embedded, executable = checked_output([mmport, "python", "-c", question]).splitlines()
    if name is not None:
        path = shutil.which(name)
        if path is None:
            raise ComparisonError(f"{name} is not an interpreter")
        found, executable = checked_output([path, "-c", question]).splitlines()
        if found != embedded:
            raise ComparisonError(f"{name} is Python {found}, this mmport embeds {embedded}")
    return Path(executable).resolve()


def pin() -> None:
    """Keep this process, and those that it starts, on one core, where that is possible."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


if __name__ == "__main__":
    raise SystemExit(main())

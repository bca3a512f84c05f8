#!/usr/bin/env python3
"""What each step below the finder gives: all of them, and all but one at a time.

See README.md beside this file for what is measured and how.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from dataclasses import replace

from comparison.cases import CASES, Case
from comparison.measurement import MMPORT, PLAIN, WARM_UP_ROUNDS, checked, pin, run, ways_of
from comparison.options import add_options, chosen, parsed, preparation_of
from comparison.preparation import ComparisonError, Preparation, progress
from comparison.report import markdown_table, text_table

STEPS = {
    "all": {},
    "finalizing": {"MMPORT_EXIT": "finalize"},
    "collecting": {"MMPORT_GC": "ordinary"},
    "remembering nothing": {"MMPORT_REMEMBER": "nothing"},
    "library from files": {"MMPORT_STANDARD_LIBRARY": "files"},
    "small pages": {"MMPORT_MEMORY": "ordinary"},
}
STEPS["none of them"] = {name: value for step in STEPS.values() for name, value in step.items()}


def main() -> int:
    """Measure, and show it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser, CASES, rounds=9)
    arguments = parsed(parser, CASES)
    try:
        preparation = preparation_of(arguments)
        cases = chosen(CASES, arguments)
        for case in cases:
            preparation.application(case.application)
        pin()
        rows = [measure(case, preparation, arguments.rounds) for case in cases]
    except ComparisonError as error:
        print(f"steps.py: {error}", file=sys.stderr)
        return 1
    table = [["processor time, ratio to a virtual environment", *STEPS], *rows]
    lines = markdown_table(table) if arguments.markdown else text_table(table)
    print("\n".join(lines))
    return 0


def measure(case: Case, preparation: Preparation, rounds: int) -> list[str]:
    """The row of one case: medians of the ratios within a round."""
    prepared = preparation.application(case.application)
    directory = preparation.working_directory(case)
    ways = ways_of(case, prepared, preparation, directory)
    plain, mmport = ways[PLAIN], ways[MMPORT]
    steps = [
        replace(mmport, name=name, environment=mmport.environment | variables)
        for name, variables in STEPS.items()
    ]
    before = os.getcwd()
    os.chdir(directory)
    try:
        progress(f"measuring {case.name}: {rounds} rounds of {len(steps) + 1} ways")
        expected = run(plain)
        ratios: dict[str, list[float]] = {name: [] for name in STEPS}
        for number in range(-WARM_UP_ROUNDS, rounds):
            base = checked(case, plain, expected).processor_milliseconds
            for step in steps:
                found = checked(case, step, expected).processor_milliseconds
                if number >= 0:
                    ratios[step.name].append(found / base)
    finally:
        os.chdir(before)
    return [case.title, *(f"{statistics.median(ratios[name]):.2f}" for name in STEPS)]


if __name__ == "__main__":
    raise SystemExit(main())

#!/usr/bin/env python3
"""Where the processor time of a start goes, by what the innermost telling function is for.

See README.md beside this file for what is measured and how.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from comparison.cases import CASES, Case
from comparison.measurement import MMPORT, PLAIN, Way, checked, pin, run, ways_of
from comparison.options import add_options, chosen, parsed, preparation_of
from comparison.preparation import ComparisonError, Preparation, progress
from comparison.report import markdown_table, text_table

FREQUENCY = 3000
STACK = 24000
"""Bytes of the stack that are kept with each sample, to find its callers."""

LOADER, START, OPEN = "loader", "Python's start", "bundle's"
FIND, FILES, UNMARSHAL = "find", "files", "unmarshal"
EXTENSIONS, COLLECTOR, CODE, END = "extensions", "collector", "code", "end"
PHASES = [LOADER, START, OPEN, FIND, FILES, UNMARSHAL, EXTENSIONS, COLLECTOR, CODE, END]

END_OF_PROCESS = re.compile(r"exit_group|embed::exit|__run_exit_handlers|Py_FinalizeEx")
BEFORE_MAIN = re.compile(r"^(_dl_start|dl_main|bprm_execve|load_elf_binary)\b")
TELLING = [
    (COLLECTOR, re.compile(r"^gc_collect")),
    (UNMARSHAL, re.compile(r"^r_object|^PyMarshal_Read")),
    (
        EXTENSIONS,
        re.compile(
            r"_dl_open|^dlopen|LoadDynamicModule|^PyInit_|^PyModule_ExecDef|FindSharedFuncptr"
            r"|^_imp_(exec|create)_(dynamic|builtin)"
        ),
    ),
    (FIND, re.compile(r"^mmport::python::(finder|importer|standard_library|frozen|zip_)")),
    (FILES, re.compile(r"^os_(stat|listdir|scandir|fstat)|^_io_(FileIO|open_code)")),
]
PYTHON_CODE = "_PyEval_EvalFrameDefault"
STARTING = re.compile(r"^(Py_InitializeFromConfig|pyinit_core|_PyPreConfig|Py_PreInitialize)")
SITE = re.compile(r"^init_import_site")


def main() -> int:
    """Measure, and show it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser, CASES, rounds=5)
    arguments = parsed(parser, CASES)
    perf = shutil.which("perf")
    try:
        if perf is None:
            raise ComparisonError("perf is not installed")
        preparation = preparation_of(arguments)
        cases = chosen(CASES, arguments)
        for case in cases:
            preparation.application(case.application)
        pin()
        rows = [row for case in cases for row in measure(perf, case, preparation, arguments.rounds)]
    except ComparisonError as error:
        print(f"phases.py: {error}", file=sys.stderr)
        return 1
    table = [["processor time, ms", "way", "all", *PHASES], *rows]
    lines = markdown_table(table, titles=2) if arguments.markdown else text_table(table)
    print("\n".join(lines))
    return 0


def measure(perf: str, case: Case, preparation: Preparation, rounds: int) -> Iterator[list[str]]:
    """The rows of one case: all its time without perf, shared out as perf's samples are."""
    prepared = preparation.application(case.application)
    directory = preparation.working_directory(case)
    ways = ways_of(case, prepared, preparation, directory)
    before = os.getcwd()
    os.chdir(directory)
    try:
        progress(f"measuring {case.name}: {rounds} rounds of 2 ways")
        expected = run(ways[PLAIN])
        times: dict[str, list[float]] = {PLAIN: [], MMPORT: []}
        phases: dict[str, Counter[str]] = {PLAIN: Counter(), MMPORT: Counter()}
        for _ in range(rounds):
            for name in (PLAIN, MMPORT):
                found = checked(case, ways[name], expected)
                times[name].append(found.processor_milliseconds)
                phases[name].update(phase(stack) for stack in samples(perf, ways[name]))
    finally:
        os.chdir(before)
    for name, counts in phases.items():
        time = statistics.median(times[name])
        shares = [f"{time * counts[it] / counts.total():.1f}" for it in PHASES]
        yield [case.title, name, f"{time:.0f}", *shares]


def samples(perf: str, way: Way) -> Iterator[list[str]]:
    """The functions of each sample of one run, the innermost first."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        options = ["-q", "-F", str(FREQUENCY), "--call-graph", f"dwarf,{STACK}", "-m", "64M"]
        with way.standard_input.open("rb") as standard_input:
            subprocess.run(
                [perf, "record", "-o", str(data), *options, "--", *way.command],
                env=way.environment,
                stdin=standard_input,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        script = [perf, "script", "-i", str(data), "--no-inline", "-F", "comm,ip,sym"]
        told = subprocess.run(script, capture_output=True, text=True, errors="replace").stdout
    if not told:
        raise ComparisonError("perf has no samples; is it allowed to take any?")
    for sample in told.split("\n\n"):
        lines = [line.split(maxsplit=1) for line in sample.splitlines()[1:]]
        if lines:
            yield [line[1] for line in lines if len(line) == 2]


def phase(stack: list[str]) -> str:
    """What the time of a sample went to."""
    if any(END_OF_PROCESS.search(name) for name in stack):
        return END
    if any(BEFORE_MAIN.search(name) for name in stack):
        return LOADER
    for name in stack:
        for found, pattern in TELLING:
            if pattern.search(name):
                return found
        if name == PYTHON_CODE:
            break
    starts = any(STARTING.search(name) for name in stack)
    if starts and not any(SITE.search(name) for name in stack):
        return START
    if PYTHON_CODE in stack:
        return CODE
    return OPEN if any(name.startswith("mmport::") for name in stack) else LOADER


if __name__ == "__main__":
    raise SystemExit(main())

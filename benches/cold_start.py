#!/usr/bin/env python3
"""Compare starts with an empty page cache: a virtual environment, a bundle, and an ordered bundle.

It needs root, to empty the page cache. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from comparison.cases import CASES, Case
from comparison.options import add_options, chosen, parsed, preparation_of
from comparison.preparation import ComparisonError, checked_output, clean_environment, progress
from comparison.report import markdown_table, text_table

DROP = Path("/proc/sys/vm/drop_caches")
BLOCK = 512
"""Bytes, as the kernel counts what a process reads from the disk."""
COLD = [case for case in CASES if case.name in ("black-version", "sphinx-version", "poetry")]


def main() -> int:
    """Measure, and show it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser, COLD, rounds=7)
    arguments = parsed(parser, COLD)
    try:
        rows = [row for case in chosen(COLD, arguments) for row in measure(case, arguments)]
    except (ComparisonError, OSError) as error:
        print(f"cold_start.py: {error}", file=sys.stderr)
        return 1
    head = ["", "way", "cold, ms", "ratio", "read, MB", "page faults that read"]
    table = [head, *rows]
    lines = markdown_table(table, titles=2) if arguments.markdown else text_table(table)
    print("\n".join(lines))
    return 0


def measure(case: Case, arguments: argparse.Namespace) -> list[list[str]]:
    """The rows of one case."""
    preparation = preparation_of(arguments)
    prepared = preparation.application(case.application)
    ordered = prepared.bundle.parent / "ordered" / prepared.bundle.name
    ordered.parent.mkdir(exist_ok=True)
    frozen = prepared.bundle.parent.parent / "requirements.txt"
    progress(f"bundling {case.application.name} in the order of its imports")
    order = ["--order-from", " ".join(case.arguments)]
    entry = ["-c", str(case.application.script), "--python", preparation.python]
    build = [preparation.mmport, "build", "--quiet", "-r", frozen, *entry, *order]
    checked_output([*build, "-o", ordered])
    ways: dict[str, list[str | Path]] = {
        "virtual environment": [prepared.program],
        "mmport run": [preparation.mmport, "run", prepared.bundle],
        "mmport run, ordered": [preparation.mmport, "run", ordered],
    }
    environment = clean_environment() | {"MMPORT_ROOT": str(preparation.directory / "root")}
    directory = preparation.working_directory(case)
    samples: dict[str, list[tuple[float, int, int]]] = {way: [] for way in ways}
    for number in range(arguments.rounds + 1):
        for way, command in ways.items():
            words = [str(word) for word in [*command, *case.arguments]]
            if number:
                os.sync()
                DROP.write_text("3")
            sample = start(words, environment, directory)
            if number:  # The first warms up: files are brought out, bytecode is written.
                samples[way].append(sample)
    rows = []
    for way, found in samples.items():
        pairs = zip(found, samples["virtual environment"], strict=True)
        ratio = statistics.median(sample[0] / base[0] for sample, base in pairs)
        milliseconds, read, faults = (
            statistics.median(sample[index] for sample in found) for index in range(3)
        )
        title = case.title if way == "virtual environment" else ""
        numbers = [f"{milliseconds:.0f}", f"{ratio:.2f}", f"{read / 1e6:.1f}", f"{faults:.0f}"]
        rows.append([title, way, *numbers])
    return rows


def start(
    command: list[str], environment: dict[str, str], directory: Path
) -> tuple[float, int, int]:
    """Start once: milliseconds, bytes read from the disk, page faults that waited for them."""
    since = time.perf_counter()
    null = subprocess.DEVNULL
    process = subprocess.Popen(command, env=environment, cwd=directory, stdin=null, stdout=null)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ComparisonError(f"{' '.join(command)}: exit status {process.returncode}")
    elapsed = 1000 * (time.perf_counter() - since)
    return elapsed, usage.ru_inblock * BLOCK, usage.ru_majflt


if __name__ == "__main__":
    raise SystemExit(main())

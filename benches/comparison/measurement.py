"""Timing whole processes, side by side."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from .cases import NOTHING, Case
from .preparation import ComparisonError, Preparation, Prepared, progress, remove_tree

WARM_UP_ROUNDS = 2

PLAIN = "virtual environment"
ZIP = "python bundle"
MMPORT = "mmport run"
FIRST = "mmport run, first"
INTERPRETER = "python -I -S -c pass"
EMBEDDED = "mmport python -I -S -c pass"

FILE_CALLS = "%file,fstat,read,pread64,lseek,getdents64"
"""What counts as a file-system call: calls that name a path, and those that read or look at a file
or directory. Each is a round trip on a network file system without a cache."""


@dataclass(frozen=True)
class Way:
    """One of the ways to run a case."""

    name: str
    command: list[str]
    environment: dict[str, str]
    standard_input: Path
    empty_root: bool = False
    """Whether mmport's own directory is a new, empty one at each run."""


@dataclass(frozen=True)
class Outcome:
    """What one process did."""

    milliseconds: float
    status: int
    output: bytes
    errors: bytes


@dataclass
class Measurement:
    """What was measured of one case."""

    case: str
    title: str
    versions: list[str]
    milliseconds: dict[str, list[float]]
    """Samples by way; those at the same index belong to the same round."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Why a way is not measured, by way."""
    file_calls: dict[str, int] = field(default_factory=dict)
    """File-system calls of one warm run, by way; empty without strace."""


def measure(case: Case, preparation: Preparation, rounds: int) -> Measurement:
    """Run a case in all its ways, in turn, and compare what they print."""
    prepared = preparation.application(case.application)
    directory = preparation.working_directory(case)
    ways = ways_of(case, prepared, preparation, directory)
    left_out = {}
    before = Path.cwd()
    os.chdir(directory)
    try:
        expected = run(ways[0])
        for way in ways[1:]:
            outcome = run(way)
            if (outcome.status, outcome.output) == (expected.status, expected.output):
                continue
            if way.name != ZIP:
                raise different(case, way, expected, outcome)
            left_out[way.name] = reason(outcome, prepared.bundle)
        ways = [way for way in ways if way.name not in left_out]
        progress(f"measuring {case.name}: {rounds} rounds of {len(ways)} ways")
        samples: dict[str, list[float]] = {way.name: [] for way in ways}
        for number in range(-WARM_UP_ROUNDS, rounds):
            for way in ways:
                outcome = run(way)
                if (outcome.status, outcome.output) != (expected.status, expected.output):
                    raise different(case, way, expected, outcome)
                if number >= 0:
                    samples[way.name].append(outcome.milliseconds)
        calls = {}
        if strace := shutil.which("strace"):
            calls = {way.name: file_calls(way, strace) for way in ways if not way.empty_root}
            if 0 in calls.values():
                calls = {}  # This machine lets nothing be traced.
    finally:
        os.chdir(before)
    return Measurement(case.name, case.title, prepared.versions, samples, left_out, calls)


def ways_of(case: Case, prepared: Prepared, preparation: Preparation, directory: Path) -> list[Way]:
    """All ways to run a case; the first is what the others are compared with."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(preparation.directory / "home"),
        "LANG": "C.UTF-8",
        "MMPORT_ROOT": str(preparation.directory / "root"),
        **case.environment,
    }
    Path(environment["HOME"]).mkdir(exist_ok=True)
    standard_input = Path(os.devnull)
    if case.standard_input is not None:
        standard_input = directory / case.standard_input
    mmport, bundle = str(preparation.mmport), str(prepared.bundle)

    def way(name: str, *command: str, empty_root: bool = False) -> Way:
        return Way(name, list(command), environment, standard_input, empty_root)

    ways = [
        way(PLAIN, str(prepared.program), *case.arguments),
        way(ZIP, str(preparation.empty_environment()), bundle, *case.arguments),
        way(MMPORT, mmport, "run", bundle, *case.arguments),
        way(FIRST, mmport, "run", bundle, *case.arguments, empty_root=True),
    ]
    if case.application == NOTHING:
        idle = ("-I", "-S", "-c", "pass")
        ways.append(way(INTERPRETER, str(preparation.python), *idle))
        ways.append(way(EMBEDDED, mmport, "python", *idle))
    return ways


def run(way: Way) -> Outcome:
    """Run one process to its end, in the current directory."""
    if not way.empty_root:
        return spawn(way.command, way.environment, way.standard_input)
    # On the file system of the warm run's.
    root = Path(tempfile.mkdtemp(dir=Path(way.environment["MMPORT_ROOT"]).parent))
    try:
        environment = {**way.environment, "MMPORT_ROOT": str(root)}
        return spawn(way.command, environment, way.standard_input)
    finally:
        remove_tree(root)


def spawn(command: list[str], environment: dict[str, str], standard_input: Path) -> Outcome:
    """Start a process and wait for it; its streams go to files, so that nothing waits for us."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, str(standard_input), os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, output.fileno(), 1),
            (os.POSIX_SPAWN_DUP2, errors.fileno(), 2),
        ]
        started = time.perf_counter_ns()
        process = os.posix_spawn(command[0], command, environment, file_actions=actions)
        _, status = os.waitpid(process, 0)
        nanoseconds = time.perf_counter_ns() - started
        output.seek(0)
        errors.seek(0)
        code = os.waitstatus_to_exitcode(status)
        return Outcome(nanoseconds / 1e6, code, output.read(), errors.read())


def file_calls(way: Way, strace: str) -> int:
    """Count the file-system calls of one warm run, with those of its threads and children."""
    with way.standard_input.open("rb") as standard_input, tempfile.NamedTemporaryFile() as counts:
        options = ["-f", "-qq", "-c", "-e", f"trace={FILE_CALLS}", "-o", counts.name]
        subprocess.run(
            [strace, *options, *way.command],
            env=way.environment,
            stdin=standard_input,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        # Columns: % time, seconds, usecs/call, calls, errors (or nothing), syscall.
        rows = [line.split() for line in Path(counts.name).read_text().splitlines()]
    totals = [int(row[3]) for row in rows if row[-1:] == ["total"]]
    return totals[0] if totals else 0


def reason(outcome: Outcome, bundle: Path) -> str:
    """Why Python alone does not run a bundle, in its own words."""
    lines = outcome.errors.decode(errors="replace").strip().splitlines()
    line = lines[-1] if lines else f"exit status {outcome.status}, and other output"
    # What the message names is a path of this machine, and then what mmport would do.
    line = line.removeprefix(f"{bundle}: ").split("; run it with")[0]
    return line.replace(str(bundle), bundle.name).split(": ", 1)[-1]


def different(case: Case, way: Way, expected: Outcome, outcome: Outcome) -> ComparisonError:
    """The error for a way that does not do what the first one does."""
    return ComparisonError(
        f"{case.name}: `{way.name}` differs from `{PLAIN}`, so times say nothing\n"
        f"expected status {expected.status} and output {expected.output!r}\n"
        f"found status {outcome.status} and output {outcome.output!r}\n"
        f"its errors: {outcome.errors.decode(errors='replace')}"
    )

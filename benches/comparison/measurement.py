"""Timing whole processes, side by side."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .cases import Case
from .preparation import ComparisonError, Preparation, Prepared, remove_tree

WARM_UP_ROUNDS = 2

PLAIN = "virtual environment"
ZIP = "python bundle"
MMPORT = "mmport run"
INTERPRETER = "python -I -S -c pass"
EMBEDDED = "mmport python -I -S -c pass"
IDLE = ("-I", "-S", "-c", "pass")

FILE_CALLS = "%file,fstat,read,pread64,lseek,getdents64"
"""What counts as a file-system call: calls that name a path, and those that read or look at a file
or directory. Each is a round trip on a network file system without a cache."""

BLOCK = 512
"""Bytes, as the kernel counts what a process reads from the disk."""
CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
"""Those of this process before it was pinned."""


class DiffersError(ComparisonError):
    """A process did not do what it does in the virtual environment."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        """Keep what it did do."""
        super().__init__(message)
        self.outcome = outcome


@dataclass(frozen=True)
class Way:
    """One of the ways to run a case."""

    name: str
    command: list[str]
    environment: dict[str, str]
    standard_input: Path


@dataclass(frozen=True)
class Outcome:
    """What one process did."""

    milliseconds: float
    status: int
    output: bytes
    errors: bytes
    peak_memory: int
    """Bytes resident at most, files that are mapped included; of its children, the largest counts.
    Not less than this process had when it started the other."""
    processor_milliseconds: float
    """Time that processors were busy with it, in the kernel too."""
    read: int = 0
    """Bytes read from the disk."""
    faults: int = 0
    """Page faults that waited for the disk."""

    def is_like(self, other: Outcome) -> bool:
        """Whether both ended and printed alike."""
        return (self.status, self.output) == (other.status, other.output)


def ways_of(
    case: Case, prepared: Prepared, preparation: Preparation, directory: Path
) -> dict[str, Way]:
    """The virtual environment and mmport's ways, by name and in the order of their turns."""
    environment = {
        "HOME": str(preparation.directory / "home"),
        "MMPORT_ROOT": str(preparation.directory / "root"),
        **environment_of(case),
    }
    Path(environment["HOME"]).mkdir(exist_ok=True)
    standard_input = standard_input_of(case, directory)
    mmport, bundle = str(preparation.mmport), str(prepared.bundle)
    commands = {
        PLAIN: [str(prepared.program), *case.arguments],
        ZIP: [str(preparation.empty_environment()), bundle, *case.arguments],
        MMPORT: [mmport, "run", bundle, *case.arguments],
    }
    return {
        name: Way(name, command, environment, standard_input) for name, command in commands.items()
    }


def environment_of(case: Case) -> dict[str, str]:
    """The environment of a case's processes, without directories for what they keep."""
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "LANG": "C.UTF-8", **case.environment}


def standard_input_of(case: Case, directory: Path) -> Path:
    """What a case reads, started in ``directory``."""
    return Path(os.devnull) if case.standard_input is None else directory / case.standard_input


def checked(case: Case, way: Way, expected: Outcome) -> Outcome:
    """Run one process, which has to do what is expected."""
    outcome = run(way)
    if outcome.is_like(expected):
        return outcome
    raise DiffersError(
        f"{case.name}: `{way.name}` differs from `{PLAIN}`, so times say nothing\n"
        f"expected status {expected.status} and output {expected.output!r}\n"
        f"found status {outcome.status} and output {outcome.output!r}\n"
        f"its errors: {outcome.errors.decode(errors='replace')}",
        outcome,
    )


def run(way: Way) -> Outcome:
    """Run one process to its end, in the current directory."""
    return spawn(way.command, way.environment, way.standard_input)


KEPT: list[Path] = []
"""Directories that are of no use any more."""
MARGIN = 20 << 30
"""Bytes that have to be free on the disk for them to stay."""


@contextmanager
def new_directories(parent: Path) -> Iterator[Callable[[], Path]]:
    """Make new, empty directories, which stay until all is measured, if there is room for them.

    Where files were removed, ext4 looks for minutes at each of their numbers before it gives one to
    a new file: to write a thousand files then takes seconds instead of a tenth of one.
    """
    directories: list[Path] = []

    def make() -> Path:
        directories.append(Path(tempfile.mkdtemp(dir=parent)))
        return directories[-1]

    try:
        yield make
    finally:
        KEPT.extend(directories)
        if shutil.disk_usage(parent).free < MARGIN:
            remove_kept()


def remove_kept() -> None:
    """Remove what `new_directories` has left."""
    while KEPT:
        remove_tree(KEPT.pop())
    os.sync()


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
        _, status, usage = os.wait4(process, 0)
        nanoseconds = time.perf_counter_ns() - started
        output.seek(0)
        errors.seek(0)
        code = os.waitstatus_to_exitcode(status)
        peak_memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        processor = (usage.ru_utime + usage.ru_stime) * 1000
        read = usage.ru_inblock * BLOCK
        return Outcome(
            nanoseconds / 1e6,
            code,
            output.read(),
            errors.read(),
            peak_memory,
            processor,
            read,
            usage.ru_majflt,
        )


def pin() -> None:
    """Keep this process, and those that it starts, on one core, where that is possible."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


@contextmanager
def unpinned() -> Iterator[None]:
    """Let processes run on all cores for a while."""
    if not CORES:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, CORES)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


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

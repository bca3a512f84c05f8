"""How starts are measured: warm, first, cold, many at once, their calls and their memory."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from .measurement import (
    WARM_UP_ROUNDS,
    DiffersError,
    Outcome,
    Way,
    file_calls,
    new_directories,
    spawn,
    unpinned,
)
from .preparation import ComparisonError, progress, remove_tree
from .trial import Sample, Trial
from .ways import in_directory

DROP = Path("/proc/sys/vm/drop_caches")
ROUNDS = {"warm": 9, "first": 5, "cold": 5, "concurrent": 3, "calls": 1, "memory": 3}
"""By mode, if nothing else is asked for."""

MEASURE = """\
import os, sys
process = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(process, 0)
with open(sys.argv[1], "w") as file:
    print(usage.ru_maxrss, file=file)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Python that starts a program: a process counts what the one that starts it has resident, and this
one has less than all that are measured."""


def warm(trial: Trial, rounds: int) -> None:
    """Start again and again, with everything in the page cache."""

    def start(way: Way) -> Sample:
        return times(trial.start(way))

    trial.in_rounds("warm", trial.ways_in("warm"), rounds, start, WARM_UP_ROUNDS)


def first(trial: Trial, rounds: int) -> None:
    """Start all for the first time, in new directories, and then all again."""
    ways = trial.ways_in("first")
    progress(f"measuring {trial.case.name}, first: {rounds} rounds of {len(ways)} ways, two starts")
    series = {
        name: trial.measurement.samples.setdefault(name, {way.name: [] for way in ways})
        for name in ("first", "next")
    }
    for number in range(-1, rounds):
        with new_directories(trial.preparation.directory) as new_directory:
            own = [in_directory(way, new_directory()) for way in ways if way.name in trial.ways]
            for way in own:
                remove_bytecode(trial, way)
            for samples in series.values():
                for way in own:
                    if way.name not in trial.ways:
                        continue
                    sample = trial.attempt(way, lambda way=way: start_writing(trial, way))
                    if number >= 0 and isinstance(sample, dict):
                        samples[way.name].append(sample)


def start_writing(trial: Trial, way: Way) -> Sample:
    """Start once, and count what that leaves behind."""
    fresh = trial.products[way.name].fresh
    places = [Path(way.environment["HOME"]), *([fresh] if fresh else [])]
    before = files_below(places)
    sample = times(trial.start(way))
    new = [size for key, size in files_below(places).items() if key not in before]
    # What one has written does not keep the disk busy while the next one starts.
    os.sync()
    return sample | {"files": len(new), "written": sum(new)}


def remove_bytecode(trial: Trial, way: Way) -> None:
    """Remove the bytecode of an environment that is to have none."""
    if fresh := trial.products[way.name].fresh:
        for bytecode in list(fresh.rglob("__pycache__")):
            remove_tree(bytecode)


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


def cold(trial: Trial, rounds: int) -> None:
    """Start with an empty page cache."""

    def start(way: Way) -> Sample:
        os.sync()
        DROP.write_text("3")
        outcome = trial.start(way)
        return times(outcome) | {"read": outcome.read, "faults": outcome.faults}

    trial.in_rounds("cold", trial.ways_in("cold"), rounds, start)


def may_empty_page_cache() -> bool:
    """Whether the kernel lets this process do so."""
    try:
        DROP.write_text("1")
    except OSError:
        return False
    return True


def concurrent(trial: Trial, rounds: int, numbers: list[int]) -> None:
    """Start many at once, on all cores: when it has run before, and for the first time."""
    ways = trial.ways_in("concurrent")
    used = [way for way in ways if "warm" in trial.kinds[way.name].modes]
    with unpinned():
        for number in numbers:

            def start(way: Way, number: int = number) -> Sample:
                return many(trial, way, number)

            def start_first(way: Way, number: int = number) -> Sample:
                with new_directories(trial.preparation.directory) as new_directory:
                    remove_bytecode(trial, way)
                    # One directory for all of them: they are to get in each other's way.
                    return many(trial, in_directory(way, new_directory()), number)

            trial.in_rounds(f"{number} at once", used, rounds, start, warm_up=0)
            trial.in_rounds(f"{number} first at once", ways, rounds, start_first, warm_up=0)


def many(trial: Trial, way: Way, number: int) -> Sample:
    """Start many at once, and wait for the last."""
    command = way.command
    with ExitStack() as files:
        outputs = [files.enter_context(tempfile.TemporaryFile()) for _ in range(number)]
        started = time.perf_counter()
        processes = []
        for output in outputs:
            actions = [
                (os.POSIX_SPAWN_OPEN, 0, str(way.standard_input), os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output.fileno(), 1),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ]
            processes.append(
                os.posix_spawn(command[0], command, way.environment, file_actions=actions)
            )
        ends = [os.wait4(process, 0) for process in processes]
        elapsed = 1000 * (time.perf_counter() - started)
        failures = 0
        for output, (_, status, _) in zip(outputs, ends, strict=True):
            output.seek(0)
            found = os.waitstatus_to_exitcode(status), output.read()
            failures += found != (trial.expected.status, trial.expected.output)
    processor = sum(usage.ru_utime + usage.ru_stime for _, _, usage in ends)
    return {"milliseconds": elapsed, "processor": processor * 1000, "failures": failures}


def calls(trial: Trial, rounds: int) -> None:
    """Count the file-system calls of a warm start."""
    strace = shutil.which("strace")
    if strace is None:
        progress("file-system calls are left out: there is no strace")
        return

    def start(way: Way) -> Sample:
        return {"calls": file_calls(way, str(strace))}

    series = "calls"
    trial.in_rounds(series, trial.ways_in("calls"), rounds, start, warm_up=0)
    samples = trial.measurement.samples[series]
    if not all(sample["calls"] for values in samples.values() for sample in values):
        progress("file-system calls are left out: this machine lets nothing be traced")
        del trial.measurement.samples[series]


def memory(trial: Trial, rounds: int) -> None:
    """Find how much memory is resident at the peak of a warm start."""
    python = str(trial.preparation.python)

    def start(way: Way) -> Sample:
        with tempfile.NamedTemporaryFile() as file:
            command = [python, "-I", "-S", "-c", MEASURE, file.name, *way.command]
            outcome = spawn(command, way.environment, way.standard_input)
            if not outcome.is_like(trial.expected):
                raise DiffersError(f"{trial.case.name}: `{way.name}` differs", outcome)
            return {"memory": int(Path(file.name).read_text()) * 1024}

    trial.in_rounds("memory", trial.ways_in("memory"), rounds, start, warm_up=0)


def times(outcome: Outcome) -> Sample:
    """What a start took."""
    return {"milliseconds": outcome.milliseconds, "processor": outcome.processor_milliseconds}


BY_NAME: dict[str, Callable[[Trial, int], None]] = {
    "warm": warm,
    "memory": memory,
    "calls": calls,
    "first": first,
    "cold": cold,
}
"""The modes that need nothing else, in the order in which they are measured: those that disturb
what follows come last."""


def measure(trial: Trial, modes: list[str], rounds: int | None, numbers: list[int]) -> None:
    """Measure a case in the modes that were asked for."""
    for name, mode in BY_NAME.items():
        if name in modes:
            mode(trial, rounds or ROUNDS[name])
    if "concurrent" in modes:
        if not numbers:
            raise ComparisonError("how many are to start at once?")
        concurrent(trial, rounds or ROUNDS["concurrent"], numbers)

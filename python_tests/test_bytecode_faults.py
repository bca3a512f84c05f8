"""The cache of code objects under load, killed, damaged, and where it cannot be: programs run."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from code_cache import (
    Cached,
    finished,
    full,
    many_modules,
    ran_at_all,
    write_zip,
)
from support import write_files

MODULES = 120
PRINTS = f"{sum(range(MODULES))}\n"
# The modules, their package, and `__main__`.
ALL = MODULES + 2


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Return a zip of many modules."""
    return write_zip(tmp_path / "many.zip", many_modules(MODULES))


@pytest.fixture
def in_memory(cached: Cached) -> Iterator[Cached]:
    """Return a cache on a file system that makes new files at once."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield cached
        return
    place = memory / f"mmport-test-{os.getpid()}-{time.monotonic_ns()}"
    place.mkdir(0o700)
    yield Cached(place / "cache", cached.mmport, cached.environment, cached.cwd)
    shutil.rmtree(place)


@pytest.mark.parametrize("kills", [12, *full(220)])
def test_killed_at_any_moment(kills: int, many: Path, in_memory: Cached) -> None:
    """Whatever was written is whole or is not there; nothing has to be dropped."""
    cached = in_memory
    started = time.monotonic()
    cached.run(many).outcome.succeeded()
    duration = time.monotonic() - started
    shutil.rmtree(cached.root)
    chance = random.Random(6)
    writing = 0
    for _ in range(kills):
        process = subprocess.Popen(
            [cached.mmport, "run", many], env=cached.variables, stdout=subprocess.DEVNULL
        )
        time.sleep(chance.uniform(0, 1.1 * duration))
        process.send_signal(signal.SIGKILL)
        process.wait()
        writing += any(path.name.startswith(("writing-", "merging-")) for path in cached.packs())
        # What the next one would find, tried on a copy, so that there is something left to write.
        copy = Cached(cached.root.with_name("copy"), cached.mmport, cached.environment, cached.cwd)
        if cached.root.exists():
            shutil.copytree(cached.root, copy.root, symlinks=True)
        start = copy.run(many)
        assert start.outcome.succeeded().stdout == PRINTS
        assert (start.outcome.stderr, list(start.warnings)) == ("", [])
        assert copy.run(many).misses == []
        shutil.rmtree(copy.root)
        if not start.misses or chance.random() < 0.2:
            shutil.rmtree(cached.root, ignore_errors=True)
    assert writing > kills / 10
    assert cached.told("verify")["damaged_packs"] == []
    cached.run(many).outcome.succeeded()
    start = cached.run(many)
    assert (start.outcome.stdout, len(start.hits), start.misses) == (PRINTS, ALL, [])
    assert cached.is_sound()
    # One that is empty may have been made this moment; it stays for a minute.
    assert len([pack for pack in cached.packs() if pack.stat().st_size]) == 1


@pytest.mark.parametrize("starts", [16, *full(64)])
def test_many_first_starts_at_once(starts: int, many: Path, cached: Cached) -> None:
    """All of them succeed and agree, and what they leave is soon one copy in a few files."""
    running = [
        subprocess.Popen(
            [cached.mmport, "run", many],
            env={**cached.variables, "MMPORT_LOG": "warn"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(starts)
    ]
    outcomes = {str(finished(process)) for process in running}
    assert outcomes == {f"status 0\n--- stdout\n{PRINTS}\n--- stderr\n"}
    start = cached.run(many)
    assert (len(start.hits), start.misses) == (ALL, [])
    assert len(cached.packs()) <= 9
    stored: dict[str, set[int]] = {}
    for code in cached.told("list"):
        assert code["is_sound"]
        stored.setdefault(code["key"], set()).add(code["bytes"])
    assert len(stored) == ALL
    # The same from every process.
    assert all(len(sizes) == 1 for sizes in stored.values())


@pytest.mark.parametrize("starts", [6, *full(40)])
def test_others_clear_and_prune_meanwhile(starts: int, many: Path, cached: Cached) -> None:
    """Programs go on, whatever is removed under them."""
    running = []
    for number in range(starts):
        variables = {**cached.variables, "MMPORT_LOG": "warn", "MMPORT_BYTECODE_SIZE": "8KiB"}
        actions = (["clear"], ["prune", "--max-size", "1KiB"], ["verify"])
        for command in (["run", many], ["cache", *actions[number % 3]]):
            running.append(
                subprocess.Popen(
                    [cached.mmport, *command],
                    env=variables,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
    outcomes = [finished(process) for process in running]
    assert {outcome.stdout for outcome in outcomes[::2]} == {PRINTS}
    assert {(outcome.status, outcome.stderr) for outcome in outcomes} == {(0, "")}
    cached.run(many).outcome.succeeded()
    assert cached.run(many).misses == []
    assert cached.is_sound()


def positions(length: int, count: int) -> list[int]:
    """Return places in a file: the ends, and some between them."""
    chance = random.Random(length)
    return sorted({0, 1, length - 1, *(chance.randrange(length) for _ in range(count))})


@pytest.mark.parametrize("count", [5, *full(4000)])
@pytest.mark.parametrize("damage", ["flipped", "cut off"])
def test_damaged_packs(damage: str, count: int, small: Path, cached: Cached) -> None:
    """Every start prints what it has to, with at most one line; the next one finds all whole."""
    cached.run(small)
    (pack,) = cached.packs()
    content = pack.read_bytes()
    for position in positions(len(content), count):
        for other in cached.packs():
            other.unlink()
        flipped = bytes([content[position] ^ (1 << position % 8)])
        end = flipped + content[position + 1 :] if damage == "flipped" else b""
        pack.write_bytes(content[:position] + end)
        pack.chmod(0o600)
        ran_at_all(cached, small)
        start = cached.run(small)
        assert (start.outcome.stdout, start.misses) == ("8\n", []), position
        cached.command("verify").succeeded()
        assert cached.is_sound()
        start = cached.run(small)
        assert (start.outcome.stdout, start.misses, list(start.warnings)) == ("8\n", [], [])


def test_a_pack_that_is_cut_off_while_it_is_read(many: Path, cached: Cached) -> None:
    """A program that has it mapped goes on, and compiles what is gone."""
    cached.run(many)
    code = """\
import importlib, os, sys, mmport
mmport.install(sys.argv[1])
import many.m0
for pack in sys.argv[2:]:
    os.truncate(pack, 4096)
print(sum(importlib.import_module(f"many.m{number}").C().value()[1] for number in range(120)))
"""
    start = cached(sys.executable, "-c", code, many, *cached.packs())
    assert start.outcome.succeeded().stdout == PRINTS
    assert start.misses
    assert len(start.warnings) <= 1, start.warnings
    cached.run(many).outcome.succeeded()
    assert cached.run(many).misses == []


def test_a_program_without_standard_streams(small: Path, cached: Cached, tmp_path: Path) -> None:
    """No file of the cache gets the number of one, and what is printed is in no pack."""
    script = 'exec "$0" run "$1" <&- >&- 2>&-'
    for _ in range(2):
        cached("sh", "-c", script, cached.mmport, small)
    assert cached.is_sound()
    assert cached.run(small).misses == []


def test_processes_that_replace_themselves(tmp_path: Path, cached: Cached) -> None:
    """After `exec` nothing completes the pack; the next start uses it and puts it in order."""
    main = (
        "import os, sys, one\nif len(sys.argv) == 1:\n"
        "    os.execv(sys.executable, [sys.executable, '-c', 'print(1)'])\nimport two\nprint(2)\n"
    )
    program = write_zip(
        tmp_path / "p.zip", {"__main__.py": main, "one.py": "", "two.py": "x = 1\n"}
    )
    assert cached.run(program).outcome.succeeded().stdout == "1\n"
    assert [path.name.partition("-")[0] for path in cached.packs()] == ["writing"]
    start = cached.run(program, "second")
    assert (start.hits, start.misses) == (["__main__", "one"], ["two"])
    assert [path.name.partition("-")[0] for path in cached.packs()] == ["pack"]


def test_names_that_are_taken(tmp_path: Path, cached: Cached) -> None:
    """Module names and paths that no record can hold are cut; the code is kept all the same."""
    tree = tmp_path
    for _ in range(15):
        tree = tree / ("d" * 240)
    try:
        write_files(tree, {"one.py": "print(1)\n"})
    except OSError:
        pytest.skip("this file system has shorter paths")
    first, second = (cached.serve(tree, "one") for _ in range(2))
    assert (first.outcome.succeeded().stdout, second.misses) == ("1\n", [])

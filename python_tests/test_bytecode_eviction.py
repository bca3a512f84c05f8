"""How large the cache of code objects becomes: what was used least recently goes, without harm."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from code_cache import LOG, Cached, finished, many_modules, set_stamps, start_of, write_zip

DAY = 24 * 60 * 60
COUNT = 20


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that makes a zip whose modules no other program has."""

    def program(name: str) -> Path:
        files = many_modules(COUNT)
        files = {path: f"'''{name}, {path}'''\n{text}" for path, text in files.items()}
        files = {path.replace("many/m", f"many/{name}"): text for path, text in files.items()}
        files["__main__.py"] = files["__main__.py"].replace("many.m{", f"many.{name}{{")
        return write_zip(tmp_path / f"{name}.zip", files)

    return program


def size_of(cached: Cached) -> int:
    """Return how many bytes all packs have."""
    return sum(pack.stat().st_size for pack in cached.packs())


def programs_in(cached: Cached) -> dict[str, int]:
    """Return how many modules of each program are there."""
    counts: dict[str, int] = {}
    for code in cached.told("list"):
        name = Path(code["origin"].partition(".zip")[0]).name
        counts[name] = counts.get(name, 0) + 1
    return counts


def test_the_limit_holds(program: Callable[[str], Path], cached: Cached) -> None:
    """After each start, with programs of several targets, and something is kept all the while."""
    cached.run(program("first"))
    limit = size_of(cached) * 2
    for number in range(8):
        for pack in cached.packs():
            set_stamps(pack, int(time.time()) - DAY)
        variables = {"PYTHONOPTIMIZE": str(number % 3)}
        start = cached.run(program(f"p{number}"), MMPORT_BYTECODE_SIZE=f"{limit}B", **variables)
        assert start.outcome.succeeded().stdout == f"{sum(range(COUNT))}\n"
        assert list(start.warnings) == []
        assert limit / 2 <= size_of(cached) <= limit
        # The one that has just been compiled is what was used most recently.
        assert programs_in(cached)[f"p{number}"] == COUNT + 2
    assert cached.is_sound()


def test_a_program_that_is_larger_than_the_limit(
    program: Callable[[str], Path], cached: Cached
) -> None:
    """A part of it is kept."""
    place = program("large")
    cached.run(place)
    limit = size_of(cached) // 2
    for level in "1", "2":
        start = cached.run(place, MMPORT_BYTECODE_SIZE=f"{limit}B", PYTHONOPTIMIZE=level)
        assert start.outcome.succeeded().stdout == f"{sum(range(COUNT))}\n"
        assert 0 < size_of(cached) <= limit
    assert cached.is_sound()


@pytest.mark.parametrize("way", ["a start", "prune"])
def test_what_was_used_least_recently_goes_first(
    way: str, program: Callable[[str], Path], cached: Cached
) -> None:
    """Being compiled counts, and being loaded."""
    now = int(time.time())
    places = {}
    for age, name in enumerate(["oldest", "older", "old"]):
        known = set(cached.packs())
        places[name] = program(name)
        cached.run(places[name])
        (pack,) = set(cached.packs()) - known
        set_stamps(pack, now - (10 - age) * DAY)
    # What was compiled first is loaded again.
    assert cached.run(places["oldest"]).misses == []
    used = {code["used"] for code in cached.told("list") if "oldest.zip" in code["origin"]}
    assert min(used) >= now
    size = size_of(cached)
    if way == "prune":
        assert cached.told("prune", "--max-size", f"{size}B")["removed"]["files"] == 0
        # A part more goes than has to, so that not every start has to drop something.
        cached.told("prune", "--max-size", f"{size * 4 // 5}B")
    else:
        cached.run(program("new"), MMPORT_BYTECODE_SIZE=f"{size * 7 // 6}B")
    found = programs_in(cached)
    assert found.pop("older", 0) < COUNT / 2
    kept = ["oldest", "old"] if way == "prune" else ["oldest", "old", "new"]
    assert found == dict.fromkeys(kept, COUNT + 2)
    assert cached.run(places["oldest"]).misses == []
    assert cached.run(places["old"]).misses == []
    assert cached.is_sound()


def test_reading_without_writing_leaves_the_order(
    program: Callable[[str], Path], cached: Cached
) -> None:
    """Where nothing is to be written, not even the time of use is."""
    place = program("stamped")
    cached.run(place)
    (pack,) = cached.packs()
    set_stamps(pack, 1_000_000)
    before = pack.read_bytes()
    assert cached.run(place, PYTHONDONTWRITEBYTECODE="1").misses == []
    assert pack.read_bytes() == before
    assert cached.run(place).misses == []
    assert pack.read_bytes() != before


WAITS = """\
import importlib, sys
import many.reads0
print("ready", flush=True)
sys.stdin.read()
print(sum(importlib.import_module(f"many.reads{number}").C().value()[1] for number in range(%d)))
"""


@pytest.mark.parametrize("action", ["clear", "prune", "limit", "verify"])
def test_a_program_that_reads_goes_on(
    action: str, program: Callable[[str], Path], cached: Cached, tmp_path: Path
) -> None:
    """What it has mapped stays readable, though the files are gone."""
    files = {
        f"many/reads{n}.py": f"n = {n}\n{many_modules(COUNT)[f'many/m{n}.py']}"
        for n in range(COUNT)
    }
    main = {"__main__.py": WAITS % COUNT, "many/__init__.py": ""}
    place = write_zip(tmp_path / "reads.zip", files | main)
    first = subprocess.run(
        [cached.mmport, "run", place],
        input="",
        env=cached.variables,
        text=True,
        check=True,
        capture_output=True,
    )
    before = cached.packs()
    with subprocess.Popen(
        [cached.mmport, "run", place],
        env={**cached.variables, "MMPORT_LOG": LOG},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        if action == "limit":
            cached.run(program("another"), MMPORT_BYTECODE_SIZE="1KiB")
        else:
            cached.command(action, *(["--max-size", "0B"] if action == "prune" else [])).succeeded()
        assert (cached.packs() == before) == (action == "verify")
        start = start_of(finished(process))
    assert start.outcome.succeeded().stdout == first.stdout.removeprefix("ready\n")
    assert (len(start.hits), start.misses, list(start.warnings)) == (COUNT + 2, [], [])


def test_many_small_packs_become_few(program: Callable[[str], Path], cached: Cached) -> None:
    """Also where a start only finds them, and has nothing to add."""
    places = [program(f"p{number}") for number in range(12)]
    scattered = []
    for place in places:
        cached.run(place)
        for pack in cached.packs():
            scattered.append((pack, pack.read_bytes()))
            pack.unlink()
    for pack, content in scattered:
        pack.touch(mode=0o600)
        pack.write_bytes(content)
    assert len(cached.packs()) == len(places)
    assert cached.run(places[0]).misses == []
    assert len(cached.packs()) == 1
    assert [cached.run(place).misses for place in places] == [[]] * len(places)
    assert cached.is_sound()

"""What time stamps say has no part in what is compiled: neither too often nor too seldom."""

from __future__ import annotations

import os
import shutil
import sys
import time
import zipfile
from pathlib import Path

import pytest
from code_cache import Cached
from support import Outcome, write_files

NOW = int(time.time())
DAY = 24 * 60 * 60
TIMES = {
    "zero": 0,
    "1980": 315_532_800,
    "year before": NOW - 365 * DAY,
    "second before": NOW - 1,
    "now": NOW,
    "year after": NOW + 365 * DAY,
    "2038": 2**31 + 5,
    "2106": 2**32 + 5,
}
FILES = {
    "stamped/__init__.py": "from . import value\n",
    "stamped/value.py": "value = 1111\n",
    "stamped/main.py": "from .value import value\nprint(value)\n",
}
PLAIN = "import sys; sys.path.append(sys.argv[1]); import stamped.main"


def set_times(folder: Path, seconds: int) -> None:
    """Give all files and folders this time."""
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (seconds, seconds))


def zipped(tree: Path, path: Path, moment: tuple[int, int, int, int, int, int]) -> Path:
    """Write a zip of a tree, all of which has this time."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(tree.rglob("*.py")):
            name = file.relative_to(tree).as_posix()
            archive.writestr(zipfile.ZipInfo(name, moment), file.read_bytes())
    return path


def plain(cached: Cached, tree: Path) -> Outcome:
    """Run the same by CPython, with its `.pyc` files beside the sources."""
    return cached(sys.executable, "-c", PLAIN, tree).outcome.succeeded()


@pytest.fixture
def tree(tmp_path: Path, cached: Cached) -> Path:
    """Return sources whose code is in the cache."""
    tree = write_files(tmp_path / "tree", FILES)
    start = cached.serve(tree, "stamped.main")
    assert (start.outcome.stdout, len(start.misses)) == ("1111\n", 3)
    return tree


@pytest.mark.parametrize("name", TIMES)
def test_touched(name: str, tree: Path, cached: Cached) -> None:
    """Another time on the same source is nothing: nothing is compiled."""
    set_times(tree, TIMES[name])
    start = cached.serve(tree, "stamped.main")
    assert (start.outcome.stdout, start.misses) == ("1111\n", [])
    assert len(cached.told("list")) == 3


@pytest.mark.parametrize("name", TIMES)
def test_edited_and_its_time_set(name: str, tree: Path, cached: Cached) -> None:
    """An edit is seen, whatever the time of the file becomes, and however often."""
    set_times(tree, TIMES[name])
    for value in "2222", "3333", "2222", "1111":
        tree.joinpath("stamped/value.py").write_text(f"value = {value}\n")
        set_times(tree, TIMES[name])
        start = cached.serve(tree, "stamped.main")
        assert start.outcome.succeeded().stdout == f"{value}\n"
    # What was compiled before is not compiled again.
    assert start.misses == []
    assert len(cached.told("list")) == 5


def test_copied(tree: Path, cached: Cached, tmp_path: Path) -> None:
    """A copy, with its times or with new ones, compiles nothing."""
    for name, copy in ("with times", shutil.copy2), ("with others", shutil.copyfile):
        place = Path(shutil.copytree(tree, tmp_path / name, copy_function=copy))
        start = cached.serve(place, "stamped.main")
        assert (start.outcome.stdout, start.misses) == ("1111\n", [])


MOMENTS = [(1980, 1, 1, 0, 0, 0), (1980, 0, 0, 0, 0, 0), (2107, 12, 31, 23, 59, 58)]


@pytest.mark.parametrize("moment", [*MOMENTS, (2024, 2, 30, 25, 61, 60)], ids=str)
def test_zipped_and_unpacked(
    moment: tuple[int, int, int, int, int, int], tree: Path, cached: Cached, tmp_path: Path
) -> None:
    """Zips have times of their own, or none; unpacking them sets others."""
    archive = zipped(tree, tmp_path / "stamped.zip", moment)
    start = cached.serve(archive, "stamped.main")
    assert (start.outcome.stdout, start.misses) == ("1111\n", [])
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path / "unpacked")
    start = cached.serve(tmp_path / "unpacked", "stamped.main")
    assert (start.outcome.stdout, start.misses) == ("1111\n", [])
    tree.joinpath("stamped/value.py").write_text("value = 2222\n")
    archive = zipped(tree, tmp_path / "stamped.zip", moment)
    start = cached.serve(archive, "stamped.main")
    assert (start.outcome.stdout, start.misses) == ("2222\n", ["stamped.value"])


def test_a_clock_that_was_set_back(tree: Path, cached: Cached) -> None:
    """Packs that seem to come from the future, or from long ago, are used as any other."""
    for seconds in NOW + 400 * DAY, 0:
        for path in [*cached.root.rglob("*")]:
            os.utime(path, (seconds, seconds), follow_symlinks=False)
        assert cached.serve(tree, "stamped.main").misses == []


def test_edited_within_the_second_with_the_same_size(tree: Path, cached: Cached) -> None:
    """CPython runs what it has compiled before the edit; mmport what is there."""
    value = tree / "stamped" / "value.py"
    os.utime(value, (NOW - DAY, NOW - DAY))
    assert plain(cached, tree).stdout == "1111\n"
    stale = [path.name for path in value.parent.glob("__pycache__/value.*.pyc")]
    assert len(stale) == 1
    value.write_text("value = 2222\n")
    # As if it had been edited in the second in which it was written: times are kept to the second.
    os.utime(value, (NOW - DAY, NOW - DAY + 0.75))
    assert plain(cached, tree).stdout == "1111\n"
    start = cached.serve(tree, "stamped.main")
    assert (start.outcome.stdout, start.misses) == ("2222\n", ["stamped.value"])
    # Its `.pyc` is still there, and still stale.
    assert plain(cached, tree).stdout == "1111\n"


def test_edited_at_once(tree: Path, cached: Cached) -> None:
    """The same with edits as fast as they can be made, by the program that imports."""
    code = """\
import importlib, sys, mmport
mmport.install(sys.argv[1])
import stamped.value as module
for number in range(2000, 2100):
    with open(module.__file__, "w") as file:
        file.write(f"value = {number}\\n")
    importlib.reload(module)
    assert module.value == number, (module.value, number)
print(module.value)
"""
    assert cached(sys.executable, "-c", code, tree).outcome.succeeded().stdout == "2099\n"
    start = cached(sys.executable, "-c", code, tree)
    assert (start.outcome.stdout, start.misses) == ("2099\n", [])


def test_edited_back(tree: Path, cached: Cached) -> None:
    """A branch that is switched to and fro compiles each state once; CPython each time."""
    value = tree / "stamped" / "value.py"
    for number in range(6):
        value.write_text(f"value = {number % 2 + 1}000\n")
        os.utime(value, (NOW + number * 10,) * 2)
        start = cached.serve(tree, "stamped.main")
        assert start.outcome.stdout == f"{number % 2 + 1}000\n"
        assert start.misses == (["stamped.value"] if number < 2 else [])

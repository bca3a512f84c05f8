"""The cache of code objects where it cannot be, or should not: programs run, with a word of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from code_cache import (
    Cached,
    finished,
    full,
    is_mended,
    many_modules,
    ran_at_all,
    start_of,
    without_capabilities,
    write_zip,
)
from mounts import in_mounts
from support import Runner, files_below

MODULES = 120
PRINTS = f"{sum(range(MODULES))}\n"


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Return a zip of many modules."""
    return write_zip(tmp_path / "many.zip", many_modules(MODULES))


@pytest.mark.parametrize("size", [40, *full(*range(4, 72, 4))])
def test_disk_full(size: int, many: Path, cached: Cached, run: Runner, tmp_path: Path) -> None:
    """What fits is kept, and whole; the rest costs one line in the log."""
    place = tmp_path / "mount"
    script = '"$0" run "$1"; "$0" run "$1"; "$0" cache verify --json >&2; "$0" run "$1"'
    outcome = in_mounts(
        *(run, f"size={size}k,mode=700", place, "sh", "-c", script, cached.mmport, many),
        MMPORT_ROOT=str(place / "root"),
        MMPORT_LOG="mmport::bytecode=debug",
    )
    start = start_of(outcome)
    assert start.outcome.succeeded().stdout == PRINTS * 3
    assert '"damaged_packs": []' in start.outcome.stderr
    assert len(start.warnings) <= 3, start.warnings
    # Where there is room for a record, the third start finds it.
    assert size < 16 or [asked for asked in start.asked if asked.is_hit]


def test_a_mount_that_is_read_only(
    small: Path, cached: Cached, run: Runner, tmp_path: Path
) -> None:
    """Nothing can be made: one line; and what is there is used without one."""
    place = tmp_path / "mount"
    variables = {"MMPORT_ROOT": str(place / "root"), "MMPORT_LOG": "mmport::bytecode=debug"}
    start = start_of(in_mounts(run, "ro", place, cached.mmport, "run", small, **variables))
    assert (start.outcome.succeeded().stdout, len(start.warnings)) == ("8\n", 1)
    script = '"$0" run "$1" && mount -o remount,ro "$2" && "$0" run "$1"'
    words = ("sh", "-c", script, cached.mmport, small, place)
    start = start_of(in_mounts(run, "mode=700", place, *words, **variables))
    assert (start.outcome.succeeded().stdout, list(start.warnings)) == ("8\n8\n", [])
    assert (start.hits, start.misses) == (["__main__", "small"],) * 2


def refused(cached: Cached, place: Path) -> None:
    """Nothing is used or written, with one line in the log that names what is wrong."""
    before = files_below(cached.root)
    start = cached.run(place)
    assert (start.outcome.succeeded().stdout, start.outcome.stderr) == ("8\n", "")
    assert (start.hits, len(start.warnings)) == ([], 1), start.warnings
    assert str(cached.root) in start.warnings[0]
    code = {k: v for k, v in files_below(cached.root).items() if k.startswith("bytecode")}
    assert code == {k: v for k, v in before.items() if k.startswith("bytecode")}


LEVELS = ["", "bytecode-v1", f"bytecode-v1/{sys.implementation.cache_tag}"]


@pytest.mark.parametrize("level", LEVELS, ids=["root", "layout", "target"])
@pytest.mark.parametrize("wrong", ["writable", "foreign"])
def test_a_directory_that_others_can_write_to(
    wrong: str, level: str, small: Path, cached: Cached
) -> None:
    """Somebody could have planted code there: it is neither used nor added to."""
    cached.run(small)
    directory = cached.root / level
    if wrong == "writable":
        directory.chmod(0o777)
    elif os.geteuid() == 0:
        os.chown(directory, 65534, 65534)
    else:
        pytest.skip("only root can give a directory away")
    refused(cached, small)
    # Nor where it is empty.
    for pack in cached.packs():
        pack.unlink()
    refused(cached, small)


@pytest.mark.parametrize("wrong", ["writable", "foreign"])
def test_a_pack_that_others_can_write_to(wrong: str, small: Path, cached: Cached) -> None:
    """It is not used; what is compiled instead is kept beside it."""
    cached.run(small)
    (pack,) = cached.packs()
    if wrong == "writable":
        pack.chmod(0o666)
    elif os.geteuid() == 0:
        os.chown(pack, 65534, 65534)
    else:
        pytest.skip("only root can give a file away")
    start = cached.run(small)
    assert (start.outcome.stdout, start.hits, len(start.warnings)) == ("8\n", [], 1)
    assert cached.run(small).misses == []


def test_a_directory_without_permissions(small: Path, cached: Cached, tmp_path: Path) -> None:
    """It costs one line to find nothing and to keep nothing there."""

    def start() -> None:
        process = subprocess.Popen(
            [cached.mmport, "run", small],
            env={**cached.variables, "MMPORT_LOG": "mmport::bytecode=debug"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=without_capabilities,
        )
        start = start_of(finished(process))
        assert (start.outcome.succeeded().stdout, start.hits) == ("8\n", [])
        assert len(start.warnings) == 1, start.warnings

    cached.run(small)
    (pack,) = cached.packs()
    for path in pack, pack.parent:
        mode = path.stat().st_mode
        path.chmod(0)
        start()
        path.chmod(mode)
        if path == pack:
            for other in set(cached.packs()) - {pack}:
                other.unlink()
    is_mended(cached, small)


def test_a_root_that_cannot_be(small: Path, cached: Cached, tmp_path: Path) -> None:
    """Below a file, below a dangling link, at a device."""
    tmp_path.joinpath("file").write_text("")
    tmp_path.joinpath("link").symlink_to(tmp_path / "nowhere" / "at" / "all")
    for root in (
        tmp_path / "file",
        tmp_path / "file" / "below",
        tmp_path / "link",
        Path("/dev/null"),
    ):
        for _ in range(2):
            ran_at_all(cached, small, MMPORT_ROOT=str(root))


def a_directory(pack: Path) -> None:
    """Put a directory with something in it in place of the pack."""
    pack.mkdir()
    pack.joinpath("file").write_text("")


IN_PLACE: dict[str, Callable[[Path], object]] = {
    "directory": a_directory,
    "pipe": os.mkfifo,
    "link to itself": lambda pack: pack.symlink_to(pack),
    "link to a pack": lambda pack: pack.symlink_to(f"../moved-{pack.name}"),
    "nothing in it": lambda pack: pack.touch(mode=0o600),
    "nothing in it for long": lambda pack: (pack.touch(mode=0o600), os.utime(pack, (0, 0))),
    "other content": lambda pack: pack.write_bytes(b"something else " * 100),
}


@pytest.mark.parametrize("prefix", ["pack-", "writing-"])
@pytest.mark.parametrize("name", IN_PLACE)
def test_something_else_in_place_of_a_pack(
    name: str, prefix: str, small: Path, cached: Cached
) -> None:
    """It is not followed, opened or waited for; and `mmport cache` clears it away."""
    cached.run(small)
    (pack,) = cached.packs()
    pack.rename(pack.parent.parent / f"moved-{pack.name}")
    IN_PLACE[name](pack.with_name(prefix + pack.name.partition("-")[2]))
    for hits in [], ["__main__", "small"]:
        start = cached.run(small)
        assert (start.outcome.succeeded().stdout, start.hits) == ("8\n", hits)
        assert len(start.warnings) <= 1, start.warnings
    for action in "list", "info", "verify", "prune", "clear":
        cached.command(action).succeeded()
    is_mended(cached, small)

"""`mmport cache`: counting, pruning, clearing and verifying."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from compiler import package_with_needs
from conftest import Application
from support import Outcome, files_below

ApplicationOf = Callable[..., Application]

MAIN = """\
import sys
import pkg.native
print(pkg.native.answer(), flush=True)
if "wait" in sys.argv:
    sys.stdin.read()
    import pkg.late, late.native
    print(pkg.late.value, late.native.answer())
"""


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    """Return an `MMPORT_ROOT` of the test's own."""
    return tmp_path / "cache"


@pytest.fixture
def app(application: ApplicationOf, tmp_path: Path) -> Application:
    """Return an application with two packages that must be files."""
    package = package_with_needs(tmp_path / "compiled")
    late = {
        name.replace("pkg/", "late/"): content
        for name, content in package.items()
        if name.startswith("pkg/")
    }
    files = {"__main__.py": MAIN, "pkg/late.py": "value = 'late'\n", **package, **late}
    return application(files)


@pytest.fixture
def cache(app: Application, cached: Path) -> Callable[..., Outcome]:
    """Return a function that calls `mmport cache`."""

    def cache(*arguments: str) -> Outcome:
        command = (app.mmport, "cache", *arguments)
        return app.run(*command, MMPORT_ROOT=str(cached)).succeeded()

    return cache


def told(outcome: Outcome) -> Any:
    """Return the JSON that was written."""
    return json.loads(outcome.stdout)


def test_info_counts_what_is_there(
    app: Application, cached: Path, cache: Callable[..., Outcome]
) -> None:
    """Files are counted once, however many links they have."""
    assert cache().stdout == "nothing is cached\n"
    app.bundled(MMPORT_ROOT=str(cached)).succeeded()
    (shown,) = told(cache("--json"))
    (tree,) = shown["trees"]
    assert (tree["bundle"], tree["state"], tree["in_use"]) == (str(app.bundle), "present", False)
    files = {
        (path.stat().st_dev, path.stat().st_ino)
        for path in cached.rglob("*")
        if path.is_file() and not path.is_symlink()
    }
    assert shown["total"]["files"] == len(files)
    assert len(shown["environments"]) == 1
    text = cache().stdout
    assert f"\n  {app.bundle}: " in text
    assert text == cache("info").stdout


def test_prune_removes_what_belongs_to_no_bundle(
    app: Application, cached: Path, cache: Callable[..., Outcome], application: ApplicationOf
) -> None:
    """The bundle is gone, or another has taken its place; what others share stays."""
    other = application(
        {"__main__.py": "import pkg", "pkg/__init__.py": "", "pkg/data.txt": "data"}
    )
    for each in app, other:
        each.bundled(MMPORT_ROOT=str(cached)).succeeded()
    assert told(cache("prune", "--json"))["removed"] == {"files": 0, "bytes": 0}
    app.bundle.write_bytes(other.bundle.read_bytes())
    assert "the bundle was replaced" in cache().stdout
    assert cache("prune").stdout.startswith("removed ")
    (shown,) = told(cache("--json"))
    assert [tree["bundle"] for tree in shown["trees"]] == [str(other.bundle)]
    contents = [path.read_bytes() for path in cached.glob("contents-v1/*/*")]
    assert sorted(contents) == [b"", b"data"]
    other.bundle.unlink()
    assert "the bundle is gone" in cache().stdout
    cache("prune")
    (shown,) = told(cache("--json"))
    assert shown["trees"] == []
    assert len(shown["environments"]) == 1  # of the bundle that was replaced
    assert list(cached.glob("contents-v1/*/*")) == []


def test_clear_leaves_running_programs_alone(
    app: Application, cached: Path, cache: Callable[..., Outcome], environment: Mapping[str, str]
) -> None:
    """A program that runs goes on, and imports more; afterwards all is removed."""
    with subprocess.Popen(
        [app.mmport, "run", app.bundle, "wait"],
        env={**environment, "MMPORT_ROOT": str(cached)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "42\n"
        cleared = told(cache("clear", "--json"))
        assert len(cleared["kept_in_use"]) == 2  # its files and its environment
        assert told(cache("--json"))[0]["trees"][0]["in_use"] is True
        output, _ = process.communicate()
    assert (process.returncode, output) == (0, "late 42\n")
    assert "removed " in cache("clear").stdout
    # The lock that keeps two processes from clearing at once.
    assert set(files_below(cached)) <= {"bytecode-v1/tidying"}
    # And everything can be made again.
    assert app.bundled(MMPORT_ROOT=str(cached)).succeeded().stdout == "42\n"


def test_verify_replaces_what_is_damaged(
    app: Application, cached: Path, cache: Callable[..., Outcome]
) -> None:
    """Data files too, which no start looks at; even where the damage does not show in the times."""
    app.bundled(MMPORT_ROOT=str(cached)).succeeded()
    assert told(cache("verify", "--json"))["replaced"] == []
    (path,) = cached.glob("trees-v2/*/site-packages/pkg/data.txt")
    times = path.stat()
    path.chmod(0o644)
    path.write_bytes(b"dat4")
    path.chmod(0o444)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    (missing,) = cached.glob("trees-v2/*/site-packages/pkg/late.py")
    missing.parent.chmod(0o755)
    missing.unlink()
    missing.parent.chmod(0o555)
    assert sorted(told(cache("verify", "--json"))["replaced"]) == sorted([str(path), str(missing)])
    assert path.read_bytes() == b"data"
    assert missing.read_text() == "value = 'late'\n"
    assert "0 replaced" in cache("verify").stdout


def test_prune_sweeps_up_after_killed_processes(
    app: Application, cached: Path, cache: Callable[..., Outcome]
) -> None:
    """What is old enough to be nobody's, and layouts of other versions."""
    app.bundled(MMPORT_ROOT=str(cached)).succeeded()
    (tree,) = cached.glob("trees-v2/*")
    old, new = tree / ".staging-old", tree / ".staging-new"
    for folder in old, new:
        folder.mkdir()
        folder.joinpath("file").write_text("part")
    os.utime(old, (0, 0))
    former = cached / "trees-v1" / "key"
    former.mkdir(parents=True)
    newer = cached / "trees-v999" / "key"
    newer.mkdir(parents=True)
    cache("prune")
    assert not old.exists()
    assert not former.parent.exists()
    assert newer.exists()
    assert new.exists()


def test_an_environment_in_use_is_not_removed(
    app: Application, cached: Path, cache: Callable[..., Outcome], environment: Mapping[str, str]
) -> None:
    """Not even when the bundle is no longer where it was when the program started."""
    main = "import sys, os\nprint(sys.prefix, flush=True)\nsys.stdin.read()\n"
    app.folder.joinpath("__main__.py").write_text(main)
    bundle = app.bundle.parent / "moved.pyz"
    app.run(app.mmport, "build", "-q", "--source", app.folder, "-o", bundle).succeeded()
    with subprocess.Popen(
        [app.mmport, "run", bundle],
        env={**environment, "MMPORT_ROOT": str(cached)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        prefix = Path(process.stdout.readline().strip())
        bundle.rename(bundle.with_name("elsewhere.pyz"))
        for action in "prune", "clear":
            assert str(prefix) in told(cache(action, "--json"))["kept_in_use"]
        assert prefix.joinpath("bin", "python").exists()
        process.communicate()
    cache("prune")
    assert not prefix.exists()


def test_clearing_at_the_same_time(
    app: Application, cached: Path, environment: Mapping[str, str]
) -> None:
    """What another process has removed is removed."""
    for _ in range(5):
        app.bundled(MMPORT_ROOT=str(cached)).succeeded()
        running = [
            subprocess.Popen(
                [app.mmport, "cache", "clear"],
                env={**environment, "MMPORT_ROOT": str(cached)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(4)
        ]
        assert {(process.communicate()[1], process.returncode) for process in running} == {("", 0)}


def test_paths_that_are_no_text_or_control_a_terminal(
    app: Application, cached: Path, cache: Callable[..., Outcome]
) -> None:
    """They are shown all the same, and do nothing to the terminal."""
    app.bundled(MMPORT_ROOT=str(cached)).succeeded()
    (record,) = cached.glob("trees-v2/*/bundle")
    record.write_bytes(b"/tmp/\x1b[31mred\n\xff")
    assert "\x1b" not in cache().stdout
    assert told(cache("--json"))[0]["trees"][0]["bundle"].startswith("/tmp/\x1b[31mred\n")

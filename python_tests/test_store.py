"""The store of materialized packages: shared, raced, killed, damaged, and where it cannot be."""

from __future__ import annotations

import hashlib
import os
import pty
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from compiler import SUFFIX, compile_module, package_with_needs
from conftest import Application, Build
from mounts import in_mounts
from support import Runner, files_below, run_program, write_files

ApplicationOf = Callable[..., Application]

FILES = 1500
KILLS = 200
STARTS = 64

LISTING = """\
import hashlib
import pathlib

import package

digest = hashlib.sha256()
folder = pathlib.Path(package.__file__).parent
names = sorted(path.name for path in folder.iterdir())
for name in names:
    digest.update(name.encode() + folder.joinpath(name).read_bytes())
print(len(names), digest.hexdigest())
"""

NATIVE = """\
import pkg.native
print(pkg.native.answer(), pkg.native.__file__)
"""


def units(root: Path) -> list[Path]:
    """Return the packages in the store."""
    return sorted(root.glob("trees-v2/*/site-packages/*"))


def left_behind(root: Path) -> list[Path]:
    """Return what writers have left beside the packages."""
    return sorted(root.glob("trees-v2/*/.staging-*"))


@pytest.fixture
def bundle(build: Build, tmp_path: Path) -> Path:
    """Return a bundle with a package of many small data files."""
    data = {f"package/file{number}.txt": f"{number}\n" * 20 for number in range(FILES)}
    files = {"__main__.py": LISTING, "package/__init__.py": "", **data}
    return build("--source", write_files(tmp_path / "source", files))


def test_many_first_runs_at_once_share_the_work(
    mmport: Path, bundle: Path, environment: Mapping[str, str], tmp_path: Path
) -> None:
    """All succeed, agree, and leave one package and nothing else."""
    root = tmp_path / "root"
    variables = {**environment, "MMPORT_ROOT": str(root)}
    running = [
        subprocess.Popen(
            [mmport, "run", bundle],
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(STARTS)
    ]
    outcomes = {(process.communicate()[0], process.returncode) for process in running}
    assert len(outcomes) == 1, outcomes
    output, status = outcomes.pop()
    assert status == 0
    assert output.startswith(f"{FILES + 1} "), output
    assert [path.name for path in units(root)] == ["package"]
    assert left_behind(root) == []
    assert len(list(root.glob("environments-v1/*"))) == 1
    # Each content once in the store, once in the package: nobody wrote a second copy.
    links = {path.stat().st_nlink for path in units(root)[0].glob("*.txt")}
    assert links == {2}


@pytest.mark.full
def test_a_first_run_that_is_killed_damages_nothing(
    mmport: Path, bundle: Path, environment: Mapping[str, str], tmp_path: Path
) -> None:
    """After a kill at any moment there is a complete package or none, and the next run makes it."""
    # In memory where that can be: some disks take a millisecond for a new file.
    memory = Path("/dev/shm")
    folder = tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else tmp_path)
    place = Path(folder)
    undisturbed = {**environment, "MMPORT_ROOT": str(place / "undisturbed")}
    started = time.monotonic()
    expected = run_program([mmport, "run", bundle], environment=undisturbed, cwd=tmp_path)
    duration = time.monotonic() - started
    expected.succeeded()
    content = files_below(units(place / "undisturbed")[0])
    chance = random.Random(4)
    killed_while_writing = 0
    root = place / "root"
    variables = {**environment, "MMPORT_ROOT": str(root)}
    for _ in range(KILLS):
        process = subprocess.Popen(
            [mmport, "run", bundle], env=variables, stdout=subprocess.DEVNULL
        )
        time.sleep(chance.uniform(0, duration))
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed_while_writing += bool(left_behind(root))
        for unit in units(root):
            assert files_below(unit) == content
            remove(unit)
        for rest in left_behind(root):
            remove(rest)
        # Without its contents, or the next one has little left to write.
        if chance.random() < 0.5:
            shutil.rmtree(root / "contents-v1", ignore_errors=True)
    assert killed_while_writing > KILLS / 20
    again = run_program([mmport, "run", bundle], environment=variables, cwd=tmp_path)
    assert again == expected
    assert files_below(units(root)[0]) == content
    remove(place)


def remove(folder: Path) -> None:
    """Remove a folder of the store, whose folders are read-only."""
    for path, _, _ in os.walk(folder):
        os.chmod(path, 0o700)
    shutil.rmtree(folder)


@pytest.mark.full
def test_progress_is_shown_on_a_terminal_when_it_takes_long(
    mmport: Path, build: Build, environment: Mapping[str, str], tmp_path: Path
) -> None:
    """After a second, and it is wiped away before the program shows anything."""
    data = {f"package/file{number}": os.urandom(32 << 10) for number in range(1200)}
    main = "import package\nprint('done')\n"
    files = {"__main__.py": main, "package/__init__.py": b"", **data}
    bundle = build("--source", write_files(tmp_path / "source", files))
    root = tmp_path / "root"
    primary, secondary = pty.openpty()
    process = subprocess.Popen(
        [mmport, "run", bundle],
        env={**environment, "MMPORT_ROOT": str(root), "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=secondary,
    )
    os.close(secondary)
    # However fast the disk is: the process is held for longer than a second while it writes.
    while len(list(root.glob("trees-v2/*/.staging-*/unit/*"))) < 5:
        assert process.poll() is None
    process.send_signal(signal.SIGSTOP)
    time.sleep(1.2)
    process.send_signal(signal.SIGCONT)
    shown = b""
    while True:
        try:
            chunk = os.read(primary, 4096)
        except OSError:  # What Linux says when the other end is closed.
            break
        if not chunk:
            break
        shown += chunk
    os.close(primary)
    output, _ = process.communicate()
    assert (process.returncode, output) == (0, b"done\n")
    assert b"first run: unpacking package" in shown
    assert shown.rstrip().endswith(b"\x1b[2K"), shown[-100:]


def test_bundles_share_what_they_have_in_common(application: ApplicationOf, tmp_path: Path) -> None:
    """A content is on the disk once; a changed one has an address of its own."""
    same = os.urandom(5000)
    main = "import pkg, os\nprint(os.path.dirname(pkg.__file__))\n"
    places = []
    for changed in b"old", b"new":
        files = {"__main__.py": main, "pkg/__init__.py": "", "pkg/same": same, "pkg/data": changed}
        outcome = application(files).bundled(MMPORT_ROOT=str(tmp_path / "root")).succeeded()
        places.append(Path(outcome.stdout.strip()))
    assert places[0] != places[1]
    assert places[0].joinpath("same").samefile(places[1] / "same")
    assert [place.joinpath("data").read_bytes() for place in places] == [b"old", b"new"]


def test_a_changed_library_has_a_new_address(application: ApplicationOf, tmp_path: Path) -> None:
    """Programs that run from the old bundle keep the old library."""
    root = str(tmp_path / "root")
    places = []
    for answer in "42", "43":
        module = compile_module(tmp_path / answer, "native", answer)
        files = {"__main__.py": NATIVE, "pkg/__init__.py": "", f"pkg/native{SUFFIX}": module}
        outcome = application(files).bundled(MMPORT_ROOT=root).succeeded()
        found, place = outcome.stdout.split()
        assert found == answer
        places.append(Path(place).read_bytes())
    assert places[0] != places[1]


def test_a_damaged_library_is_found_and_replaced(
    application: ApplicationOf, tmp_path: Path
) -> None:
    """A file that was cut off, changed or removed comes back from the bundle, with a word of it."""
    app = application({"__main__.py": NATIVE, **package_with_needs(tmp_path / "compiled")})
    root = tmp_path / "root"
    expected = app.bundled(MMPORT_ROOT=str(root)).succeeded()
    assert expected.stdout.startswith("42 ")
    for name in f"pkg/native{SUFFIX}", "pkg.libs/libneeded.so.1":
        (path,) = root.glob(f"trees-v2/*/site-packages/{name}")
        content = path.read_bytes()
        for damage in (b"", content[:5000], b"\0" * len(content), None):
            path.chmod(0o644)
            if damage is None:
                path.parent.chmod(0o755)
                path.unlink()
            else:
                path.write_bytes(damage)
            outcome = app.bundled(MMPORT_ROOT=str(root), MMPORT_LOG="mmport::store=warn")
            assert outcome.stdout == expected.stdout
            # A file that is there no more is brought out like one that never was.
            assert damage is None or "damaged file is replaced" in outcome.stderr
            assert path.read_bytes() == content
            assert app.bundled(MMPORT_ROOT=str(root), MMPORT_LOG="warn") == expected


def test_two_bundles_with_different_versions_in_one_process(
    application: ApplicationOf, run: Runner, tmp_path: Path
) -> None:
    """The first on `sys.path` has the module; the other's is another file, loaded beside it."""
    bundles = []
    for answer in "42", "43":
        module = compile_module(tmp_path / answer, "native", answer)
        files = {"__main__.py": "", "pkg/__init__.py": "", f"pkg/native{SUFFIX}": module}
        bundles.append(application(files).bundle)
    program = """\
import sys, mmport
mmport.install(sys.argv[1])
mmport.install(sys.argv[2])
import pkg.native
first = pkg.native
print(first.answer())
for name in "pkg", "pkg.native":
    del sys.modules[name]
sys.path.remove(sys.argv[1] + "/")
import pkg.native
print(pkg.native.answer(), first.answer(), pkg.native.__file__ != first.__file__)
"""
    outcome = run(sys.executable, "-c", program, *bundles).succeeded()
    assert outcome.stdout == "42\n43 42 True\n"


def test_a_store_mounted_noexec_opens_libraries_from_memory(
    application: ApplicationOf, tmp_path: Path
) -> None:
    """The files are there for programs to read; the log says how the libraries were opened."""
    main = NATIVE + "import os; print(open(os.path.dirname(pkg.__file__) + '/data.txt').read())\n"
    app = application({"__main__.py": main, **package_with_needs(tmp_path / "compiled")})
    place = tmp_path / "mount"
    root = {"MMPORT_ROOT": str(place / "root")}
    command = (app.mmport, "run", app.bundle)
    outcome = in_mounts(app.run, "noexec,mode=700", place, *command, **root).succeeded()
    answer, file, data = outcome.stdout.split()
    assert (answer, data) == ("42", "data")
    assert file.startswith(str(place / "root"))
    logged = in_mounts(
        app.run, "noexec,mode=700", place, *command, **root, MMPORT_LOG="mmport::store=info"
    )
    assert logged.stderr.count("opened from memory") == 2, logged.stderr
    assert "libneeded.so.1" in logged.stderr


def test_nothing_can_be_written_anywhere(application: ApplicationOf, tmp_path: Path) -> None:
    """Code runs, extension modules come from memory, resources are read; missing files are told."""
    main = """\
import importlib.resources, os, sys
import pkg.native
print(pkg.native.answer())
print(importlib.resources.files("pkg").joinpath("data.txt").read_text())
sys.stdout.flush()
open(os.path.join(os.path.dirname(pkg.__file__), "data.txt"))
"""
    app = application({"__main__.py": main, **package_with_needs(tmp_path / "compiled")})
    place = tmp_path / "mount"
    outcome = in_mounts(
        app.run, "ro", place, app.mmport, "run", app.bundle, MMPORT_ROOT=str(place / "root")
    )
    assert (outcome.status, outcome.stdout) == (1, "42\ndata\n"), outcome
    assert "NotADirectoryError: [Errno 20] Not a directory: " in outcome.stderr
    assert "mmport: failed to materialize `pkg` of bundle" in outcome.stderr
    assert "next: set MMPORT_ROOT" in outcome.stderr


def test_no_home_directory(application: ApplicationOf, tmp_path: Path) -> None:
    """A container without one keeps its files in a directory for temporary ones."""
    app = application({"__main__.py": NATIVE, **package_with_needs(tmp_path / "compiled")})
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    for home in "/proc/nonexistent", "":
        outcome = app.bundled(
            MMPORT_ROOT="", HOME=home, XDG_RUNTIME_DIR="", TMPDIR=str(temporary)
        ).succeeded()
        assert outcome.stdout.startswith(f"42 {temporary}/mmport-"), outcome


def test_a_root_that_belongs_to_everybody_is_not_used(
    application: ApplicationOf, tmp_path: Path
) -> None:
    """Somebody else could put a library there."""
    app = application({"__main__.py": NATIVE, **package_with_needs(tmp_path / "compiled")})
    root = tmp_path / "root"
    root.mkdir()
    root.chmod(0o777)
    outcome = app.bundled(MMPORT_ROOT=str(root), MMPORT_LOG="mmport::store=warn").succeeded()
    assert outcome.stdout.startswith(f"42 {app.bundle}/pkg/")
    assert "everybody may write to it" in outcome.stderr
    assert units(root) == []


def test_a_program_cannot_write_into_its_own_package(
    application: ApplicationOf, tmp_path: Path
) -> None:
    """Files and folders are read-only, as in an installation by the system."""
    main = """\
import os, pkg
folder = os.path.dirname(pkg.__file__)
for path in folder, os.path.join(folder, "data"), os.path.join(folder, "data", "file"):
    print(oct(os.stat(path).st_mode & 0o777))
"""
    app = application({"__main__.py": main, "pkg/__init__.py": "", "pkg/data/file": "data"})
    outcome = app.bundled(MMPORT_ROOT=str(tmp_path / "root")).succeeded()
    assert outcome.stdout == "0o555\n0o555\n0o444\n"


def test_contents_are_named_by_their_hash(application: ApplicationOf, tmp_path: Path) -> None:
    """One file in the store for each content, and nothing else."""
    contents = {f"pkg/{number}.txt": f"{number % 3}" for number in range(9)}
    app = application({"__main__.py": "import pkg", "pkg/__init__.py": "", **contents})
    root = tmp_path / "root"
    app.bundled(MMPORT_ROOT=str(root)).succeeded()
    stored = [path for path in root.glob("contents-v1/*/*") if path.is_file()]
    assert sorted(path.read_text() for path in stored) == ["", "0", "1", "2"]
    assert all(
        len(path.parent.name + path.name) == len(hashlib.sha256().hexdigest()) for path in stored
    )

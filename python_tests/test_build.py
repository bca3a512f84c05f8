"""`mmport build`: what a bundle is made of, and that it is whole or absent."""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import importlib.util
import io
import json
import os
import signal
import stat
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Build, VenvOf
from support import INSTALLATION, Outcome, Runner, files_below, run_program, write_files

FILES: dict[str, str | bytes] = {
    "app.py": "import package\n\n\ndef main():\n    print('built', package.value)\n",
    "package/__init__.py": "value = 1\n",
    "package/ünï.py": "",
    "package/data.bin": bytes(range(256)) * 40,
    "package/empty.txt": "",
    "rejected.py": "def f(:\n",
    "thing-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n",
    "thing-1.0.dist-info/entry_points.txt": "[console_scripts]\nthing = app:main\n",
    "thing-1.0.dist-info/RECORD": "app.py,,\nthing-1.0.dist-info/METADATA,,\n"
    "thing-1.0.dist-info/RECORD,,\n",
}


@pytest.fixture
def source(run: Runner) -> Path:
    """Return a folder to build from."""
    return write_files(run.cwd / "source", FILES)


def data_offset(path: Path, info: zipfile.ZipInfo) -> int:
    """Return where an entry's data begin in the file."""
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)
        name, extra = struct.unpack("<HH", file.read(4))
    return info.header_offset + 30 + name + extra


def test_reproducible(run: Runner, mmport: Path) -> None:
    """The same inputs give the same bytes, whatever their folder, times, modes and order."""
    built = []
    for number, names in enumerate([sorted(FILES), sorted(FILES, reverse=True)]):
        folder = run.cwd / f"{number}" / ("deeper" * number)
        for name in names:
            write_files(folder / "source", {name: FILES[name]})
            os.utime(folder / "source" / name, (1e9 + number, 1e9 + number))
        (folder / "source" / "app.py").chmod(0o600 if number else 0o664)
        found = run_program(
            [mmport, "build", "-q", "--source", "source", "-e", "app:main", "-o", "app.pyz"],
            environment={**run.environment, "TZ": ["UTC", "Asia/Tokyo"][number]},
            cwd=folder,
        )
        assert found == Outcome(0, "", "")
        built.append((folder / "app.pyz").read_bytes())
    assert built[0] == built[1]


def test_reproducible_from_an_index(venv_of: VenvOf, run: Runner, mmport: Path) -> None:
    """Installing twice gives the same bytes, too."""
    lock = venv_of(("black==25.9.0",)).lock
    built = []
    for name in "one.pyz", "two.pyz":
        command = [mmport, "build", "-q", "-r", lock, "-c", "black", "-o", name]
        run_program(
            command, environment=run.environment, cwd=run.cwd, timeout=INSTALLATION
        ).succeeded()
        built.append((run.cwd / name).read_bytes())
    assert built[0] == built[1]


@pytest.fixture(params=["source", "index"])
def any_bundle(request: pytest.FixtureRequest, source: Path, build: Build, venv_of: VenvOf) -> Path:
    """Return a bundle of a folder, and one of distributions from the index."""
    if request.param == "source":
        return build("--source", source, "-e", "app:main")
    # `zipfile` reads no zstd before Python 3.14.
    options = ["--script", "black", "--libraries", "deflated"]
    return build("-r", venv_of(("black==25.9.0",)).lock, *options, name="black")


def test_zip_is_sound(any_bundle: Path, run: Runner) -> None:
    """Other tools read it; names are unique and lead nowhere else."""
    found = run(sys.executable, "-m", "zipfile", "-t", any_bundle)
    assert found == Outcome(0, "Done testing\n", "")
    with zipfile.ZipFile(any_bundle) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
    assert len(set(names)) == len(names)
    assert not [name for name in names if name.startswith("/") or ".." in name.split("/")]
    assert names[0] == "mmport.json"
    assert any_bundle.read_bytes().startswith(b"#!/usr/bin/env -S mmport run\n")
    assert any_bundle.stat().st_mode & stat.S_IXUSR


def test_record_is_true(any_bundle: Path) -> None:
    """Each RECORD names what is there, with its hash and size."""
    with zipfile.ZipFile(any_bundle) as archive:
        names = set(archive.namelist())
        records = [name for name in names if name.endswith(".dist-info/RECORD")]
        assert records
        recorded: set[str] = set()
        for record in records:
            text = archive.read(record).decode()
            for name, digest, size in csv.reader(io.StringIO(text)):
                assert name in names, f"{record} names {name}, which is not there"
                recorded.add(name)
                if name == record:
                    assert (digest, size) == ("", "")
                    continue
                if name.endswith(".pyc") and (digest, size) == ("", ""):
                    continue  # The one kind of file that may be listed without them.
                data = archive.read(name)
                raw = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
                assert (digest, size) == (f"sha256={raw.decode()}", str(len(data))), name
    metadata = {name for name in names if ".dist-info/" in name}
    assert metadata <= recorded


def test_bytecode_can_be_used_from_the_map(any_bundle: Path) -> None:
    """It lies stored and aligned, with an unchecked hash, beside each source that compiles."""
    magic = importlib.util.MAGIC_NUMBER
    with zipfile.ZipFile(any_bundle) as archive:
        infos = {info.filename: info for info in archive.infolist()}
        compiled = [info for name, info in infos.items() if name.endswith(".pyc")]
        assert compiled
        for info in compiled:
            assert info.compress_type == zipfile.ZIP_STORED, info.filename
            assert data_offset(any_bundle, info) % 8 == 0, info.filename
            header = archive.read(info)[:8]
            assert header == magic + (0b01).to_bytes(4, "little"), info.filename
        for name in infos:
            if name.endswith(".py") and name != "rejected.py":
                assert name + "c" in infos, f"no bytecode for {name}"
        assert "rejected.pyc" not in infos


def test_sources_that_do_not_compile_are_told(source: Path, run: Runner, mmport: Path) -> None:
    """They are kept, and named with the reason."""
    found = run(mmport, "build", "--source", source, "-o", "app.pyz").succeeded()
    assert found.stdout == ""
    assert "rejected.py: " in found.stderr
    assert "thing 1.0" in found.stderr
    assert "app.pyz" in found.stderr


def test_entry_points(source: Path, build: Build, run: Runner, mmport: Path) -> None:
    """A script, a function and a module; the folder's own `__main__.py`; none."""
    main = write_files(run.cwd / "main", {"__main__.py": "print('own main')\n"})
    for bundle, arguments, expected in [
        (build("--source", source, "-c", "thing"), (), "built 1\n"),
        (build("--source", source, "-e", "app:main"), (), "built 1\n"),
        (build("--source", source, "-m", "app"), (), ""),
        (build("--source", main), (), "own main\n"),
        (build("--source", source), ("-c", "import app; app.main()"), "built 1\n"),
    ]:
        assert run(mmport, "run", bundle, *arguments) == Outcome(0, expected, "")


@pytest.mark.parametrize(
    ("options", "beginning", "executable"),
    [
        ((), b"#!/usr/bin/env -S mmport run\nPK", True),
        (("--shebang", "/usr/bin/python3 -I"), b"#!/usr/bin/python3 -I\nPK", True),
        (("--no-shebang",), b"PK", False),
    ],
    ids=["default", "own", "none"],
)
def test_first_line(
    options: tuple[str, ...], beginning: bytes, executable: bool, source: Path, build: Build
) -> None:
    """The first line and the file's mode are as asked for."""
    bundle = build("--source", source, "-e", "app:main", *options)
    assert bundle.read_bytes().startswith(beginning)
    assert bool(bundle.stat().st_mode & stat.S_IXUSR) is executable


PROJECT_FILES = {
    "pyproject.toml": "[project]\nname = 'thing'\nversion = '2.0'\ndescription = 'A thing'\n"
    "dependencies = ['six==1.17.0']\nscripts = {thing = 'thing:main'}\n"
    "[build-system]\nrequires = ['flit_core>=3.11,<4']\nbuild-backend = 'flit_core.buildapi'\n",
    "thing.py": "'''A thing.'''\nimport six\n\n\ndef main():\n    print(six.__version__)\n",
}


@pytest.fixture
def wheel(run: Runner) -> Path:
    """Return a wheel of a project that requires another distribution; the project lies beside."""
    project = write_files(run.cwd / "project", PROJECT_FILES)
    wheels = run.cwd / "wheels"
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", wheels, project]
    run_program(pip, environment=run.environment, cwd=run.cwd, timeout=INSTALLATION).succeeded()
    [wheel] = wheels.glob("thing-2.0-*.whl")
    (run.cwd / "requirements.txt").write_text(f"{wheel}\n")
    return wheel


INPUTS: dict[str, tuple[str, ...]] = {
    "project": ("--project", "project", "-c", "thing"),
    "wheel": ("--wheel", "WHEEL", "-c", "thing"),
    "requirement": ("WHEEL", "-e", "thing:main"),
    "requirements file": ("-r", "requirements.txt", "-c", "thing"),
    "environment": ("--venv", "VENV", "--source", "project", "-e", "thing:main"),
}


def build_from(
    name: str, wheel: Path, venv_of: VenvOf, run: Runner, mmport: Path
) -> dict[str, bytes]:
    """Build `app.pyz` from one kind of input; return its entries."""
    places = {"WHEEL": wheel, "VENV": venv_of(("six==1.17.0",)).place}
    arguments = [places.get(word, word) for word in INPUTS[name]]
    command = [mmport, "build", "-q", *arguments, "-o", "app.pyz"]
    built = run_program(command, environment=run.environment, cwd=run.cwd, timeout=INSTALLATION)
    assert built == Outcome(0, "", "")
    with zipfile.ZipFile(run.cwd / "app.pyz") as archive:
        return {entry: archive.read(entry) for entry in archive.namelist()}


@pytest.mark.parametrize("name", INPUTS)
def test_inputs(name: str, wheel: Path, venv_of: VenvOf, run: Runner, mmport: Path) -> None:
    """Each kind of input, with what it requires."""
    build_from(name, wheel, venv_of, run, mmport)
    assert run(mmport, "run", "app.pyz") == Outcome(0, "1.17.0\n", "")


SETUPTOOLS_FILES = {
    "pyproject.toml": "[project]\nname = 'thing'\nversion = '2.0'\n[build-system]\n"
    "requires = ['setuptools==80.10.2']\nbuild-backend = 'setuptools.build_meta'\n",
    "src/thing/__init__.py": "value = 1\n",
    "src/thing/former.py": "value = 2\n",
    "build/notes.txt": "kept\n",
}


@pytest.mark.parametrize("words", [("--project", "project"), ("./project",)], ids=" ".join)
def test_a_project_is_left_as_it_was(words: tuple[str, ...], run: Runner, mmport: Path) -> None:
    """Nothing is built into it that a later wheel would have after it was deleted."""
    project = write_files(run.cwd / "project", SETUPTOOLS_FILES)
    for step in range(2):
        before = files_below(project)
        command = [mmport, "build", "--quiet", *words, "-o", "app.pyz"]
        found = run_program(command, environment=run.environment, cwd=run.cwd, timeout=INSTALLATION)
        assert found == Outcome(0, "", "")
        with zipfile.ZipFile(run.cwd / "app.pyz") as archive:
            assert ("thing/former.py" in archive.namelist()) == (step == 0)
        assert files_below(project) == before
        assert sorted(path.name for path in (project / "build").iterdir()) == ["notes.txt"]
        (project / "src" / "thing" / "former.py").unlink(missing_ok=True)


@pytest.mark.parametrize("name", INPUTS)
def test_no_place_of_the_build_is_kept(
    name: str, wheel: Path, venv_of: VenvOf, run: Runner, mmport: Path
) -> None:
    """Nothing in a bundle says where it was built, or the same inputs would not be the same."""
    entries = build_from(name, wheel, venv_of, run, mmport)
    assert [entry for entry, data in entries.items() if os.fsencode(run.cwd) in data] == []


@pytest.fixture
def endless_installer(run: Runner) -> Callable[..., subprocess.Popen[str]]:
    """Return a function that starts a build whose installer never ends."""
    tools = run.cwd / "tools"
    tools.mkdir()
    uv = tools / "uv"
    uv.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && exit 0\necho installing >&2\nexec sleep 1000\n'
    )
    uv.chmod(0o755)
    (run.cwd / "out").mkdir()
    (run.cwd / "temporary").mkdir()
    (run.cwd / "out" / "app.pyz").write_bytes(b"an earlier bundle")

    def start(mmport: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [mmport, "build", "six", "-o", "out/app.pyz"],
            stderr=subprocess.PIPE,
            text=True,
            cwd=run.cwd,
            env={
                **run.environment,
                "PATH": f"{tools}{os.pathsep}{run.environment['PATH']}",
                "TMPDIR": str(run.cwd / "temporary"),
            },
            start_new_session=True,
        )
        assert process.stderr is not None
        for line in process.stderr:
            if "installing" in line.split():
                return process
        raise AssertionError("the installer was not started")

    return start


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_while_installing(
    number: signal.Signals,
    endless_installer: Callable[..., subprocess.Popen[str]],
    run: Runner,
    mmport: Path,
) -> None:
    """An earlier output stays; what can clean up leaves nothing, and ends its installer."""
    with endless_installer(mmport) as process:
        process.send_signal(number)
        if number == signal.SIGKILL:
            # Its installer cannot be told; end the whole session, if it has not ended by itself.
            process.wait(60)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        rest = process.communicate(timeout=60)[1]
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number), rest
    assert files_below(run.cwd / "out") == {"app.pyz": b"an earlier bundle"}
    if number != signal.SIGKILL:
        assert list((run.cwd / "temporary").iterdir()) == []
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_while_writing(number: signal.Signals, run: Runner, mmport: Path) -> None:
    """At any point, a build has left a whole bundle or the earlier one, and no other file."""
    source = run.cwd / "large"
    write_files(source, {f"module{i}.py": f"value = {list(range(i))}\n" for i in range(400)})
    write_files(source, {"app.py": "def main(): pass\n", "noise.bin": os.urandom(4_000_000)})
    out = run.cwd / "out"
    out.mkdir()
    command = [mmport, "build", "-q", "--source", source, "-e", "app:main", "-o", out / "app.pyz"]
    start = time.monotonic()
    run(*command).succeeded()
    duration = time.monotonic() - start
    whole = files_below(out)
    stopped = 0
    for part in range(8):
        (out / "app.pyz").write_bytes(b"an earlier bundle")
        process = subprocess.Popen(command, env=run.environment, stderr=subprocess.DEVNULL)
        try:
            # Not to synchronise: to stop it at a moment that nobody has chosen.
            process.wait(duration * part / 8)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        status = process.wait(60)
        stopped += status != 0
        expected = whole if status == 0 else {"app.pyz": b"an earlier bundle"}
        assert files_below(out) == expected, f"part {part}: status {status}"
    assert stopped, "no build was stopped"


def test_own_output_is_not_taken_in(run: Runner, mmport: Path, source: Path) -> None:
    """Building into the source folder twice gives the same bundle."""
    built = []
    for _ in range(2):
        run(mmport, "build", "-q", "--source", ".", "-o", "app.pyz", cwd=source).succeeded()
        built.append((source / "app.pyz").read_bytes())
    assert built[0] == built[1]


def test_bytecode_is_for_the_python_that_is_named(
    source: Path, run: Runner, mmport: Path, plain_python: Path
) -> None:
    """`--python` takes a path, a name on PATH, and a virtual environment's Python."""
    for python in plain_python, plain_python.name:
        path = f"{plain_python.parent}{os.pathsep}{run.environment['PATH']}"
        command = [mmport, "build", "-q", "--source", source, "-e", "app:main"]
        run(*command, "--python", python, "-o", "app.pyz", PATH=path).succeeded()
        assert run(mmport, "run", "app.pyz") == Outcome(0, "built 1\n", "")


ZSTD = 93
"""The method's number in a zip, which `zipfile` names only from Python 3.14 on."""

METHODS = {"stored": zipfile.ZIP_STORED, "deflated": zipfile.ZIP_DEFLATED, "zstd": ZSTD}


def compressions(bundle: Path) -> dict[str, int]:
    """Return the compression methods of all entries."""
    with zipfile.ZipFile(bundle) as archive:
        return {info.filename: info.compress_type for info in archive.infolist()}


@pytest.fixture
def native_source(run: Runner) -> Path:
    """Return a folder with data and a library, both of which compress, and one that does not."""
    files = {"module.py": "", "data.bin": bytes(9000), "library.so": bytes(9000)}
    return write_files(run.cwd / "native", {**files, "noise.so": os.urandom(900)})


@pytest.mark.parametrize("method", METHODS)
def test_libraries_are_kept_as_asked_for(
    method: str, native_source: Path, build: Build, run: Runner, mmport: Path
) -> None:
    """`--libraries` is for libraries only, is noted and shown, and gives the same bytes again."""
    options = ["--source", native_source, "--libraries", method]
    bundle = build(*options)
    assert build(*options, name="again.pyz").read_bytes() == bundle.read_bytes()
    found = compressions(bundle)
    assert found["library.so"] == METHODS[method]
    assert found["noise.so"] == zipfile.ZIP_STORED
    assert found["data.bin"] == zipfile.ZIP_DEFLATED
    shown = json.loads(run(mmport, "inspect", "--verify", "--json", bundle).succeeded().stdout)
    assert shown["built_for"]["libraries"] == method
    assert shown["verified_entries"] == len(found)
    sizes = shown["library_sizes"]
    assert sizes[method]["bytes"] >= 9000
    assert sum(each["entries"] for each in sizes.values()) == 2
    assert sum(each["compressed"] for each in sizes.values()) < 20_000
    assert f"libraries: {method}" in run(mmport, "inspect", bundle).succeeded().stdout


def test_libraries_unless_asked_for(native_source: Path, build: Build) -> None:
    """Without `--libraries` it is as with `auto`."""
    bundle = build("--source", native_source)
    automatic = build("--source", native_source, "--libraries", "auto")
    assert automatic.read_bytes() == bundle.read_bytes()
    assert compressions(bundle)["library.so"] == ZSTD


def test_no_libraries(source: Path, build: Build, run: Runner, mmport: Path) -> None:
    """A bundle without libraries says nothing of how it keeps them."""
    bundle = build("--source", source, "--libraries", "zstd")
    assert build("--source", source, name="other.pyz").read_bytes() == bundle.read_bytes()
    shown = json.loads(run(mmport, "inspect", "--json", bundle).succeeded().stdout)
    assert shown["built_for"]["libraries"] is None
    assert shown["library_sizes"] == {}


@pytest.mark.parametrize("method", METHODS)
def test_libraries_run(
    method: str, venv_of: VenvOf, build: Build, run: Runner, mmport: Path
) -> None:
    """Extension modules are brought out and loaded, however they are kept."""
    venv = venv_of(("numpy==2.2.6",))
    bundle = build("--venv", venv.place, "--libraries", method)
    assert METHODS[method] in compressions(bundle).values()
    code = "import numpy; print(numpy.linalg.det(numpy.eye(3) * 2).round())"
    assert run(mmport, "run", bundle, "-c", code) == Outcome(0, "8.0\n", "")
    assert run(mmport, "inspect", "--verify", bundle).status == 0

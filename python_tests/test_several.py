"""Bundles and several Pythons: one bundle for all, and finding one that a bundle fits."""

from __future__ import annotations

import json
import os
import shlex
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import Build
from pythons import Python, find_pythons
from support import Runner, write_files
from wheels import write_wheel

MAIN = """\
import sys
import package.module
print("%d.%d" % sys.version_info[:2], package.module.__cached__, sys.argv[1:])
"""
FILES = {
    "__main__.py": MAIN,
    "package/__init__.py": "",
    "package/module.py": "value = 1\n",
    "package/newer.py": "try:\n    pass\nexcept* ValueError:\n    pass\n",
}


@pytest.fixture(scope="session")
def running(base_python: Path) -> str:
    """Return the minor version of the Python under test."""
    return "{}.{}".format(*sys.version_info)


@pytest.fixture(scope="session")
def other(running: str) -> Python:
    """Return another Python than the one under test."""
    others = [python for python in find_pythons() if python.name != running]
    if not others:
        pytest.skip("there is one Python only")
    return others[0]


def tag(version: str) -> str:
    """Return the tag of a version's bytecode."""
    return "cpython-" + version.replace(".", "")


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """Return a folder of modules."""
    return write_files(tmp_path / "modules", FILES)


@pytest.fixture
def bundle(build: Build, modules: Path, base_python: Path, other: Python) -> Path:
    """Return a bundle for the other Python first, and then for the one under test."""
    return build("--source", modules, "--python", other.executable, "--python", base_python)


def test_a_bundle_has_bytecode_for_each(
    bundle: Path, run: Runner, mmport: Path, running: str, other: Python
) -> None:
    """Each runs its own; plain Python runs the first one's."""
    cached = f"package/__pycache__/module.{tag(running)}.pyc"
    with zipfile.ZipFile(bundle) as archive:
        names = archive.namelist()
    assert "package/module.pyc" in names
    assert cached in names
    outcome = run(mmport, "run", bundle, "x").succeeded()
    assert outcome.stdout == f"{running} {bundle}/{cached} ['x']\n"
    plain = run(other.executable, bundle, "x").succeeded()
    assert plain.stdout == f"{other.name} {bundle}/package/module.pyc ['x']\n"
    shown = run(mmport, "inspect", bundle).succeeded().stdout
    assert f"for cpython {other.name}, {running} (fits this mmport)" in shown


def test_bytecode_is_no_content(bundle: Path, run: Runner, mmport: Path) -> None:
    """Listing a package shows its sources, whatever Python its bytecode is for."""
    listed = "sorted(path.name for path in files('package').iterdir())"
    code = f"from importlib.resources import files; print({listed})"
    outcome = run(mmport, "run", bundle, "-c", code, MMPORT_INTERPRETER="1").succeeded()
    assert outcome.stdout == "['__init__.py', 'module.py', 'newer.py']\n"


def test_records_list_all_bytecode(
    build: Build, base_python: Path, other: Python, running: str, tmp_path: Path
) -> None:
    """A distribution that is the same for both is there once."""
    modules = write_files(tmp_path / "modules", {"pure/__init__.py": "x = 1\n"})
    wheel = write_wheel(tmp_path, "pure", modules, {})
    bundle = build("--wheel", wheel, "--python", other.executable, "--python", base_python)
    with zipfile.ZipFile(bundle) as archive:
        rows = archive.read("pure-1.0.dist-info/RECORD").decode().splitlines()
    recorded = [row.split(",")[0] for row in rows if row.startswith("pure/")]
    assert recorded == [
        "pure/__init__.py",
        "pure/__init__.pyc",
        f"pure/__pycache__/__init__.{tag(running)}.pyc",
    ]


def test_two_of_one_version_are_refused(
    run: Runner, mmport: Path, modules: Path, base_python: Path
) -> None:
    """Their bytecode has one name."""
    arguments = ("--python", base_python, "--python", base_python, "-o", "app.pyz")
    outcome = run(mmport, "build", "--source", modules, *arguments)
    assert outcome.status == 125
    assert "both are cpython" in outcome.stderr


def test_different_versions_are_refused(
    run: Runner, mmport: Path, base_python: Path, other: Python, running: str, tmp_path: Path
) -> None:
    """What the requirements of two Pythons resolve to has to be one thing."""
    modules = write_files(tmp_path / "modules", {"pure/__init__.py": "x = 1\n"})
    wheel = write_wheel(tmp_path, "pure", modules, {})
    newer = tmp_path / "pure-2.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(newer, "w") as new:
        for name in old.namelist():
            text = old.read(name).decode().replace("\nVersion: 1.0", "\nVersion: 2.0")
            new.writestr(name.replace("pure-1.0", "pure-2.0"), text.replace("pure-1.0", "pure-2.0"))
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(
        f"{wheel} ; python_version == '{running}'\n{newer} ; python_version != '{running}'\n"
    )
    pythons = ("--python", base_python, "--python", other.executable)
    outcome = run(mmport, "build", "-r", requirements, *pythons, "-o", "app.pyz")
    assert outcome.status == 125
    assert f"`pure` into one bundle: 1.0 for cpython {running}, 2.0 for" in outcome.stderr
    assert "next: require a version of `pure`" in outcome.stderr
    assert not (tmp_path / "app.pyz").exists()


def test_wheels_for_another_platform_are_taken(
    build: Build, run: Runner, mmport: Path, running: str
) -> None:
    """Beside those for this one; each finds its own."""
    # Its wheels are for an older C library.
    platform = "manylinux_2_28_aarch64"
    bundle = build("markupsafe==3.0.2", "--platform", platform)
    with zipfile.ZipFile(bundle) as archive:
        names = [name for name in archive.namelist() if name.endswith(".so")]
        tags = archive.read("MarkupSafe-3.0.2.dist-info/WHEEL").decode()
    machines = [name.split("-")[2] for name in names]
    assert sorted(machines) == sorted({"aarch64", os.uname().machine})
    assert "manylinux2014_aarch64\n" in tags
    code = "import markupsafe._speedups as module; print(module.__file__)"
    outcome = run(mmport, "run", bundle, "-c", code).succeeded()
    assert outcome.stdout.strip().endswith(names[machines.index(os.uname().machine)])
    shown = run(mmport, "inspect", bundle).succeeded().stdout
    assert f"for cpython {running} on " in shown
    assert "linux-aarch64" in shown


def test_platforms_are_tags_of_linux_wheels(run: Runner, mmport: Path) -> None:
    """Others are refused before anything is installed."""
    outcome = run(mmport, "build", "markupsafe", "--platform", "win_amd64", "-o", "app.pyz")
    assert outcome.status == 2
    assert "expected a manylinux or musllinux tag such as" in outcome.stderr


@pytest.fixture
def foreign(build: Build, modules: Path, other: Python) -> Path:
    """Return a bundle that does not fit the Python under test."""
    return build("--source", modules, "--python", other.executable, name="foreign.pyz")


def program(folder: Path, name: str, text: str) -> Path:
    """Write a shell script."""
    path = write_files(folder, {name: f"#!/bin/sh\n{text}\n"}) / name
    path.chmod(0o755)
    return path


def test_a_fitting_python_on_the_path_is_found(
    run: Runner, command: Path, foreign: Path, other: Python, tmp_path: Path
) -> None:
    """Plain Python runs what needs no real files."""
    place = tmp_path / "bin"
    place.mkdir()
    (place / f"python{other.name}").symlink_to(other.executable)
    outcome = run(command, "run", foreign, "x", "--entry", PATH=str(place)).succeeded()
    assert outcome.stdout.startswith(f"{other.name} ")
    assert outcome.stdout.endswith("['x', '--entry']\n")


def test_one_with_mmport_is_preferred(
    run: Runner, command: Path, foreign: Path, other: Python, tmp_path: Path
) -> None:
    """It is given everything that was asked for."""
    with zipfile.ZipFile(foreign) as archive:
        target = json.loads(archive.read("mmport.json"))["python"]
    place = tmp_path / "bin"
    place.mkdir()
    (place / f"python{other.name}").symlink_to(other.executable)
    answer = shlex.quote(json.dumps({**target, "has_mmport": True}))
    told = 'if [ "$1" = -c ]; then echo %s; else echo "$@"; exit 7; fi'
    program(place, "python3", told % answer)
    outcome = run(command, "run", "--entry", "a:b", foreign, "x y", PATH=str(place))
    assert (outcome.status, outcome.stdout) == (7, f"-m mmport run --entry a:b {foreign} x y\n")


def test_all_that_were_tried_are_told(
    run: Runner, command: Path, foreign: Path, other: Python, tmp_path: Path, base_python: Path
) -> None:
    """With what they are, and status 126."""
    place = tmp_path / "bin"
    broken = program(place, f"python{other.name}", "exit 1")
    (place / "python3").symlink_to(base_python)
    outcome = run(command, "run", foreign, PATH=os.fspath(place))
    assert outcome.status == 126
    assert f"it was built for cpython {other.name}" in outcome.stderr
    assert f"`{broken}` (does not answer)" in outcome.stderr
    assert f"`{place / 'python3'}` (cpython" in outcome.stderr
    nowhere = run(command, "run", foreign, PATH="/nowhere")
    assert nowhere.status == 126
    assert "there is no other python on PATH" in nowhere.stderr


def test_what_only_mmport_knows_is_not_lost(
    run: Runner, command: Path, foreign: Path, other: Python, tmp_path: Path
) -> None:
    """Plain Python is not taken where it would run something else."""
    place = tmp_path / "bin"
    place.mkdir()
    (place / f"python{other.name}").symlink_to(other.executable)
    for variables in ({"MMPORT_ENTRY": "a:b"}, {"MMPORT_INTERPRETER": "1"}):
        outcome = run(command, "run", foreign, PATH=str(place), **variables)
        assert (outcome.status, outcome.stdout) == (126, "")
        assert f"next: install mmport for `{place}/python{other.name}`" in outcome.stderr


def test_programs_that_are_no_python_are_passed_over(
    run: Runner, command: Path, foreign: Path, other: Python, tmp_path: Path
) -> None:
    """Those that talk without end, never answer, or run the bundle themselves."""
    place = tmp_path / "bin"
    name = f"python{other.name}"
    programs = {
        "talks": program(place / "talks", name, "exec yes"),
        "waits": program(place / "waits", name, "exec sleep 1000"),
        "runs": program(place / "runs", name, f'exec "{command}" run "{foreign}"'),
    }
    path = os.pathsep.join([*(str(place / folder) for folder in programs), "/usr/bin", "/bin"])
    outcome = run(command, "run", "--entry", "a:b", foreign, PATH=path)
    assert outcome.status == 126
    for path in programs.values():
        assert f"`{path}` (does not answer)" in outcome.stderr

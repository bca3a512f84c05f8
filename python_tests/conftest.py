"""Fixtures: the mmport under test, bundles, and the virtual environments that they stand for."""

from __future__ import annotations

import hashlib
import itertools
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from cases import Comparison
from code_cache import SMALL, Cached, write_zip
from support import INSTALLATION, Outcome, Runner, Word, clean_environment, run_program, write_files

PROJECT = Path(__file__).resolve().parent.parent
VERSION = "{}.{}".format(*sys.version_info)
PLACE = PROJECT / "target" / "tests" / VERSION

# A file system's limit is 255 bytes.
LONGEST_NAME = 120

# Modules for programs under test; some of them are tests that have to fail.
collect_ignore = ["consumers"]

Build = Callable[..., Path]
VenvOf = Callable[[Sequence[str]], "VirtualEnvironment"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--mmport`."""
    parser.addoption("--mmport", help="the native binary to test", default=PLACE / "mmport")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks of these tests."""
    config.addinivalue_line("markers", "full: left out where a quick subset is asked for")


@pytest.fixture(scope="session")
def mmport(request: pytest.FixtureRequest) -> Path:
    """Return the native binary under test, in a folder that can go on PATH."""
    path = Path(request.config.getoption("--mmport")).absolute()
    assert path.is_file(), f"no {path}; run python_tests/run.py, or name one with --mmport"
    return path


@pytest.fixture(scope="session")
def pip_mmport() -> Path:
    """Return the command of the pip package, in the environment that runs the tests."""
    path = Path(sys.executable).parent / "mmport"
    assert path.is_file(), f"no {path}; run python_tests/run.py"
    return path


@pytest.fixture(params=["native", "pip"])
def command(request: pytest.FixtureRequest) -> Path:
    """Return both commands, one after the other."""
    return request.getfixturevalue("mmport" if request.param == "native" else "pip_mmport")


@pytest.fixture(scope="session")
def base_python() -> Path:
    """Return the Python that mmport is built for, outside any virtual environment."""
    # A virtual environment's Python is a link to it; `sys._base_executable` says so from 3.11 on.
    return Path(sys.executable).resolve()


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the session's `MMPORT_ROOT`, so that no test uses the user's."""
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="session")
def environment(mmport: Path, root: Path) -> Mapping[str, str]:
    """Return the environment variables for every program that a test starts."""
    variables = clean_environment()
    path = os.pathsep.join([str(mmport.parent), variables.get("PATH", os.defpath)])
    return {**variables, "PATH": path, "MMPORT_ROOT": str(root)}


@pytest.fixture
def run(environment: Mapping[str, str], tmp_path: Path) -> Runner:
    """Run commands in the test's own folder."""
    return Runner(environment, tmp_path)


@pytest.fixture(scope="session")
def build(
    mmport: Path, environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Build:
    """Return a function that builds a bundle with the given arguments; once for the same ones."""
    folder = tmp_path_factory.mktemp("bundles")
    numbers = itertools.count()
    built: dict[tuple[str, ...], Path] = {}

    def build(*arguments: Word, name: str = "app.pyz") -> Path:
        words = tuple(os.fspath(argument) for argument in arguments)
        key = (name, *words)
        if key not in built:
            output = folder / str(next(numbers)) / name
            output.parent.mkdir()
            command = [mmport, "build", "--quiet", *words, "-o", output]
            run_program(
                command, environment=environment, cwd=output.parent, timeout=INSTALLATION
            ).succeeded()
            built[key] = output
        return built[key]

    return build


@dataclass(frozen=True)
class VirtualEnvironment:
    """A plain virtual environment with distributions."""

    place: Path
    requirements: tuple[str, ...]

    @property
    def python(self) -> Path:
        """Return its Python."""
        return self.place / "bin" / "python"

    @property
    def lock(self) -> Path:
        """Return a requirements file that names exactly what is installed."""
        return self.place / "lock.txt"


def _name_of(requirements: Sequence[str]) -> str:
    name = "+".join(requirements).replace("/", "_") or "empty"
    if len(name) <= LONGEST_NAME:
        return name
    return f"{len(requirements)}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _make_venv(place: Path, requirements: Sequence[str], base_python: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    subprocess.run([base_python, "-m", "venv", "--without-pip", place], check=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", place]
    if requirements:
        install = [*pip, "install", "--quiet", *requirements]
        subprocess.run(install, check=True, stdin=subprocess.DEVNULL)
    # All of it: setuptools and pip are content like any other here.
    frozen = subprocess.run([*pip, "freeze", "--all"], check=True, capture_output=True, text=True)
    (place / "lock.txt").write_text(frozen.stdout)
    (place / "complete").write_text(shlex.join(requirements))


@pytest.fixture(scope="session")
def venv_of(base_python: Path) -> VenvOf:
    """Return a function that gives the virtual environment of requirements.

    They are kept between sessions; `target/tests/VERSION/venvs` can be deleted at any time.
    """

    def venv_of(requirements: Sequence[str]) -> VirtualEnvironment:
        place = PLACE / "venvs" / _name_of(requirements)
        if not (place / "complete").is_file():
            _make_venv(place, requirements, base_python)
        return VirtualEnvironment(place, tuple(requirements))

    return venv_of


@pytest.fixture(scope="session")
def plain_python(venv_of: VenvOf) -> Path:
    """Return the Python of a virtual environment without distributions."""
    return venv_of(()).python


@pytest.fixture
def comparison(mmport: Path, root: Path, build: Build, venv_of: VenvOf, run: Runner) -> Comparison:
    """Return a function that does a case both ways."""
    return Comparison(mmport, root, build, venv_of, run)


@pytest.fixture
def cached(mmport: Path, environment: Mapping[str, str], tmp_path: Path) -> Cached:
    """Return a cache of the test's own, and a way to run programs with it."""
    return Cached(tmp_path / "cache", mmport, environment, tmp_path)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Return a zip of two modules without bytecode, which prints 8."""
    return write_zip(tmp_path / "small.zip", SMALL)


@dataclass(frozen=True)
class Application:
    """One tree of modules with a `__main__.py`, as a bundle and as a folder."""

    bundle: Path
    folder: Path
    mmport: Path
    python: Path
    run: Runner

    def bundled(self, *arguments: Word, stdin: str = "", **variables: str) -> Outcome:
        """Run it from the bundle."""
        return self.run(self.mmport, "run", self.bundle, *arguments, stdin=stdin, **variables)

    def plain(self, *arguments: Word, stdin: str = "", **variables: str) -> Outcome:
        """Run it from the folder, by the Python of an empty virtual environment."""
        main = self.folder / "__main__.py"
        return self.run(self.python, main, *arguments, stdin=stdin, **variables)


@pytest.fixture
def application(
    build: Build, mmport: Path, plain_python: Path, run: Runner, tmp_path: Path
) -> Callable[..., Application]:
    """Return a function that makes an application of files; a text alone is its `__main__.py`."""
    numbers = itertools.count()

    def application(files: str | Mapping[str, str | bytes], *arguments: Word) -> Application:
        if isinstance(files, str):
            files = {"__main__.py": files}
        folder = write_files(tmp_path / f"application{next(numbers)}", files)
        bundle = build("--source", folder, *arguments)
        return Application(bundle, folder, mmport, plain_python, run)

    return application

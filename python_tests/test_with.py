"""`mmport run --with`: an application or a script with packages, built once into the cache."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support import INSTALLATION, Outcome, Runner, Word, run_program, write_files

SCRIPT = (
    "import sys, six\nprint(six.__version__, sys.argv, __name__, __file__)\n"
    "sys.exit(int(sys.argv[1]))\n"
)
# A project with a console script, so that no index is needed.
PROJECT_FILES = {
    "pyproject.toml": "[project]\nname = 'greeter'\nversion = '1.0'\n"
    "description = 'Greets'\n"
    "scripts = {greet = 'greeter:main'}\n[build-system]\nrequires = ['flit_core>=3.11,<4']\n"
    "build-backend = 'flit_core.buildapi'\n",
    "greeter.py": "'''Greets.'''\nimport sys\n\n\ndef main():\n    print('hello', sys.argv[1:])\n"
    "    return 3\n",
}


@pytest.fixture
def own_root(run: Runner, tmp_path: Path) -> Runner:
    """Return a runner with a cache of its own."""
    return Runner({**run.environment, "MMPORT_ROOT": str(tmp_path / "own-root")}, tmp_path)


def first(run: Runner, *command: Word) -> Outcome:
    """Run a command that installs something."""
    return run_program(command, environment=run.environment, cwd=run.cwd, timeout=INSTALLATION)


@pytest.fixture
def without_installers(own_root: Runner, mmport: Path) -> Runner:
    """Return a runner where every installer fails, loudly, as does the package index."""
    trap = own_root.cwd / "trap"
    trap.mkdir()
    for name in "uv", "pip", "python", "python3":
        path = trap / name
        path.write_text(f"#!/bin/sh\necho installer started: {name} >&2\nexit 99\n")
        path.chmod(0o755)
    nowhere = "http://127.0.0.1:9"
    variables = {
        **own_root.environment,
        "PATH": os.pathsep.join([str(trap), str(mmport.parent), os.defpath]),
        **{"PIP_INDEX_URL": nowhere, "UV_INDEX_URL": nowhere, "PIP_FIND_LINKS": ""},
        **{"PIP_RETRIES": "0", "PIP_NO_INDEX": "1", "UV_OFFLINE": "1", "PIP_NO_CACHE_DIR": "1"},
    }
    return Runner(variables, own_root.cwd)


def test_script_with_a_requirement(
    own_root: Runner, without_installers: Runner, mmport: Path
) -> None:
    """A script sees its requirement; the second run installs nothing."""
    (own_root.cwd / "script.py").write_text(SCRIPT)
    command = (mmport, "run", "--with", "six==1.17.0", "script.py")
    found = first(own_root, *command, "4", "--with", "x")
    argv = ["script.py", "4", "--with", "x"]
    script = own_root.cwd / "script.py"
    expected = f"1.17.0 {argv} __main__ {script}\n"
    assert (found.status, found.stdout) == (4, expected), str(found)
    assert "resolving and installing" in found.stderr
    # Other arguments, the same bundle.
    found = without_installers(*command, "5")
    assert found == Outcome(5, f"1.17.0 {['script.py', '5']} __main__ {script}\n", "")
    # Another requirement is another bundle: the trap above is one.
    found = without_installers(mmport, "run", "--with", "six==1.16.0", "script.py", "5")
    assert found.status == 125, str(found)


def test_console_script(own_root: Runner, without_installers: Runner, mmport: Path) -> None:
    """The name of a console script runs it, under that name."""
    command = (mmport, "run", "-q", "--with", "pygments==2.19.2", "pygmentize")
    # A file of that name in the working directory is another thing.
    write_files(own_root.cwd, {"pygmentize": "raise SystemExit('local')"})
    found = first(own_root, *command, "-V")
    assert found.status == 0, str(found)
    assert found.stdout.startswith("Pygments version 2.19.2"), str(found)
    assert found.stderr == ""
    assert str(without_installers(*command, "-V")) == str(found)
    found = without_installers(*command, "--no-such-option")
    assert found.status == 2, str(found)
    assert "usage: pygmentize " in found.stderr


def test_project_as_requirement(own_root: Runner, mmport: Path) -> None:
    """A path is a requirement like any other, but what is there may change."""
    write_files(own_root.cwd / "project", PROJECT_FILES)
    command = (mmport, "run", "-q", "--with", "./project", "greet", "you")
    assert first(own_root, *command) == Outcome(3, "hello ['you']\n", "")
    changed = PROJECT_FILES["greeter.py"].replace("hello", "goodbye")
    write_files(own_root.cwd / "project", {"greeter.py": changed})
    assert first(own_root, *command) == Outcome(3, "goodbye ['you']\n", "")


def test_refresh(own_root: Runner, without_installers: Runner, mmport: Path) -> None:
    """`--refresh` resolves again; when that fails, the cached bundle stays."""
    (own_root.cwd / "script.py").write_text(SCRIPT)
    words = ("--with", "six==1.17.0", "script.py", "0")
    assert first(own_root, mmport, "run", *words).status == 0
    found = without_installers(mmport, "run", "--refresh", *words)
    assert found.status == 125, str(found)
    assert without_installers(mmport, "run", *words).status == 0
    found = first(own_root, mmport, "run", "--refresh", *words)
    assert "resolving and installing" in found.stderr


@pytest.mark.parametrize(
    ("words", "status", "part"),
    [
        (("--with", "six==0.0.0.1", "python"), 125, "six==0.0.0.1"),
        (("--with", "six==1.17.0", "no-such-script"), 127, "no-such-script"),
        (("--with", "six==1.17.0", "no_such_file.py"), 127, "no such file"),
        (("--with", "six==1.17.0"), 2, "BUNDLE"),
    ],
    ids=["requirement", "script", "file", "nothing"],
)
def test_what_cannot_be_run(
    words: tuple[str, ...], status: int, part: str, own_root: Runner, mmport: Path
) -> None:
    """One message, and nothing in the cache that a second run would take for a bundle."""
    for _ in range(2):
        found = first(own_root, mmport, "run", *words)
        assert found.status == status, str(found)
        assert part in found.stderr
        assert "panicked" not in found.stderr
    bundles = own_root.cwd / "own-root" / "bundles-v1"
    assert not list(bundles.glob("*"))
    # Mmport left such a folder where a build failed.
    (bundles / "0123456789abcdef").mkdir(parents=True)
    own_root(mmport, "cache", "prune").succeeded()
    assert not list(bundles.glob("*"))

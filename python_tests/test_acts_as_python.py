"""`sys.executable` of a bundle's process: a Python with the same bundle, and nobody else's."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Build
from support import Runner, write_files

EXECUTE = """\
import os, sys
code = "import inside, sys; print(inside.double(4), sys.argv[1:])"
os.execv(sys.executable, [sys.executable, "-c", code, *sys.argv[1:]])
"""
ENVIRONMENT = """\
import subprocess, sys, venv
place = sys.argv[1]
venv.create(place, symlinks=True, with_pip=False)
code = "import sys; print(sys.prefix, sys.base_prefix); import inside"
subprocess.run([f"{place}/bin/python", "-c", code])
print(sys.base_prefix)
"""
INSIDE = """\
def double(number):
    return 2 * number
"""


@pytest.fixture
def bundle(build: Build, tmp_path: Path) -> Path:
    """Return a bundle that acts as Python."""
    folder = write_files(tmp_path / "modules", {"inside.py": INSIDE})
    return build("--source", folder)


def test_a_process_puts_itself_in_its_place(
    run: Runner, command: Path, bundle: Path, tmp_path: Path
) -> None:
    """As reloaders do."""
    script = write_files(tmp_path, {"execute.py": EXECUTE}) / "execute.py"
    outcome = run(command, "run", bundle, script, "x y").succeeded()
    assert outcome.stdout == "8 ['x y']\n"


def test_an_environment_made_inside_is_of_the_base_python(
    run: Runner, command: Path, bundle: Path, tmp_path: Path
) -> None:
    """It has its own packages, and not the bundle's."""
    script = write_files(tmp_path, {"environment.py": ENVIRONMENT}) / "environment.py"
    place = tmp_path / "environment"
    outcome = run(command, "run", bundle, script, place).succeeded()
    prefixes, base = outcome.stdout.splitlines()
    assert prefixes == f"{place} {base}"
    assert outcome.stderr.endswith("ModuleNotFoundError: No module named 'inside'\n")

"""CPython's own suites, with mmport's class for `zipimporter`, and mmport as the interpreter."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from support import Runner, run_program

RUN = Path(__file__).resolve().parent / "cpython" / "run.py"
TIMEOUT = 3600


@pytest.mark.parametrize(
    "options", [["--thrifty"], pytest.param([], marks=pytest.mark.full)], ids=str
)
def test_suites(options: list[str], run: Runner) -> None:
    """Every test of theirs comes to the same."""
    command = [sys.executable, RUN, *options]
    found = run_program(command, environment=run.environment, cwd=run.cwd, timeout=TIMEOUT)
    assert found.status == 0, str(found)
    assert "\n0 differences in all\n" in found.stdout
    assert len(re.findall(r"^test_\w+: the same$", found.stdout, re.MULTILINE)) >= 6


@pytest.mark.parametrize(
    ("options", "least"), [(["--quick"], 3), pytest.param([], 10, marks=pytest.mark.full)], ids=str
)
def test_interpreter(
    options: list[str], least: int, run: Runner, mmport: Path, base_python: Path
) -> None:
    """Every test comes to the same with mmport as `sys.executable`."""
    command = [base_python, RUN, "--interpreter", mmport, "--thrifty", *options]
    found = run_program(command, environment=run.environment, cwd=run.cwd, timeout=TIMEOUT)
    assert found.status == 0, str(found)
    assert "\n0 differences in all\n" in found.stdout
    same = re.findall(r"^(?:again, by itself: )?test_\w+: the same$", found.stdout, re.MULTILINE)
    assert len(same) >= least

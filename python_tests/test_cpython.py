"""CPython's own suites, with `mmport.ZipImporter` for `zipimport.zipimporter`."""

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

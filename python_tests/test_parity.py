"""`parity/run.py`: real distributions show no difference, and differences do show."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import Build
from support import INSTALLATION, Outcome, Runner, run_program, write_files

PARITY = Path(__file__).resolve().parent / "parity" / "run.py"

# One distribution with a module of each kind: fine, failing, ending the process.
FILES = {
    "thing/__init__.py": "'''A thing.'''\nimport thing.good\n",
    "thing/good.py": "import warnings\nvalue = 1\nwarnings.warn('take care')\n",
    "thing/data/text.txt": "a text\n",
    "thing/fails.py": "raise LookupError('no luck')\n",
    "thing/leaves.py": "import sys\nsys.exit('left')\n",
    "thing/dies.py": "import os\nos._exit(3)\n",
    "thing/crashes.py": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n",
    "thing/late.py": "value = __name__\n",
    "spaced/inner/leaf.py": "value = __package__\n",
    "thing-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n",
    "thing-1.0.dist-info/entry_points.txt": "[console_scripts]\nthing = thing.good:value\n",
}
HANGS = {"thing/hangs.py": "import time\nwhile True:\n    time.sleep(60)\n"}
RECORD = "thing-1.0.dist-info/RECORD"


def row(content: bytes) -> str:
    """Return what a RECORD says of a file."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    return f"sha256={digest},{len(content)}"


def install(place: Path, base_python: Path, files: Mapping[str, str]) -> Path:
    """Make a virtual environment with the distribution that these files are."""
    subprocess.run([base_python, "-m", "venv", "--without-pip", place], check=True)
    [packages] = place.glob("lib/python3.*/site-packages")
    rows = [f"{name},{row(text.encode())}\n" for name, text in files.items()]
    write_files(packages, {**files, RECORD: "".join([*rows, f"{RECORD},,\n"])})
    return place


def compare(mmport: Path, run: Runner, *arguments: str | Path) -> tuple[Outcome, dict[str, Any]]:
    """Run the comparison; return what it did and its result."""
    output = run.cwd / "result.json"
    command = [sys.executable, PARITY, "--mmport", mmport, "--output", output, *arguments]
    outcome = run_program(command, environment=run.environment, cwd=run.cwd, timeout=INSTALLATION)
    return outcome, json.loads(output.read_text())


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["six", "attrs", "certifi"], id="pure"),
        pytest.param(["markupsafe", "pyyaml", "charset-normalizer"], id="compiled"),
        pytest.param(["pytest", "protobuf", "numpy"], id="large", marks=pytest.mark.full),
    ],
)
def test_distributions_show_no_difference(names: list[str], mmport: Path, run: Runner) -> None:
    """Every module of these is in a bundle what it is in a virtual environment."""
    outcome, result = compare(mmport, run, *names)
    assert outcome.status == 0, str(outcome)
    assert set(names) <= set(result["distributions"])
    assert result["imported"] > len(names)
    assert result["found"] == result["varying"] == []


@pytest.fixture(scope="module")
def venv(base_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a virtual environment with the distribution as it is."""
    return install(tmp_path_factory.mktemp("parity") / "venv", base_python, FILES)


def test_modules_that_fail_hang_or_end_the_process(
    base_python: Path, mmport: Path, run: Runner
) -> None:
    """They are counted, are the same in both worlds, and the modules behind them are compared."""
    venv = install(run.cwd / "venv", base_python, {**FILES, **HANGS})
    outcome, result = compare(mmport, run, "--venv", venv, "--time-limit", "5")
    assert outcome.status == 0, str(outcome)
    counts = {key: result[key] for key in ("modules", "imported", "raised", "ended")}
    assert counts == {"modules": 11, "imported": 6, "raised": 2, "ended": 3}


METADATA, ENTRY_POINTS = (
    f"thing-1.0.dist-info/{name}" for name in ("METADATA", "entry_points.txt")
)


@pytest.mark.parametrize(
    ("name", "content", "module", "fields"),
    [
        ("thing/good.py", "other = 2\n", "thing.good", "loader/source attributes/names inspected"),
        ("thing/good.py", "other = 2\n", "thing", "warnings resources/good.py"),
        ("thing/good.py", None, "thing.good", "spec"),
        ("thing/good.py", None, "thing", "import children"),
        ("thing/late.py", "import colorsys\n", "thing.late", "imported loader/code/content"),
        ("thing/late.py", "raise LookupError\n", "thing.late", "import"),
        ("thing/late.py", "import os\nos._exit(3)\n", "thing.late", "ended"),
        ("thing/fails.py", "raise LookupError('bad')\n", "thing.fails", "import/text"),
        ("thing/fails.py", "raise KeyError('no luck')\n", "thing.fails", "import/raised"),
        ("thing/fails.py", "\nraise LookupError('no luck')\n", "thing.fails", "import/frames"),
        ("thing/dies.py", "import os\nos._exit(4)\n", "thing.dies", "ended"),
        ("thing/dies.py", "value = 1\n", "thing.dies", "ended"),
        ("thing/data/text.txt", "a test\n", "thing", "resources/data/text.txt"),
        ("thing/data/text.txt", None, "thing", "resources/data/"),
        ("spaced/inner/__init__.py", "", "spaced.inner", "spec/namespace attributes/__file__"),
        (ENTRY_POINTS, "", "", "texts/entry_points.txt"),
        (METADATA, "Name: thing\nVersion: 1.0\n", "", "metadata"),
        ("thing/new.txt", "", "", "files/thing/new.txt"),
    ],
)
def test_a_difference_is_found(
    name: str,
    content: str | None,
    module: str,
    fields: str,
    venv: Path,
    build: Build,
    base_python: Path,
    mmport: Path,
    run: Runner,
) -> None:
    """A bundle in which one file is another one is told from the virtual environment."""
    files = {key: text for key, text in {**FILES, name: content}.items() if text is not None}
    changed = build("--venv", install(run.cwd / "changed", base_python, files), name="packages")
    outcome, result = compare(mmport, run, "--venv", venv, "--bundle", changed)
    assert outcome.status == 1, str(outcome)
    found = {"/".join(item["field"]) for item in result["found"] if item["module"] == module}
    assert found.issuperset(fields.split()), str(outcome)

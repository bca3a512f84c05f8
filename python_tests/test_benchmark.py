"""The benchmark's command: what it makes of samples, without measuring anything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

STARTUP = Path(__file__).resolve().parents[1] / "benches" / "startup"
PLAIN = "virtual environment"


def starts(*milliseconds: float) -> list[dict[str, float]]:
    """Samples of starts that took so long."""
    return [{"milliseconds": one, "processor": one} for one in milliseconds]


def written(milliseconds: float, files: int) -> list[dict[str, float]]:
    """The sample of a first start that left files behind."""
    return [starts(milliseconds)[0] | {"files": files, "written": 1e6 * files}]


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """A file as ``--json`` writes it, of one case."""
    report = {
        "mmport": "1.2.3",
        "python": "3.11.0",
        "machine": "a machine",
        "tools": [],
        "measurements": [
            {
                "case": "black-version",
                "title": "black --version",
                "versions": ["black==25.1.0"],
                "samples": {
                    # The ratios are 0.4, 0.5 and 0.9; the ratio of the medians is 0.45.
                    "warm": {PLAIN: starts(100, 200, 300), "mmport run": starts(90, 80, 150)},
                    "next": {PLAIN: starts(100), "mmport run": starts(50)},
                    "first": {PLAIN: written(110, 0), "mmport run": written(150, 7)},
                },
                "left_out": {"shiv": "no such thing"},
            }
        ],
    }
    path = tmp_path / "samples.json"
    path.write_text(json.dumps(report))
    return path


def startup(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, STARTUP, *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_ratios_are_those_within_a_round(samples: Path) -> None:
    """Not the ratio of medians; first starts are compared with next ones."""
    outcome = startup("--read", samples)
    assert outcome.returncode == 0, outcome.stderr
    assert "Warm starts (3 rounds)" in outcome.stdout
    for row in (
        f"{PLAIN}  200 ms",
        "mmport run           0.50 (0.45 to 0.70)",
        f"{PLAIN}  110 ms, 1.10",
        "mmport run           1.50 (1.50 to 1.50)",
        "mmport run           3.00 (3.00 to 3.00)",
        "mmport run           7.0 MB",
    ):
        assert row in outcome.stdout.splitlines()
    assert "black --version: `shiv` does not run: no such thing." in outcome.stdout


def test_the_same_as_markdown(samples: Path) -> None:
    """The same rows."""
    outcome = startup("--read", samples, "--markdown")
    assert "| mmport run | 0.50 (0.45 to 0.70) |" in outcome.stdout.splitlines()


def test_picture(samples: Path, tmp_path: Path) -> None:
    """It is well-formed, and its bars are as long as the medians are to each other."""
    picture = tmp_path / "picture.svg"
    assert startup("--read", samples, "--svg", picture).returncode == 0
    root = ElementTree.parse(picture).getroot()
    bars = {
        bar.get("class"): float(bar.get("width", "0"))
        for bar in root.iter("{http://www.w3.org/2000/svg}rect")
    }
    assert bars["mmport"] / bars["plain"] == pytest.approx(90 / 200, abs=0.01)


@pytest.mark.parametrize("arguments", [["--way", "none"], ["--mode", "none"], ["none"]])
def test_unknown_names_are_refused(arguments: list[str]) -> None:
    """With those that there are."""
    outcome = startup(*arguments)
    assert outcome.returncode == 2
    assert "none; there are " in outcome.stderr

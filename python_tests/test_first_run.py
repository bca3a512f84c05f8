"""The first run of a bundle whose packages must be files: raced, killed, repeated."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from conftest import Build
from support import files_below, run_program, write_files

FILES = 1500

PROGRAM = """\
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


@pytest.fixture
def bundle(build: Build, tmp_path: Path) -> Path:
    """Return a bundle with a package of many small data files."""
    data = {f"package/file{number}.txt": f"{number}\n" * 20 for number in range(FILES)}
    files = {"__main__.py": PROGRAM, "package/__init__.py": "", **data}
    return build("--source", write_files(tmp_path / "source", files))


def units(root: Path) -> list[Path]:
    """Return the packages in the store, and what a writer left beside them."""
    return sorted(root.glob("trees-v2/*/site-packages/*"))


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
        for _ in range(16)
    ]
    outcomes = {(process.communicate()[0], process.returncode) for process in running}
    assert len(outcomes) == 1, outcomes
    output, status = outcomes.pop()
    assert status == 0
    assert output.startswith(f"{FILES + 1} "), output
    assert [path.name for path in units(root)] == ["package"]
    assert len(list(root.glob("environments-v1/*"))) == 1


def test_a_first_run_that_is_killed_damages_nothing(
    mmport: Path, bundle: Path, environment: Mapping[str, str], tmp_path: Path
) -> None:
    """However far a run came, the next one has a complete package."""
    undisturbed = {**environment, "MMPORT_ROOT": str(tmp_path / "undisturbed")}
    expected = run_program([mmport, "run", bundle], environment=undisturbed, cwd=tmp_path)
    expected.succeeded()
    killed_in_the_middle = 0
    for wanted in range(0, FILES, FILES // 8):
        root = tmp_path / f"root{wanted}"
        variables = {**environment, "MMPORT_ROOT": str(root)}
        process = subprocess.Popen(
            [mmport, "run", bundle], env=variables, stdout=subprocess.DEVNULL
        )
        # Until it has written so many files, or is done.
        while process.poll() is None:
            staged = list(root.glob("trees-v2/*/.staging-*/unit"))
            if staged and len(os.listdir(staged[0])) >= wanted:
                process.send_signal(signal.SIGKILL)
                break
        process.wait()
        killed_in_the_middle += process.returncode == -signal.SIGKILL
        again = run_program([mmport, "run", bundle], environment=variables, cwd=tmp_path)
        assert again == expected, wanted
        package = next(path for path in units(root) if path.name == "package")
        assert len(files_below(package)) == FILES + 1
    assert killed_in_the_middle > 0

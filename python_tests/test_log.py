"""`MMPORT_LOG`: what the finder and the loader were asked, on standard error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import Build
from support import Outcome, Runner, write_files

FILES = {
    "__main__.py": "import package.module\ntry:\n    import nowhere\nexcept ImportError:\n"
    "    pass\ntry:\n    import fails\nexcept ValueError:\n    print('done')\n",
    "package/__init__.py": "",
    "package/module.py": "",
    "fails.py": "raise ValueError\n",
}


@pytest.fixture
def bundle(build: Build, run: Runner) -> Path:
    """Return the bundle whose imports are logged."""
    return build("--source", write_files(run.cwd / "logged", FILES))


@pytest.mark.parametrize("command", ["native", "pip"])
def test_every_import_is_shown(
    command: str, bundle: Path, run: Runner, mmport: Path, pip_mmport: Path
) -> None:
    """A line for each find_spec and exec_module, with module, origin and microseconds."""
    program = mmport if command == "native" else pip_mmport
    found = run(program, "run", bundle, MMPORT_LOG="mmport=debug")
    assert (found.status, found.stdout) == (0, "done\n")
    for target, module, origin, word in [
        ("find_spec", "package", f"{bundle}/package/__init__.py", "found"),
        ("find_spec", "package.module", f"{bundle}/package/module.py", "found"),
        ("find_spec", "fails", f"{bundle}/fails.py", "found"),
        ("find_spec", "nowhere", None, "not in a bundle"),
        ("exec_module", "package", f"{bundle}/package/__init__.py", "executed"),
        ("exec_module", "package.module", f"{bundle}/package/module.py", "executed"),
        ("exec_module", "fails", f"{bundle}/fails.py", "raised"),
    ]:
        lines = [
            line
            for line in found.stderr.splitlines()
            if f"mmport::{target}:" in line
            and re.search(rf'module="?{re.escape(module)}"?\s', line)
        ]
        assert len(lines) == 1, f"{target} {module}: {lines}\n{found.stderr}"
        assert re.search(r"microseconds=\d+", lines[0]), lines
        assert word in lines[0], lines
        assert origin is None or origin in lines[0], lines


@pytest.mark.parametrize("value", [None, "", "mmport=warn", "other=debug"])
def test_nothing_without_it(value: str | None, bundle: Path, run: Runner, mmport: Path) -> None:
    """Nothing is shown unless it is asked for."""
    variables = {} if value is None else {"MMPORT_LOG": value}
    assert run(mmport, "run", bundle, **variables) == Outcome(0, "done\n", "")


def test_one_target(bundle: Path, run: Runner, mmport: Path) -> None:
    """The targets can be asked for by themselves."""
    found = run(mmport, "run", bundle, MMPORT_LOG="mmport::exec_module=debug").succeeded()
    lines = found.stderr.splitlines()
    assert lines
    assert all("mmport::exec_module" in line for line in lines)

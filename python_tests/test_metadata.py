"""Distributions in a bundle: found once, by `importlib.metadata` and its backport."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Build, VenvOf
from support import Runner, names_in_bundle, names_in_venv

REQUIREMENTS = ["importlib-metadata==8.5.0", "pytest==8.3.4", "zope.event==5.0"]

PROGRAM = """\
import importlib
import sys

metadata = importlib.import_module(sys.argv[1])
print(sorted(d.metadata["Name"] + " " + d.version for d in metadata.distributions()))
for name in "pytest", "PyTest", "zope.event", "zope-event", "zope_event", "importlib.metadata":
    print(name, metadata.version(name))
print(sorted((e.name, e.value) for e in metadata.entry_points(group="console_scripts")))
print([str(r) for r in metadata.requires("pytest")])
found = metadata.distribution("iniconfig")
print(found.metadata["Summary"], found.read_text("no such file"), found.locate_file("iniconfig"))
files = [f for f in found.files if f.suffix == ".py"]
print(files, [f.hash.mode for f in files], files[0].read_text()[:20])
print(metadata.packages_distributions()["pytest"])
try:
    metadata.version("no-such-distribution")
except metadata.PackageNotFoundError as error:
    print(error)
"""

REFERENCES = """\
import importlib.metadata, sys
path = sys.argv[1]
for entry in path, path + "/":
    print([d.metadata["Name"] for d in importlib.metadata.distributions(path=[entry])])
"""


@pytest.fixture(scope="module")
def bundle(build: Build, venv_of: VenvOf) -> Path:
    """Return a bundle of the distributions that the virtual environment has."""
    return build("-r", venv_of(REQUIREMENTS).lock)


@pytest.mark.parametrize("module", ["importlib.metadata", "importlib_metadata"])
def test_as_in_a_virtual_environment(
    module: str,
    bundle: Path,
    venv_of: VenvOf,
    mmport: Path,
    root: Path,
    run: Runner,
    tmp_path: Path,
) -> None:
    """The same distributions with the same contents, none of them twice."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    venv = venv_of(REQUIREMENTS)
    found = run(mmport, "run", bundle, program, module).named(names_in_bundle(bundle, root))
    expected = run(venv.python, program, module).named(names_in_venv(venv.place, "program"))
    assert str(found) == str(expected)
    assert "pytest 8.3.4" in found.stdout


def test_a_bundle_on_the_path_by_either_name_is_read_once(
    bundle: Path, mmport: Path, run: Runner, tmp_path: Path
) -> None:
    """CPython reads it by its bare name, mmport by the name with a slash."""
    program = tmp_path / "program.py"
    program.write_text(REFERENCES)
    lines = run(mmport, "run", bundle, program, bundle).succeeded().stdout.splitlines()
    assert sorted(eval(lines[0])) == sorted(eval(lines[1]))
    assert len(eval(lines[0])) == len(set(eval(lines[0]))) > 3

"""`mmport inspect`: what is in a bundle."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import VERSION, Build
from support import Runner, write_files

FILES: dict[str, str | bytes] = {
    "app.py": "def main(): pass\n",
    "package/__init__.py": "",
    "package/inner.py": "",
    "package/data.json": "{}",
    "thing-1.5.dist-info/METADATA": "Metadata-Version: 2.4\nName: Thing\nVersion: 1.5\n"
    "License-Expression: MIT\n",
    "thing-1.5.dist-info/entry_points.txt": "[console_scripts]\nthing = app:main\n"
    "[gui_scripts]\nthing-gui = app:main\n[other]\nx = app\n",
    "thing-1.5.dist-info/RECORD": "app.py,,\nthing-1.5.dist-info/RECORD,,\n",
}


@pytest.fixture
def bundle(build: Build, run: Runner) -> Path:
    """Return a bundle with a distribution and a package that is brought out as files."""
    return build("--source", write_files(run.cwd / "inspected", FILES), "-e", "app:main")


def test_json(bundle: Path, run: Runner, mmport: Path) -> None:
    """Everything by name, as a program reads it."""
    seen = json.loads(run(mmport, "inspect", "--json", bundle).succeeded().stdout)
    with zipfile.ZipFile(bundle) as archive:
        names = archive.namelist()
    assert seen["bundle"] == str(bundle)
    assert seen["bytes"] == bundle.stat().st_size
    assert seen["entries"] == len(names)
    assert seen["distributions"] == [{"name": "Thing", "version": "1.5", "license": "MIT"}]
    assert [(s["name"], s["value"], s["group"]) for s in seen["scripts"]] == [
        ("thing", "app:main", "console_scripts"),
        ("thing-gui", "app:main", "gui_scripts"),
    ]
    assert seen["built_for"]["python"]["version"] == VERSION
    assert seen["built_for"]["python"]["cache_tag"] == sys.implementation.cache_tag
    assert seen["built_for"]["entry"] == {"kind": "object", "module": "app", "object": "main"}
    assert seen["fits_this_python"] is True
    assert seen["bytecode"] == {VERSION: 4}
    assert seen["modules"] == 4
    assert seen["libraries"] == []
    assert [(unit["unit"], unit["because"]) for unit in seen["materialized"]] == [
        ("package", ["package/data.json"])
    ]
    assert seen["verified_entries"] is None
    assert sum(sizes["entries"] for sizes in seen["sizes"].values()) == len(names)


def test_text(bundle: Path, run: Runner, mmport: Path) -> None:
    """The same for people."""
    text = run(mmport, "inspect", bundle).succeeded().stdout
    for part in (
        str(bundle),
        "Thing 1.5",
        "thing = app:main",
        f"4 modules for Python {VERSION}",
        "package/data.json",
        "entry: app:main",
        f"cpython {VERSION}",
    ):
        assert part in text, text


def test_numbers_and_lists_in_text(build: Build, run: Runner, mmport: Path) -> None:
    """One thing is not many, and a list that is cut says so."""
    files = {"few": ["a.txt", "b.txt"], "many": ["a.txt", "b.txt", "c.txt", "d.txt"]}
    names = [f"{package}/{file}" for package in files for file in files[package]]
    folder = write_files(run.cwd / "listed", dict.fromkeys(names, ""))
    write_files(folder, dict.fromkeys(["few/__init__.py", "many/__init__.py"], ""))
    text = run(mmport, "inspect", "--verify", build("--source", folder)).succeeded().stdout
    assert "3 files, 0 B; holds few/a.txt, few/b.txt\n" in text
    assert "holds many/a.txt, many/b.txt, many/c.txt, …\n" in text
    single = run.cwd / "single.zip"
    with zipfile.ZipFile(single, "w") as archive:
        archive.writestr("app.py", "")
    text = run(mmport, "inspect", "--verify", single).succeeded().stdout
    assert "1 entry, 1 module\n" in text
    assert "verified: 1 entry, " in text
    assert "1 entries" not in text


def test_verify(bundle: Path, run: Runner, mmport: Path) -> None:
    """`--verify` reads all entries, and finds the one that is damaged."""
    seen = json.loads(run(mmport, "inspect", "--verify", "--json", bundle).succeeded().stdout)
    assert seen["verified_entries"] == seen["entries"]
    with zipfile.ZipFile(bundle) as archive:
        info = archive.getinfo("package/inner.pyc")
        assert info.compress_type == zipfile.ZIP_STORED
        data = archive.read(info)
    damaged = bytearray(bundle.read_bytes())
    damaged[damaged.index(data) + len(data) // 2] ^= 1
    copy = run.cwd / "damaged.pyz"
    copy.write_bytes(damaged)
    assert run(mmport, "inspect", copy).status == 0
    found = run(mmport, "inspect", "--verify", copy)
    assert found.status == 125
    assert "package/inner.pyc" in found.stderr
    assert str(copy) in found.stderr
    assert found.stderr.count("mmport: error: ") == 1


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_wheel(compression: int, run: Runner, mmport: Path) -> None:
    """A wheel that mmport did not build can be looked at as well."""
    path = run.cwd / "thing-1.5-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", compression) as wheel:
        for name, content in FILES.items():
            wheel.writestr(name, content)
    seen = json.loads(run(mmport, "inspect", "--json", "--verify", path).succeeded().stdout)
    assert seen["built_for"] is None
    assert seen["distributions"] == [{"name": "Thing", "version": "1.5", "license": "MIT"}]
    assert seen["bytecode"] == {}
    assert seen["modules"] == 3
    assert "not built by mmport" in run(mmport, "inspect", path).succeeded().stdout


def test_reader_that_has_read_enough(bundle: Path, run: Runner, mmport: Path) -> None:
    """A closed pipe is no failure of ours."""
    found = run("sh", "-c", f"{mmport} inspect {bundle} | head -n 1; true")
    assert found.stderr == ""
    assert str(bundle) in found.stdout

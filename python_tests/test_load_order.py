"""`mmport build --order-from`: what a program imports lies first in its bundle, in that order."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import pytest
from conftest import Build
from support import Runner, Word, write_files

FILES = {
    "program/__init__.py": "",
    "program/run.py": "import sys\nimport zebra\n\n\ndef main():\n"
    "    if 'late' in sys.argv: import apple.core\n    print('ran', sys.argv[1:])\n"
    "    return 3 if 'fail' in sys.argv else 0\n",
    "zebra.py": "import middle\n",
    "middle.py": "",
    "apple/__init__.py": "",
    "apple/core.py": "",
    "apple/other.py": "",
}
ALWAYS = ["program/__init__", "program/run", "zebra", "middle"]


def bytecode_in(bundle: Path) -> list[str]:
    """Return what lies in a bundle, in its order, of the bytecode of modules."""
    with ZipFile(bundle) as archive:
        names = [item.filename for item in archive.infolist()]
    return [name[:-4] for name in names if name.endswith(".pyc") and name != "__main__.pyc"]


@pytest.fixture
def source(run: Runner) -> Path:
    """Return a folder with a program."""
    return write_files(run.cwd / "source", FILES)


@pytest.mark.parametrize(
    ("options", "first"),
    [
        ([], []),
        (["--order-from", ""], ALWAYS),
        (["--order-from", "late"], [*ALWAYS, "apple/__init__", "apple/core"]),
        (["--order-from", "", "--order-from", "late"], [*ALWAYS, "apple/__init__", "apple/core"]),
    ],
)
def test_order(
    options: list[Word], first: list[str], source: Path, build: Build, run: Runner, mmport: Path
) -> None:
    """First what is loaded, then everything else by name; the program does not run otherwise."""
    bundle = build("--source", source, "-e", "program.run:main", *options)
    others = sorted({name[:-3] for name in FILES} - set(first))
    assert bytecode_in(bundle) == first + others
    assert run(mmport, "run", bundle, "x").succeeded().stdout == "ran ['x']\n"
    again = build("--source", source, "-e", "program.run:main", *options, name="again.pyz")
    assert again.read_bytes() == bundle.read_bytes()


def test_without_an_entry_point(source: Path, build: Build) -> None:
    """The arguments are Python's then."""
    bundle = build("--source", source, "--order-from", "-m apple.core")
    # `-m` finds what it runs by itself.
    assert bytecode_in(bundle)[0] == "apple/__init__"


def test_a_program_that_fails(source: Path, run: Runner, mmport: Path) -> None:
    """Nothing is written where a run goes wrong."""
    output = run.cwd / "app.pyz"
    options = ["--source", source, "-e", "program.run:main", "-o", output]
    found = run(mmport, "build", *options, "--order-from", "fail")
    assert found.status == 125
    command = "program.run program.run main fail"
    lines = found.stderr.splitlines()
    assert lines[-2].endswith(f"see what `{command}` imports: it ended with exit status: 3")
    assert lines[-1] == "  next: give arguments with which the program ends well"
    assert not output.exists()

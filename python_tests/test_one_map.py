"""`mmport run` opens and maps the bundle once, and reads no Python file elsewhere."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from conftest import Build, VenvOf
from support import Runner, write_files

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")

PURE = {
    "app.py": "import package.inner.leaf, decimal\n\n\ndef main():\n    print('ran')\n",
    "package/__init__.py": "",
    "package/inner/__init__.py": "",
    "package/inner/leaf.py": "import package.other\n",
    "package/other.py": "",
}
WITH_FILES = {**PURE, "package/grammar.txt": "grammar"}


def whole_calls(lines: list[str]) -> list[str]:
    """Join the calls that strace shows in two parts because another thread came between."""
    calls, begun = [], {}
    for line in lines:
        thread = line.split(maxsplit=1)[0]
        if line.endswith("<unfinished ...>"):
            begun[thread] = line.removesuffix("<unfinished ...>")
        elif match := re.match(r"\d+ +<\.\.\. \w+ resumed>", line):
            calls.append(begun.pop(thread) + line[match.end() :])
        else:
            calls.append(line)
    return calls


def check_trace(run: Runner, root: Path, bundle: Path, *command: Path | str) -> None:
    """Run a command under strace, and check what it opened and mapped."""
    trace = run.cwd / "trace"
    calls = "trace=open,openat,openat2,mmap,execve"
    found = run(
        *("strace", "-f", "-s", "4096", "-y", "-e", calls, "-o", trace, *command),
        cwd=bundle.parent,
    )
    if "Operation not permitted" in found.stderr and not found.stdout:
        pytest.skip("strace may not trace here")
    found.succeeded()
    lines = whole_calls(trace.read_text().splitlines())
    assert any("execve(" in line for line in lines)
    # Descriptors of finished calls show the path of the file: `= 3</path>`.
    opened = [match[1] for line in lines if (match := re.search(r" = \d+<(/[^>]*)>", line))]
    assert opened, "no opened file in the trace"
    assert opened.count(str(bundle)) == 1, [path for path in opened if path == str(bundle)]
    mapped = [line for line in lines if re.search(rf"mmap\(.*<{re.escape(str(bundle))}>", line)]
    assert len(mapped) == 1, mapped
    # Bringing a package out writes its sources, too; that is not reading them.
    read = [
        match[1]
        for line in lines
        if "O_WRONLY" not in line and (match := re.search(r" = \d+<(/[^>]*)>", line))
    ]
    python_files = [path for path in read if re.search(r"\.pyc?$", path)]
    foreign = [path for path in python_files if "site-packages" in path or str(root) in path]
    assert foreign == []


@pytest.mark.parametrize("files", [PURE, WITH_FILES], ids=["pure", "with files"])
def test_application_of_ones_own(
    files: dict[str, str], build: Build, run: Runner, root: Path, mmport: Path
) -> None:
    """Also the first time, when packages are brought out as files."""
    bundle = build("--source", write_files(run.cwd / "app", files), "-e", "app:main").resolve()
    for _ in range(2):
        check_trace(run, root, bundle, mmport, "run", bundle)


def test_black(build: Build, venv_of: VenvOf, run: Runner, root: Path, mmport: Path) -> None:
    """A real application with extension modules and data files."""
    venv = venv_of(("black==25.9.0",))
    bundle = build("-r", venv.lock, "--script", "black", name="black").resolve()
    for _ in range(2):
        check_trace(run, root, bundle, mmport, "run", bundle, "-c", "x  =  1")

"""What a start asks of the file system, and what it does not read."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Application
from support import Runner, Word

# Calls that name a path, and those that read or look at a file or directory.
FILE_CALLS = "trace=%file,fstat,read,pread64,lseek,getdents64"

FEW, MANY = 30, 300


def modules(count: int) -> dict[str, str]:
    """Return a program that imports that many modules of one package."""
    files = {f"package/module_{number}.py": f"VALUE = {number}\n" for number in range(count)}
    main = "".join(f"import package.module_{number}\n" for number in range(count))
    return {"__main__.py": f"{main}print('imported')\n", "package/__init__.py": "", **files}


def file_calls(run: Runner, *command: Word) -> list[str]:
    """Return the file-system calls of a start, after another one that has left its caches."""
    run(*command).succeeded()
    trace = run.cwd / "trace"
    found = run("strace", "-f", "-e", FILE_CALLS, "-o", trace, *command)
    if "Operation not permitted" in found.stderr and not found.stdout:
        pytest.skip("strace may not trace here")
    assert found.succeeded().stdout == "imported\n"
    lines = trace.read_text().splitlines()
    # A call that was interrupted is shown twice; signals and ends of threads are none.
    return [line for line in lines if re.match(r"\d+ +\w+\(", line)]


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_modules_of_the_bundle_cost_no_calls(
    application: Callable[..., Application], run: Runner
) -> None:
    """A start takes as many calls with ten times the modules; with files it takes more for each."""
    bundled, plain = [], []
    for count in (FEW, MANY):
        program = application(modules(count))
        bundled.append(file_calls(run, program.mmport, "run", program.bundle))
        plain.append(file_calls(run, program.python, program.folder / "__main__.py"))
    assert len(bundled[1]) == len(bundled[0])
    assert len(plain[1]) >= len(plain[0]) + 3 * (MANY - FEW)
    assert len(bundled[1]) <= len(plain[1]) / 10


def damage_sources(bundle: Path) -> int:
    """Overwrite the data of every source in a bundle, in place; return how many there are."""
    with zipfile.ZipFile(bundle) as archive:
        sources = [entry for entry in archive.infolist() if entry.filename.endswith(".py")]
    content = bytearray(bundle.read_bytes())
    for entry in sources:
        local = entry.header_offset
        lengths = [
            int.from_bytes(content[local + at : local + at + 2], "little") for at in (26, 28)
        ]
        start = local + 30 + sum(lengths)
        content[start : start + entry.compress_size] = b"\xff" * entry.compress_size
    bundle.write_bytes(content)
    return sum(entry.compress_size > 0 for entry in sources)


def test_sources_are_not_read_where_there_is_bytecode(
    application: Callable[..., Application], run: Runner
) -> None:
    """A program runs although no source of it can be read; what has to compile them says so."""
    program = application(modules(FEW))
    damaged = run.cwd / "damaged.pyz"
    shutil.copy(program.bundle, damaged)
    assert damage_sources(damaged) == FEW + 1
    outcome = run(program.mmport, "run", damaged).succeeded()
    assert (outcome.stdout, outcome.stderr) == ("imported\n", "")
    outcome = run(program.mmport, "run", damaged, PYTHONOPTIMIZE="1")
    assert outcome.status == 1
    assert "failed to read entry `__main__.py`" in outcome.stderr

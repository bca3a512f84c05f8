"""`mmport python`: the embedded interpreter as plain Python."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support import Outcome, Runner, write_files

FILES = {
    "script.py": "import sys\nprint(sys.argv, __name__, __file__)\nimport beside\n",
    "beside.py": "print('beside', __name__)\n",
    "fails.py": "def f():\n    raise ValueError('no')\n\n\nf()\n",
    "folder/__main__.py": "import sys\nprint('folder', sys.argv, sys.path[0])\n",
    "package/__init__.py": "",
    "package/__main__.py": "import sys\nprint('package', sys.argv[1:], __package__)\n",
}


@dataclass(frozen=True)
class Case:
    """What Python is given."""

    arguments: tuple[str, ...]
    stdin: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


CASES = [
    Case(("-c", "import sys; print(sys.argv)", "a", "--b")),
    Case(("-c", "import sys; print(sys.path, sys.prefix, sys.base_prefix, sys.exec_prefix)")),
    Case(("-c", "import sys; print(sys.executable, sys._base_executable)")),
    Case(("-c", "import sys; print(sys.version, sys.flags, sys.implementation)")),
    Case(("-c", "import os, sys; print(os.__file__, sys._stdlib_dir)")),
    Case(("-c", "import sysconfig; print(sysconfig.get_paths(), sysconfig.get_platform())")),
    Case(("-c", "import site; print(site.getsitepackages(), site.ENABLE_USER_SITE)")),
    Case(("-c", "import sys; print(sorted(sys.modules))")),
    Case(("-c", "import sys; print([getattr(f, '__name__', f) for f in sys.meta_path[-3:]])")),
    Case(("-c", "import ssl, sqlite3, ctypes, lzma, decimal; print(ssl.OPENSSL_VERSION)")),
    Case(("-c", "import pip; print(pip.__version__)")),
    Case(("-c", "import sys; sys.exit(7)")),
    Case(("-c", "raise KeyError('x')")),
    Case(("-c", "def f(:")),
    Case(("-c",)),
    Case(("script.py", "a", "-b")),
    Case(("./script.py",)),
    Case(("fails.py",)),
    Case(("no_such.py",)),
    Case(("folder", "x")),
    Case(("-m", "package", "a")),
    Case(("-m", "no_such")),
    Case(("-m", "platform")),
    Case(("-m", "json.tool"), stdin='{"a": 1}'),
    Case(("-",), stdin="print('from standard input')\nraise ValueError\n"),
    Case((), stdin="print('from standard input')\n"),
    Case(("-", "a"), stdin="import sys; print(sys.argv)"),
    Case(("-i", "-c", "x = 1"), stdin="print(x)\n"),
    Case(("-q", "-i"), stdin="1 + 1\nexit(3)\n"),
    Case(("-V",)),
    Case(("-VV",)),
    Case(("--version",)),
    Case(("--no-such-option",)),
    Case(("-O", "-c", "assert False; print(__debug__)")),
    Case(("-I", "-S", "-c", "import sys; print(sys.path, sys.flags)")),
    Case(("-X", "utf8=0", "-W", "error", "-c", "import warnings; warnings.warn('x')")),
    Case(("-c", "import sys; print(sys.path)"), variables={"PYTHONPATH": "a:b"}),
    Case(("-c", "import sys; print(sys.path)"), variables={"PYTHONSAFEPATH": "1"}),
    Case(("-c", "print('x')"), variables={"PYTHONVERBOSE": "", "PYTHONUNBUFFERED": "1"}),
    Case(("-c", "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1)'])")),
    Case(("-h",)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(case.arguments) or "nothing")
def test_as_python(case: Case, run: Runner, mmport: Path, base_python: Path) -> None:
    """Output and status are those of the Python that is embedded."""
    write_files(run.cwd, FILES)
    outcomes = [
        run(*command, *case.arguments, stdin=case.stdin, **case.variables)
        for command in ([mmport, "python"], [base_python])
    ]
    # mmport names itself `python`, in its own folder, where messages name the program.
    folder = re.escape(str(base_python.parent))
    found, expected = (
        re.sub(rf"(?<![\w.-])({folder}/)?python(3(\.\d+)?)?(?![\w./-])", "<python>", str(outcome))
        for outcome in outcomes
    )
    assert found == expected


@pytest.mark.parametrize("case", CASES[:4], ids=lambda case: " ".join(case.arguments))
def test_pip_package_as_python(case: Case, run: Runner, pip_mmport: Path) -> None:
    """The pip package's `mmport python` is the Python that it is installed in."""
    found = run(pip_mmport, "python", *case.arguments)
    assert str(found) == str(run(pip_mmport.parent / "python", *case.arguments))


def test_from_another_folder_and_through_a_link(run: Runner, mmport: Path) -> None:
    """Where mmport is started from does not matter."""
    link = run.cwd / "another-name"
    link.symlink_to(mmport)
    for command, folder in [(mmport, Path("/")), (link, run.cwd), ("./another-name", run.cwd)]:
        found = run(command, "python", "-c", "import json, ssl; print(json.dumps(1))", cwd=folder)
        assert found == Outcome(0, "1\n", "")


def test_without_home_and_path(run: Runner, mmport: Path) -> None:
    """Neither `HOME`, `PATH` nor `LD_LIBRARY_PATH` is needed to find libpython and the library."""
    found = run("env", "-i", mmport, "python", "-c", "import json, ssl; print(json.dumps(1))")
    assert found == Outcome(0, "1\n", "")

"""The pip package: the same command line, inside the Python that it is installed in."""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

import mmport as package
import pytest
from conftest import Build
from support import Outcome, Runner, write_files

FILES = {
    "app.py": "import sys, helper, package\n\n\ndef main():\n"
    "    print(helper.value, sys.argv[1:], open(package.DATA).read())\n"
    "    return int(sys.argv[1]) if sys.argv[1:] else helper.fail()\n",
    "helper.py": "value = 1\n\n\ndef fail():\n    raise LookupError(value)\n",
    "package/__init__.py": "import os\nDATA = os.path.join(os.path.dirname(__file__), 'data')\n",
    "package/data": "data of the package",
}
PROGRAMS = {
    "names of the main module": "print(sorted(globals()), __name__, __package__, __file__)",
    "modules": "import sys\nprint([m for m in sys.modules if 'pytest' in m or m == 'helper'])",
    "path": "import sys\nprint([type(p).__name__ for p in sys.path])\n"
    "print([p for p in sys.path if 'packages' in p])",
    "exit": "import sys\nsys.exit('wrong')",
    "atexit": "import atexit\natexit.register(print, 'last')\nraise SystemExit(3)",
    "exception": "def f():\n    1 / 0\n\n\nf()\n",
    "packages of the host": "import pytest",
    "prefix": "import sys\nprint(sys.prefix != sys.base_prefix, sys.executable.endswith('python'))",
    "flush": "import sys\nsys.stdout.write('no newline')",
}


@pytest.fixture
def bundle(build: Build, run: Runner) -> Path:
    """Return a bundle with a package that is brought out as files."""
    return build("--source", write_files(run.cwd / "app", FILES), "-e", "app:main")


def ways(mmport: Path, pip_mmport: Path) -> list[list[Path | str]]:
    """Return the commands that must do the same: native, script, module."""
    return [[mmport], [pip_mmport], [pip_mmport.parent / "python", "-m", "mmport"]]


def masked(outcome: Outcome) -> str:
    """Return what a program did without the keys of its environment, which differ."""
    return re.sub(r"(environments-v1)/[0-9a-f]{32}", r"\1/<key>", str(outcome))


@pytest.mark.parametrize(
    "arguments", [("0", "a", "--b"), ("41",), ()], ids=["success", "status", "exception"]
)
def test_run_bundle(
    arguments: tuple[str, ...], bundle: Path, run: Runner, mmport: Path, pip_mmport: Path
) -> None:
    """Same output and status as the native binary."""
    outcomes = [run(*way, "run", bundle, *arguments) for way in ways(mmport, pip_mmport)]
    assert "data of the package" in outcomes[0].stdout
    assert str(outcomes[1]) == str(outcomes[0])
    assert str(outcomes[2]) == str(outcomes[0])


@pytest.mark.parametrize("name", PROGRAMS)
def test_run_program(name: str, build: Build, run: Runner, mmport: Path, pip_mmport: Path) -> None:
    """A program cannot tell the package from the native binary."""
    folder = write_files(run.cwd / "program", {"__main__.py": PROGRAMS[name]})
    bundle = build("--source", folder)
    native, *others = (run(*way, "run", bundle) for way in ways(mmport, pip_mmport))
    for other in others:
        assert masked(other) == masked(native)


@pytest.mark.parametrize(
    "arguments",
    [("--version",), ("--help",), ("run", "--help"), ("build", "-h"), ("inspect", "no-such.pyz")],
    ids=" ".join,
)
def test_command_line(
    arguments: tuple[str, ...], run: Runner, mmport: Path, pip_mmport: Path
) -> None:
    """Same texts and statuses."""
    native, *others = (run(*way, *arguments) for way in ways(mmport, pip_mmport))
    for other in others:
        assert str(other) == str(native)


def test_versions_agree(run: Runner, mmport: Path) -> None:
    """The package and the binary are of one version."""
    assert run(mmport, "--version").stdout == f"mmport {package.__version__}\n"


def test_build_is_the_same(run: Runner, mmport: Path, pip_mmport: Path, base_python: Path) -> None:
    """The package builds the very bundle that the binary builds."""
    source = write_files(run.cwd / "source", FILES)
    built = []
    for number, way in enumerate(ways(mmport, pip_mmport)):
        output = run.cwd / f"{number}.pyz"
        python = ["--python", base_python]
        run(*way, "build", "-q", "--source", source, *python, "-o", output).succeeded()
        built.append(output.read_bytes())
    assert built[0] == built[1] == built[2]


def test_build_is_for_the_host_by_default(run: Runner, pip_mmport: Path) -> None:
    """Without `--python` a bundle is for the Python that the package is installed in."""
    source = write_files(run.cwd / "source", FILES)
    run(pip_mmport, "build", "--source", source, "-o", "app.pyz", "-e", "app:main").succeeded()
    assert run(pip_mmport, "run", "app.pyz", "5").status == 5


INSTALL = """
import sys
import mmport
before = list(sys.path)
mmport.install(sys.argv[1])
mmport.install(sys.argv[1])
*kept, bundle, tree = sys.path
assert (kept, bundle) == (before, sys.argv[1] + "/") and "/trees-v2/" in tree, sys.path
import helper, package
print(helper.value, open(package.DATA).read(), helper.__file__ == sys.argv[1] + "/helper.py")
print(type(helper.__loader__) is mmport.BundleImporter, helper.__loader__.archive == sys.argv[1])
print(sum(isinstance(finder, mmport.BundleFinder) for finder in sys.meta_path))
import pytest
print(pytest.__name__)
"""


def test_install(bundle: Path, run: Runner) -> None:
    """`mmport.install` serves a bundle beside what is installed, once."""
    found = run(sys.executable, "-c", INSTALL, bundle)
    assert found == Outcome(0, "1 data of the package True\nTrue True\n1\npytest\n", "")


def test_install_of_a_wheel(run: Runner) -> None:
    """Any zip with modules can be served."""
    path = run.cwd / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr("thing/__init__.py", "value = 1\n")
        wheel.writestr("thing/inner.py", "from . import value\n")
        wheel.writestr("thing-1.0.dist-info/METADATA", "Name: thing\nVersion: 1.0\n")
    code = (
        "import sys, mmport, importlib.metadata as m; mmport.install(sys.argv[1])\n"
        "import thing.inner; print(thing.inner.value, m.version('thing'))"
    )
    assert run(sys.executable, "-c", code, path) == Outcome(0, "1 1.0\n", "")


@pytest.mark.parametrize("content", [None, b"", b"no zip"], ids=["missing", "empty", "text"])
def test_install_of_what_is_no_bundle(content: bytes | None, tmp_path: Path) -> None:
    """It is an `ImportError` that names the file, and nothing is installed."""
    path = tmp_path / "file.pyz"
    if content is not None:
        path.write_bytes(content)
    before = list(sys.path), list(sys.meta_path), list(sys.path_hooks)
    with pytest.raises(ImportError, match=re.escape(str(path))):
        package.install(path)
    assert (list(sys.path), list(sys.meta_path), list(sys.path_hooks)) == before


def test_main_returns_the_status(capfd: pytest.CaptureFixture[str]) -> None:
    """`mmport.main` is the command line as a function."""
    assert package.main(["--version"]) == 0
    assert capfd.readouterr().out == f"mmport {package.__version__}\n"
    assert package.main(["inspect", "/no/such/bundle"]) == 125
    assert "/no/such/bundle" in capfd.readouterr().err

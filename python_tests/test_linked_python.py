"""mmport by a link with a name of Python's: the link is `sys.executable`, and acts as Python."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import Build
from support import Runner

# What CPython's `test_embed` asks its own program for.
CONFIGURATION = "import _testinternalcapi, json; print(json.dumps(_testinternalcapi.get_configs()))"
WHERE = "import os, sys; print(os.readlink('/proc/self/exe'), sys.executable, sys.prefix)"
CHILD = (
    "import subprocess, sys; "
    f"subprocess.run([sys.executable, '-c', {WHERE!r}], check=True, executable=sys.executable)"
)


def link(place: Path, target: Path, name: str = "python") -> Path:
    """Make a link to a program in a folder of its own."""
    place.mkdir(exist_ok=True)
    (place / name).symlink_to(target)
    return place / name


@pytest.mark.parametrize(
    ("options", "variables"),
    [
        ([], {}),
        (["-I"], {}),
        (["-E", "-s", "-S", "-B", "-OO", "-u", "-v"], {}),
        (["-X", "dev", "-X", "utf8", "-W", "error", "-b"], {}),
        (
            [
                "-X",
                "warn_default_encoding",
                "-X",
                "importtime",
                "-X",
                "frozen_modules=off",
                "-X",
                "pycache_prefix=x",
            ],
            {},
        ),
        ([], {"PYTHONPATH": "a:b", "PYTHONHASHSEED": "7", "PYTHONOPTIMIZE": "1"}),
        ([], {"PYTHONUTF8": "1", "PYTHONIOENCODING": "latin-1", "PYTHONWARNINGS": "default"}),
        ([], {"LC_ALL": "C", "PYTHONWARNDEFAULTENCODING": "1"}),
        ([], {"PYTHONCOERCECLOCALE": "0", "LC_ALL": "POSIX"}),
        ([], {"PYTHONHOME": "{prefix}"}),
    ],
    ids=str,
)
def test_configuration(
    options: Sequence[str],
    variables: dict[str, str],
    run: Runner,
    mmport: Path,
    base_python: Path,
) -> None:
    """Everything that CPython can be configured by is as for a link to plain Python."""
    prefix = str(base_python.parent.parent)
    variables = {name: value.format(prefix=prefix) for name, value in variables.items()}
    configurations = []
    for name, target in [("plain", base_python), ("linked", mmport)]:
        python = link(run.cwd / name, target)
        found = run(python, *options, "-c", CONFIGURATION, **variables).succeeded()
        configurations.append(json.loads(found.stdout.replace(str(python.parent), "<bin>")))
    plain, linked = configurations
    assert linked["config"].items() == plain["config"].items()
    assert linked == plain


@pytest.mark.parametrize("name", ["python", "python3", "python{}"])
def test_child(name: str, run: Runner, mmport: Path, base_python: Path) -> None:
    """A child from `sys.executable` is the embedded interpreter, by each of Python's names."""
    version = run(base_python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])").stdout
    python = link(run.cwd / "bin", mmport, name.format(version.strip()))
    prefix = base_python.parent.parent
    expected = f"{mmport.resolve()} {python} {prefix}\n"
    assert run(python, "-c", CHILD).succeeded().stdout == expected
    by_name = run("env", f"PATH={python.parent}:/usr/bin:/bin", python.name, "-c", CHILD)
    assert by_name.succeeded().stdout == expected


def test_first_argument_does_not_matter(run: Runner, mmport: Path, base_python: Path) -> None:
    """A process may be started with any first argument; the file that is started decides."""
    python = link(run.cwd / "bin", mmport)
    code = f"import subprocess; subprocess.run(['no', '-c', {WHERE!r}], executable={str(python)!r})"
    found = run(base_python, "-c", code).succeeded()
    assert found.stdout == f"{mmport.resolve()} {python} {base_python.parent.parent}\n"


def test_first_argument_does_not_matter_to_a_bundle(
    run: Runner, build: Build, mmport: Path
) -> None:
    """`sys.executable` of a bundle has the bundle, also by another first argument."""
    (run.cwd / "source").mkdir()
    (run.cwd / "source" / "inside.py").write_text("print(__name__)\n")
    child = "subprocess.run(['no', '-c', 'import inside'], executable=sys.executable, check=True)"
    bundle = build("--source", run.cwd / "source", name="interpreter.pyz")
    found = run(mmport, "run", bundle, "-c", f"import subprocess, sys; {child}")
    assert found.succeeded().stdout == "inside\n"


def test_other_names_are_the_command(run: Runner, mmport: Path) -> None:
    """What only begins like a name of Python's is mmport."""
    for name in ("pythonic", "python2", "python3.99", "mmport-python"):
        found = run(link(run.cwd / "bin", mmport, name), "--version").succeeded()
        assert found.stdout.startswith("mmport ")


@pytest.mark.parametrize("options", [[], ["--copies"], ["--system-site-packages"]], ids=str)
def test_virtual_environment(
    options: Sequence[str], run: Runner, mmport: Path, base_python: Path
) -> None:
    """A virtual environment made from the link has the embedded interpreter, and its own prefix."""
    python = link(run.cwd / "bin", mmport)
    place = run.cwd / "environment"
    run(python, "-m", "venv", "--without-pip", *options, place).succeeded()
    inside = place / "bin" / "python"
    executable = inside if "--copies" in options else mmport
    expected = f"{executable.resolve()} {inside} {place}\n"
    assert run(inside, "-c", WHERE).succeeded().stdout == expected
    assert run(inside, "-c", CHILD).succeeded().stdout == expected
    code = "import sys; print(sys.base_prefix, sys._base_executable)"
    expected = f"{base_python.parent.parent} {python}\n"
    assert run(inside, "-c", code).succeeded().stdout == expected

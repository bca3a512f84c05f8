"""Entry points: which program of a bundle runs, and links to it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Build
from support import Outcome, Runner, write_files
from wheels import write_wheel

MODULE = """\
import os, subprocess, sys

def show(name):
    asked = {key for key in os.environ if key in ("MMPORT_ENTRY", "MMPORT_INTERPRETER")}
    print(name, sys.argv[1:], sorted(asked), flush=True)

def first():
    show("first")
    if "again" in sys.argv:
        # As reloaders start the program that they are in.
        arguments = [argument for argument in sys.argv if argument != "again"]
        raise SystemExit(subprocess.run([sys.executable, *arguments]).returncode)
    if "spawn" in sys.argv:
        import multiprocessing
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print(pool.map(abs, [-3]))

def second():
    show("second")
    print(os.path.basename(sys.argv[0]), "__file__" in vars(sys.modules["__main__"]))
    return 3

def fails():
    raise ValueError("told")

class Group:
    @staticmethod
    def inner():
        return "a text"
"""
SCRIPTS = """\
[console_scripts]
first = tools:first
second = tools:second [extra]
fails = tools:fails
missing = tools:nothing
[gui_scripts]
window = tools:second
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a wheel with scripts."""
    folder = tmp_path_factory.mktemp("tools")
    modules = write_files(folder / "modules", {"tools.py": MODULE})
    return write_wheel(folder, "tools", modules, {"entry_points.txt": SCRIPTS})


@pytest.fixture
def bundle(build: Build, wheel: Path) -> Path:
    """Return a bundle that runs the script `first`."""
    return build("--wheel", wheel, "-c", "first")


@pytest.fixture
def start(run: Runner, command: Path, bundle: Path) -> Callable[..., Outcome]:
    """Return a function that runs the bundle, with options of `run` before it."""

    def start(*arguments: str, options: tuple[str, ...] = (), **variables: str) -> Outcome:
        return run(command, "run", *options, bundle, *arguments, **variables)

    return start


def test_every_script_can_be_named(start: Callable[..., Outcome]) -> None:
    """By an option or by a variable, which the program does not see."""
    assert start("x").succeeded().stdout == "first ['x'] []\n"
    for outcome in (
        start("x", options=("--entry", "second")),
        start("x", MMPORT_ENTRY="second"),
        start("x", options=("--entry", "second"), MMPORT_ENTRY="first"),
    ):
        assert (outcome.status, outcome.stderr) == (3, "")
        assert outcome.stdout == "second ['x'] []\nsecond False\n"
    outcome = start(options=("--entry", "window"))
    assert (outcome.status, outcome.stdout) == (3, "second [] []\nwindow False\n")


def test_a_function_can_be_named(start: Callable[..., Outcome]) -> None:
    """What it returns is given to `sys.exit`, as by a script."""
    outcome = start(options=("--entry", "tools:Group.inner"))
    assert (outcome.status, outcome.stdout, outcome.stderr) == (1, "", "a text\n")


def test_what_is_not_there_is_told(start: Callable[..., Outcome], bundle: Path) -> None:
    """With what is there, the most alike first, and status 127."""
    outcome = start(options=("--entry", "secnd"))
    assert outcome.status == 127
    assert outcome.stderr == (
        f"mmport: error: failed to run script `secnd` of bundle `{bundle}`: the bundle has "
        "`second`, `fails`, `first`, `missing`, `window`\n"
        "  next: name one of these, or module:function\n"
    )
    for entry in ("missing", "tools:nothing"):
        outcome = start(options=("--entry", entry))
        assert outcome.status == 127
        assert "`tools` has no attribute `nothing`" in outcome.stderr
    outcome = start(options=("--entry", "other:main"))
    assert outcome.status == 127
    assert "no module named `other`" in outcome.stderr


def test_a_traceback_begins_with_the_program(start: Callable[..., Outcome]) -> None:
    """There is no line of a script that is not there."""
    outcome = start(options=("--entry", "fails"))
    assert outcome.status == 1
    first, frame, line, error = outcome.stderr.splitlines()
    assert first == "Traceback (most recent call last):"
    assert frame.endswith('tools.py", line 24, in fails')
    assert (line.strip(), error) == ('raise ValueError("told")', "ValueError: told")


def test_a_script_starts_itself_again(start: Callable[..., Outcome]) -> None:
    """By `sys.executable` and `sys.argv`, as reloaders do, whatever it was asked for by."""
    for options in ((), ("--entry", "first")):
        outcome = start("again", "x", options=options).succeeded()
        assert outcome.stdout == "first ['again', 'x'] []\nfirst ['x'] []\n"


def test_child_processes_of_a_named_script_work(start: Callable[..., Outcome]) -> None:
    """`multiprocessing` does not run the bundle's own entry point in them."""
    outcome = start("spawn", options=("--entry", "tools:first")).succeeded()
    assert outcome.stdout == "first ['spawn'] []\n[3]\n"


def test_the_interpreter_can_be_asked_for(start: Callable[..., Outcome]) -> None:
    """It takes Python's arguments, and its children are not asked."""
    code = "import os, tools, sys; tools.show(sys.argv[0])"
    outcome = start("-c", code, "x", MMPORT_INTERPRETER="1").succeeded()
    assert outcome.stdout == "-c ['x'] []\n"
    outcome = start("-m", "tools", MMPORT_INTERPRETER="1", MMPORT_ENTRY="second").succeeded()
    assert outcome.stdout == ""
    assert start("x", MMPORT_INTERPRETER="").succeeded().stdout == "first ['x'] []\n"


@pytest.mark.parametrize("place", [os.symlink, shutil.copy])
def test_a_file_named_as_a_script_starts_it(
    run: Runner, command: Path, bundle: Path, tmp_path: Path, place: Callable[[Path, Path], None]
) -> None:
    """Links and copies; other names change nothing."""
    for name, expected in (("second", 3), ("first", 0), ("other", 0)):
        place(bundle, tmp_path / name)
        outcome = run(command, "run", tmp_path / name, "x")
        assert outcome.status == expected, outcome
        assert outcome.stdout.startswith(f"{'second' if name == 'second' else 'first'} ['x']")
    again = run(command, "run", tmp_path / "first", "again").succeeded()
    assert again.stdout == "first ['again'] []\nfirst [] []\n"


def test_links_start_scripts(run: Runner, command: Path, bundle: Path, tmp_path: Path) -> None:
    """`mmport link` makes them, and tells which."""
    folder = tmp_path / "bin"
    outcome = run(command, "link", bundle, folder).succeeded()
    names = ["fails", "first", "missing", "second", "window"]
    assert outcome.stdout.splitlines() == [str(folder / name) for name in names]
    assert sorted(path.name for path in folder.iterdir()) == names
    outcome = run(folder / "second", "x")
    assert (outcome.status, outcome.stdout) == (3, "second ['x'] []\nsecond False\n")
    # They are there.
    assert run(command, "link", bundle, folder).succeeded().stdout == ""


def test_links_replace_nothing_unasked(
    run: Runner, command: Path, bundle: Path, tmp_path: Path
) -> None:
    """All links are made or none."""
    (tmp_path / "second").write_text("mine")
    outcome = run(command, "link", bundle, tmp_path)
    assert outcome.status == 125
    assert f"`{tmp_path / 'second'}`" in outcome.stderr
    assert "next: use --force" in outcome.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["second"]
    run(command, "link", "--only", "second", "--force", bundle, tmp_path).succeeded()
    assert (tmp_path / "second").readlink() == bundle
    outcome = run(command, "link", "--only", "nothing", bundle, tmp_path)
    assert outcome.status == 127
    assert "failed to link the script `nothing`" in outcome.stderr
    assert "the bundle has `missing`" in outcome.stderr


def test_only_what_can_be_started_is_linked(
    run: Runner, command: Path, build: Build, wheel: Path, bundle: Path, tmp_path: Path
) -> None:
    """A bundle without a first line, or that may not be executed, is refused."""
    plain = build("--wheel", wheel, "--no-shebang")
    outcome = run(command, "link", plain, tmp_path / "bin")
    assert outcome.status == 125
    assert f"`{plain}`: expected a first line that names mmport" in outcome.stderr
    copy = shutil.copyfile(bundle, tmp_path / "app.pyz")
    copy.chmod(0o644)
    outcome = run(command, "link", copy, tmp_path / "bin")
    assert outcome.status == 125
    assert "expected a file that may be executed" in outcome.stderr
    assert not (tmp_path / "bin").exists()

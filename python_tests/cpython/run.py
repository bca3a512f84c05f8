"""Runs CPython's own suites, as installed, with parts of mmport in the place of CPython's.

    python run.py                  all suites, with `mmport.ZipImporter` for `zipimport.zipimporter`
    python run.py --thrifty        all but their expensive tests, as `python -m test` without `-u`
    python run.py test_zipimport   the ones named
    python run.py --interpreter target/release/mmport           with mmport as the interpreter
    python run.py --interpreter target/release/mmport --quick   those that take seconds

For the class, the Python that runs this must have mmport installed. Each suite runs twice in fresh
virtual environments of it: with the class as it is, and with ours in its place from before the
first import of a test, in child processes too. Every test has to come to the same. Before that, the
run shows that it notices a class that finds nothing.

For the interpreter, each suite runs twice as well: with a link to this Python, and with a copy of
mmport that is named `python`. It is `sys.executable`, so that child processes are the same. Before
that, the run shows that it notices an interpreter that ignores environment variables. Where a suite
comes to something else, it runs again by itself, because many tests depend on time: what differs
again counts.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from support import clean_environment  # noqa: E402

TIMEOUT = 1500
MOST_EXCLUSIONS = 5


class RunFailed(Exception):
    """The run itself could not be done, or is worth nothing."""


def lines_of(name: str) -> list[tuple[str, str]]:
    """Return the lines of a list: the first word, and the rest."""
    lines = [line.strip() for line in (HERE / name).read_text().splitlines()]
    words = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    return [(first, *rest) if rest else (first, "") for first, *rest in words]  # type: ignore[misc]


def suites(mark: str) -> list[str]:
    """Return the suites with a mark, by name."""
    return [name for name, marks in lines_of("suites.txt") if mark in marks.split()]


def exclusions() -> set[str]:
    """Return the tests that are not compared."""
    lines = lines_of("exclusions.txt")
    if len(lines) > MOST_EXCLUSIONS or any(not reason.startswith("#") for _, reason in lines):
        raise RunFailed(f"at most {MOST_EXCLUSIONS} exclusions, each with its reason behind a #")
    return {name for name, _ in lines}


@dataclass(frozen=True)
class Result:
    """What a suite came to."""

    run: int
    outcomes: dict[str, list[str]]
    started: dict[str, int]
    children: dict[str, int]
    output: str

    def count(self, outcome: str) -> int:
        """Count the tests with an outcome."""
        return sum(outcomes.count(outcome) for outcomes in self.outcomes.values())

    def __str__(self) -> str:
        return f"{self.run} run, {self.count('skipped')} skipped, {self.count('failed')} failed"


def package() -> Path:
    """Return the folder of mmport in this Python."""
    spec = importlib.util.find_spec("mmport")
    if spec is None or spec.origin is None:
        raise RunFailed(
            f"{sys.executable} has no mmport. `pip install .` in the clone installs it; "
            "python_tests/run.py makes target/tests/VERSION/venv, which has it."
        )
    return Path(spec.origin).parent


def is_installed(suite: str) -> bool:
    """Tell whether this Python came with the suite."""
    folder = Path(os.__file__).parent / "test"
    return (folder / suite).is_dir() or (folder / f"{suite}.py").is_file()


def replacement(suite: str) -> str | None:
    """Return a module for a suite that 3.11 and 3.12 do not install although its tests are there.

    In 3.10, which does, the suites consist of the same line.
    """
    folder, start = Path(os.__file__).parent / "test", suite.removeprefix("test_multiprocessing_")
    if start not in ("spawn", "forkserver") or not (folder / "_test_multiprocessing.py").is_file():
        return None
    tests = "test._test_multiprocessing"
    return f"import {tests}\n{tests}.install_tests_in_module_dict(globals(), {start!r})\n"


class Interpreters:
    """Pythons whose `sys.executable` is a copy of mmport, or a link to this Python."""

    mark = "interpreter"
    replaces_missing = True
    at_once = 2
    proof = "test_cmd_line"
    broken = "an interpreter that ignores environment variables"

    def __init__(self, mmport: Path) -> None:
        """Test this mmport."""
        self.mmport = mmport

    def check(self) -> None:
        """Fail where mmport cannot be tested."""
        if not self.mmport.is_file():
            raise RunFailed(f"no {self.mmport}")

    def prepare(self, place: Path, kind: str) -> list[str | Path]:
        """Make what a suite needs; return the command that the worker's arguments follow."""
        base = Path(sys.executable).resolve()
        links = place / "bin"
        links.mkdir(parents=True)
        python = links / "python"
        if kind != "broken":
            if kind == "mmport":
                # A copy: some tests start what a link leads to, which has no name of Python's. By a
                # process of its own: what another thread starts meanwhile would hold it open.
                subprocess.run(["cp", self.mmport, python], check=True)
            else:
                python.symlink_to(base)
            return [python, HERE / "worker.py", "--interpreter", kind]
        python.write_text(f'#!/bin/sh\nexec "{base}" -E "$@"\n')
        python.chmod(0o755)
        return [base, HERE / "worker.py", "--interpreter", kind, "--executable", python]

    def words(self, result: Result) -> str:
        """Say how many interpreters a suite started."""
        return f"in {1 + sum(result.started.values())} processes or more"


class Importers:
    """Virtual environments in which every Python has the stand-in for CPython's class."""

    mark = "importer"
    replaces_missing = False
    at_once = 1
    proof = "test_zipimport"
    broken = "a class that finds nothing"

    def check(self) -> None:
        """Fail where the class cannot be tested."""
        package()

    def prepare(self, place: Path, kind: str) -> list[str | Path]:
        """Make what a suite needs; return the command that the worker's arguments follow."""
        return [make_environment(place, kind), HERE / "worker.py"]

    def words(self, result: Result) -> str:
        """Say in how many processes the stand-in was."""
        return children(result, "mmport")


def make_environment(place: Path, kind: str) -> Path:
    """Make a virtual environment in which every Python has the stand-in; return its Python."""
    base = Path(sys.executable).resolve()
    subprocess.run([base, "-m", "venv", "--without-pip", place], check=True)
    python = place / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    answer = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    packages = Path(answer.stdout.strip())
    shutil.copytree(package(), packages / "mmport")
    shutil.copy2(HERE / "mmport_stand_in.py", packages)
    (place / "stand-in").write_text(kind)
    # Last, because every Python of the environment obeys it from now on.
    (packages / "mmport_stand_in.pth").write_text("import mmport_stand_in\n")
    return python


def run_suite(
    mode: Interpreters | Importers, suite: str, kind: str, place: Path, thrifty: bool
) -> Result:
    """Run a suite in an environment of its own, below `place`."""
    environment = place / kind / "environment"
    command = mode.prepare(environment, kind)
    # Short, because the paths of sockets below it must not have more than 107 bytes.
    work = place / kind / "work"
    work.mkdir()
    output = environment / "outcomes.json"
    log = environment / "log"
    log.unlink(missing_ok=True)
    module = f"test.{suite}"
    if not is_installed(suite) and (replaced := replacement(suite)):
        module = suite
        (work / f"{suite}.py").write_text(replaced)
    process = subprocess.Popen(
        [*command, module, output, *(["--thrifty"] if thrifty else [])],
        cwd=work,
        # Tests put modules into the user's site-packages, and two runs would see each other's.
        env={**clean_environment(), "TMPDIR": str(work), "HOME": str(work)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
        start_new_session=True,
    )
    try:
        text, _ = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        text, _ = process.communicate()
        raise RunFailed(f"{suite} ({kind}) took more than {TIMEOUT} s:\n{text[-4000:]}") from None
    if not output.is_file():
        raise RunFailed(f"{suite} ({kind}) ended with {process.returncode}:\n{text[-4000:]}")
    seen = json.loads(output.read_text())
    # A process counts once, however many interpreters it has; the worker's own do not.
    lines = log.read_text().splitlines() if log.is_file() else []
    marks = {tuple(line.split(maxsplit=1)) for line in lines}
    children = Counter(word for number, word in marks if int(number) != process.pid)
    return Result(seen["run"], seen["outcomes"], seen["started"], dict(children), text)


def differences(plain: Result, ours: Result, excluded: set[str]) -> list[str]:
    """Return what a suite came to differently."""
    found = []
    if plain.run != ours.run:
        found.append(f"{plain.run} tests run, {ours.run} with mmport")
    for name in sorted({*plain.outcomes, *ours.outcomes} - excluded):
        before, after = plain.outcomes.get(name), ours.outcomes.get(name)
        if before != after:
            found.append(f"{name}: {before}, with mmport {after}")
    return found


def children(result: Result, kind: str) -> str:
    """Say in how many processes that the tests started the stand-in was."""
    started = result.started
    words = f"in {result.children.get(kind, 0)} child processes"
    words += f" ({started.get('with site', 0)} seen to start with site,"
    words += f" {started.get('without site', 0)} without, where it cannot be)"
    if processes := result.children.get("subinterpreter", 0):
        words += f", not in the subinterpreters of {processes} of them"
    return words


def prove(mode: Interpreters | Importers, place: Path) -> None:
    """Show that something broken is noticed."""
    with ThreadPoolExecutor(2) as pool:
        plain, broken = pool.map(
            lambda kind: run_suite(mode, mode.proof, kind, place / "proof", True),
            ["plain", "broken"],
        )
    if not differences(plain, broken, set()):
        raise RunFailed(f"{mode.broken} was not noticed")
    print(f"proof: {broken} with {mode.broken}, {plain} with CPython's", flush=True)


def run_both(
    mode: Interpreters | Importers, suite: str, place: Path, thrifty: bool
) -> tuple[Result, Result]:
    """Run a suite both ways."""
    try:
        with ThreadPoolExecutor(2) as pool:
            jobs = [
                pool.submit(run_suite, mode, suite, kind, place, thrifty)
                for kind in ("plain", "mmport")
            ]
            plain, ours = (job.result() for job in jobs)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return plain, ours


def compare(
    mode: Interpreters | Importers, names: Sequence[str], place: Path, thrifty: bool
) -> list[str]:
    """Run suites both ways, and show and return what differs."""
    excluded = exclusions()
    installed = [
        suite
        for suite in names
        if is_installed(suite) or (mode.replaces_missing and replacement(suite))
    ]
    for suite in names:
        if suite not in installed:
            print(f"{suite}: this Python came without it", flush=True)
    mistakes = []
    again = []

    def show(suite: str, plain: Result, ours: Result, found: list[str]) -> None:
        verdict = "the same" if not found else f"{len(found)} differences"
        held = mode.words(ours)
        print(f"{suite}: {verdict}\n  plain   {plain}\n  mmport  {ours}; {held}", flush=True)
        for line in found:
            print(f"  {line}", flush=True)

    with ThreadPoolExecutor(mode.at_once) as pool:
        jobs = {
            suite: pool.submit(run_both, mode, suite, place / str(number), thrifty)
            for number, suite in enumerate(installed)
        }
        for suite, job in jobs.items():
            plain, ours = job.result()
            found = differences(plain, ours, excluded)
            show(suite, plain, ours, found)
            if found and mode.at_once > 1:
                again.append((suite, found))
            elif found:
                mistakes += [f"{suite}: {line}" for line in found]
                print(ours.output, flush=True)
    for suite, before in again:
        plain, ours = run_both(mode, suite, place / "again", thrifty)
        found = [line for line in differences(plain, ours, excluded) if line in before]
        print("again, by itself: ", end="")
        show(suite, plain, ours, found)
        mistakes += [f"{suite}: {line}" for line in found]
        if found:
            print(ours.output, flush=True)
    return mistakes


def main() -> int:
    """Do all of it; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("suites", nargs="*", metavar="SUITE", help="as in suites.txt; default: all")
    parser.add_argument("--thrifty", action="store_true", help="leave out expensive tests")
    parser.add_argument("--quick", action="store_true", help="only suites that take seconds")
    parser.add_argument(
        "--interpreter", type=Path, metavar="MMPORT", help="test this as the interpreter"
    )
    options = parser.parse_args()
    mode = Interpreters(options.interpreter.resolve()) if options.interpreter else Importers()
    known = suites(mode.mark)
    if unknown := set(options.suites) - set(known):
        parser.error(f"not in suites.txt: {', '.join(sorted(unknown))}")
    names = options.suites or [n for n in known if not options.quick or n in suites("quick")]
    place = Path(tempfile.mkdtemp(prefix="mmport-cpython-"))
    try:
        mode.check()
        prove(mode, place)
        mistakes = compare(mode, names, place, options.thrifty)
    except RunFailed as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(place, ignore_errors=True)
    print(f"{len(mistakes)} differences in all")
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())

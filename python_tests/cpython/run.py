"""Runs CPython's own suites, as installed, with `mmport.ZipImporter` for `zipimport.zipimporter`.

    python run.py                  all suites
    python run.py --thrifty        all but their expensive tests, as `python -m test` without `-u`
    python run.py test_zipimport   the ones named

The Python that runs this must have mmport installed. Each suite runs twice in fresh virtual
environments of it: with the class as it is, and with ours in its place from before the first import
of a test, in child processes too. Every test has to come to the same. Before that, the run shows
that it notices a class that finds nothing.
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


def suites() -> list[str]:
    """Return the suites by name."""
    return [name for name, _ in lines_of("suites.txt")]


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


def run_suite(suite: str, kind: str, place: Path, thrifty: bool) -> Result:
    """Run a suite in an environment of its own, below `place`."""
    environment = place / kind / suite
    python = make_environment(environment, kind)
    work = place / kind / f"{suite}-work"
    work.mkdir()
    output = environment / "outcomes.json"
    log = environment / "log"
    log.unlink(missing_ok=True)
    process = subprocess.Popen(
        [python, HERE / "worker.py", f"test.{suite}", output, *(["--thrifty"] if thrifty else [])],
        cwd=work,
        env={**clean_environment(), "TMPDIR": str(work)},
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
    marks = {tuple(line.split(maxsplit=1)) for line in log.read_text().splitlines()}
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


def prove(place: Path) -> None:
    """Show that a class that finds nothing is noticed."""
    with ThreadPoolExecutor(2) as pool:
        plain, broken = pool.map(
            lambda kind: run_suite("test_zipimport", kind, place / "proof", True),
            ["plain", "broken"],
        )
    if not differences(plain, broken, set()):
        raise RunFailed("a broken class was not noticed")
    print(f"proof: {broken} with a class that finds nothing, {plain} with CPython's", flush=True)


def compare(names: Sequence[str], place: Path, thrifty: bool) -> list[str]:
    """Run suites both ways, and show and return what differs."""
    excluded = exclusions()
    mistakes = []
    for suite in names:
        if not is_installed(suite):
            print(f"{suite}: this Python came without it", flush=True)
            continue
        with ThreadPoolExecutor(2) as pool:
            jobs = [
                pool.submit(run_suite, suite, kind, place, thrifty) for kind in ("plain", "mmport")
            ]
            plain, ours = (job.result() for job in jobs)
        found = differences(plain, ours, excluded)
        verdict = "the same" if not found else f"{len(found)} differences"
        held = children(ours, "mmport")
        print(f"{suite}: {verdict}\n  plain   {plain}\n  mmport  {ours}; {held}", flush=True)
        for line in found:
            print(f"  {line}", flush=True)
            mistakes.append(f"{suite}: {line}")
        if found:
            print(ours.output, flush=True)
        shutil.rmtree(place / "plain", ignore_errors=True)
        shutil.rmtree(place / "mmport", ignore_errors=True)
    return mistakes


def main() -> int:
    """Do all of it; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("suites", nargs="*", metavar="SUITE", help="as in suites.txt; default: all")
    parser.add_argument("--thrifty", action="store_true", help="leave out expensive tests")
    options = parser.parse_args()
    if unknown := set(options.suites) - set(suites()):
        parser.error(f"not in suites.txt: {', '.join(sorted(unknown))}")
    place = Path(tempfile.mkdtemp(prefix="mmport-cpython-"))
    try:
        package()
        prove(place)
        mistakes = compare(options.suites or suites(), place, options.thrifty)
    except RunFailed as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(place, ignore_errors=True)
    print(f"{len(mistakes)} differences in all")
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())

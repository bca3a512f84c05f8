"""Run all tests of mmport, Rust and Python, after installing and building all that they need.

    python3 python_tests/run.py                       tests for the Python that runs this
    python3 python_tests/run.py --python python3.13   for another one (repeatable)
    python3 python_tests/run.py --full                large applications and long tests too
    python3 python_tests/run.py --all                 for every supported CPython on this machine:
                                                      --full for one, the rest for the others
    python3 python_tests/run.py -- -k test_run -x     options after -- go to pytest

Everything is kept in `target/tests` and used again as long as it is up to date.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from pythons import TESTS, Python, StepFailed, find_pythons, named

PROJECT = Path(__file__).resolve().parent.parent
REQUIREMENTS = PROJECT / "python_tests" / "requirements.txt"
SOURCES = ["Cargo.toml", "Cargo.lock", "build.rs", "pyproject.toml", "src", "python"]


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """Announce what is being done, and say how long it took."""
    print(f"== {title}", flush=True)
    start = time.monotonic()
    outcome = "failed"
    try:
        yield
        outcome = "done"
    finally:
        print(f"== {title}: {outcome} in {time.monotonic() - start:.1f} s", flush=True)


def call(*command: str | Path, **variables: str) -> None:
    """Run a command in the project's folder, with further environment variables."""
    words = [str(word) for word in command]
    try:
        status = subprocess.run(words, cwd=PROJECT, env={**os.environ, **variables}).returncode
    except OSError as error:
        raise StepFailed(f"cannot start `{words[0]}`: {error}") from error
    if status != 0:
        raise StepFailed(f"`{shlex.join(words)}` ended with status {status}")


def is_current(stamp: Path, key: str) -> bool:
    """Tell whether what a stamp stands for was made from the same things."""
    return stamp.is_file() and stamp.read_text() == key


def make_environment(place: Path, python: Python, packages: list[str]) -> None:
    """Make a virtual environment with packages, in the versions of the requirements file."""
    key = repr((str(python.executable), python.version, packages, REQUIREMENTS.read_text()))
    stamp = place / "complete"
    if is_current(stamp, key):
        return
    shutil.rmtree(place, ignore_errors=True)
    call(python.executable, "-m", "venv", place)
    install = [place / "bin" / "python", "-m", "pip", "install", "--quiet"]
    call(*install, "--disable-pip-version-check", "-c", REQUIREMENTS, *packages)
    stamp.write_text(key)


def source_key(python: Python) -> str:
    """Return a hash of everything that the binary and the package are built from."""
    digest = hashlib.sha256(repr((str(python.executable), python.version)).encode())
    for name in SOURCES:
        path = PROJECT / name
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            if file.suffix not in {".pyc", ".so"}:
                digest.update(f"\0{file.relative_to(PROJECT)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def build_binary(python: Python) -> None:
    """Build the native binary for a Python, as `target/tests/VERSION/mmport`."""
    stamp, key = python.place / "mmport.stamp", source_key(python)
    if is_current(stamp, key) and (python.place / "mmport").is_file():
        return
    target = PROJECT / "target"
    variables = {"PYO3_PYTHON": str(python.executable), "CARGO_TARGET_DIR": str(target)}
    call("cargo", "build", "--release", "--bin", "mmport", **variables)
    python.place.mkdir(parents=True, exist_ok=True)
    shutil.copy2(target / "release" / "mmport", python.place / "mmport.new")
    (python.place / "mmport.new").replace(python.place / "mmport")
    stamp.write_text(key)


def install_package(python: Python) -> None:
    """Build the pip package's wheel and install it into `target/tests/VERSION/venv`."""
    venv = python.place / "venv"
    stamp, key = venv / "mmport.stamp", source_key(python)
    if is_current(stamp, key):
        return
    wheels = python.place / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    # The package is linked in another way than the binary: in a target directory that both use,
    # each build would undo the other's.
    maturin = [TESTS / "tools" / "bin" / "maturin", "build", "--release", "--quiet"]
    variables = {"CARGO_TARGET_DIR": str(TESTS / "package")}
    call(*maturin, "--interpreter", python.executable, "--out", wheels, **variables)
    [wheel] = wheels.glob("*.whl")
    install = [venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps"]
    call(*install, "--disable-pip-version-check", "--force-reinstall", wheel)
    stamp.write_text(key)


def provide_strace() -> None:
    """Install strace where that is ours to do; the test that needs it is skipped otherwise."""
    if shutil.which("strace") or os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    with contextlib.suppress(StepFailed):
        call("apt-get", "update", "-qq")
        call("apt-get", "install", "-y", "-qq", "strace", DEBIAN_FRONTEND="noninteractive")


def run_pytest(python: Python, arguments: list[str], quick: bool) -> None:
    """Run the Python tests with a Python; with `quick`, without those marked `full`."""
    # The mark comes first, so that a `-m` of the caller's own wins.
    selection = ["-m", "not full"] if quick else []
    cache = ["-o", f"cache_dir={python.place / 'pytest-cache'}"]
    pytest = [python.place / "venv" / "bin" / "python", "-m", "pytest"]
    call(*pytest, *cache, *selection, *arguments, PYTHONDONTWRITEBYTECODE="1")


def parse_arguments() -> tuple[argparse.Namespace, list[str]]:
    """Return the options, and what goes to pytest."""
    words, for_pytest = sys.argv[1:], []
    if "--" in words:
        at = words.index("--")
        words, for_pytest = words[:at], words[at + 1 :]
    parser = argparse.ArgumentParser(
        usage="%(prog)s [OPTIONS] [-- PYTEST-OPTIONS]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="EXE",
        help="a Python to test with (repeatable); default: the one that runs this",
    )
    parser.add_argument("--all", action="store_true", help="every supported CPython found")
    parser.add_argument("--full", action="store_true", help="large applications and long tests too")
    parser.add_argument("--no-build", action="store_true", help="test what was built before")
    parser.add_argument("-k", metavar="EXPRESSION", help="as pytest's -k")
    options = parser.parse_args(words)
    return options, [*(["-k", options.k] if options.k else []), *for_pytest]


def choose_pythons(options: argparse.Namespace) -> list[Python]:
    """Return the Pythons to test, of which the first gets everything."""
    if not options.all:
        return [named(command) for command in options.python or [sys.executable]]
    found = find_pythons()
    if options.python:
        default = named(options.python[0])
    elif own := [python for python in found if python.version[:2] == sys.version_info[:2]]:
        default = own[0]
    elif found:
        default = found[0]
    else:
        default = named(sys.executable)
    return [default, *(python for python in found if python.name != default.name)]


def main() -> int:
    """Do all steps; return the exit status."""
    options, for_pytest = parse_arguments()
    failures = []
    try:
        pythons = choose_pythons(options)
        default = pythons[0]
        print("testing with", ", ".join(f"{p.name} ({p.executable})" for p in pythons), flush=True)
        TESTS.mkdir(parents=True, exist_ok=True)
        if not options.no_build:
            with step("tools"):
                tools = ["maturin", "mypy", "pytest", "ruff"]
                make_environment(TESTS / "tools", default, tools)
                provide_strace()
            with step(f"cargo test for {default.name}"):
                target = str(PROJECT / "target")
                call(
                    *("cargo", "test", "--quiet"),
                    **{"PYO3_PYTHON": str(default.executable), "CARGO_TARGET_DIR": target},
                )
    except StepFailed as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        return 1
    for python in pythons:
        try:
            if not options.no_build:
                with step(f"binary for {python.name}"):
                    build_binary(python)
                with step(f"package for {python.name}"):
                    make_environment(python.place / "venv", python, ["mypy", "pytest"])
                    install_package(python)
            with step(f"pytest with {python.name}"):
                full = options.full or (options.all and python == default)
                run_pytest(python, for_pytest, quick=not full)
        except StepFailed as failure:
            failures.append(f"{python.name}: {failure}")
            print(f"FAILED: {failures[-1]}", file=sys.stderr, flush=True)
    default_link = TESTS / "default"
    default_link.unlink(missing_ok=True)
    default_link.symlink_to(default.name)
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

"""What the command lines of the scripts have in common."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from .cases import Case
from .preparation import ComparisonError, Preparation, checked_output, progress

REPOSITORY = Path(__file__).resolve().parents[2]


def add_places(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the command and the place of what is made for it."""
    parser.add_argument(
        "--mmport",
        type=Path,
        default=REPOSITORY / "target" / "release" / "mmport",
        help="the command to measure (default: target/release/mmport)",
    )
    parser.add_argument(
        "--directory",
        type=Path,
        default=default_directory(),
        help="where environments, bundles and what other tools make are kept (default: "
        "target/benches of the project in which you are, or else the current directory)",
    )


def default_directory() -> Path:
    """The project's own place for products, but not for somebody who works elsewhere."""
    here = Path.cwd()
    return REPOSITORY / "target" / "benches" if here.is_relative_to(REPOSITORY) else here


def add_options(parser: argparse.ArgumentParser, cases: list[Case], rounds: int | None) -> None:
    """Add the cases, and the options that say what is measured and where it is kept."""
    parser.add_argument(
        "cases",
        nargs="*",
        metavar="CASE",
        help=f"cases or applications: {', '.join(names(cases))}",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=rounds,
        help=f"rounds per case (default: {rounds or 'of each mode'})",
    )
    add_places(parser)
    parser.add_argument(
        "--python",
        help="interpreter of the virtual environments; has to be the version that mmport embeds "
        "(default: the one that it embeds)",
    )
    parser.add_argument("--markdown", action="store_true", help="print Markdown")


def parsed(parser: argparse.ArgumentParser, cases: list[Case]) -> argparse.Namespace:
    """The command line, checked."""
    arguments = parser.parse_args()
    known = names(cases)
    if unknown := set(arguments.cases) - set(known):
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if arguments.rounds is not None and arguments.rounds < 1:
        parser.error("--rounds has to be at least 1")
    return arguments


def chosen(cases: list[Case], arguments: argparse.Namespace) -> list[Case]:
    """The cases that were asked for."""
    wanted = set(arguments.cases)
    return [case for case in cases if not wanted or wanted & set(names([case]))]


def names(cases: list[Case]) -> list[str]:
    """What cases can be called by: an application stands for all cases of it."""
    return list(
        dict.fromkeys(name for case in cases for name in (case.application.name, case.name))
    )


def preparation_of(arguments: argparse.Namespace) -> Preparation:
    """The preparation for the command and the interpreter that were asked for."""
    mmport = arguments.mmport.resolve()
    if not mmport.is_file():
        if mmport != REPOSITORY / "target" / "release" / "mmport" or not shutil.which("cargo"):
            raise ComparisonError(f"{mmport} is missing; build it with `cargo build --release`")
        build(mmport)
    python = interpreter(arguments.python, mmport)
    return Preparation(arguments.directory.resolve(), mmport, python)


def build(mmport: Path) -> None:
    """Build the project's own command, which is not there yet."""
    progress("building mmport")
    target = ["--target-dir", str(mmport.parent.parent)]
    manifest = ["--manifest-path", str(REPOSITORY / "Cargo.toml")]
    words = ["cargo", "build", "--release", "--bin", "mmport", *manifest, *target]
    if subprocess.run(words, stdout=sys.stderr).returncode:
        raise ComparisonError("mmport could not be built")


def interpreter(name: str | None, mmport: Path) -> Path:
    """The interpreter to compare with: the executable itself, no link and no shim."""
    question = "import sys; print(sys.version_info[:3]); print(sys._base_executable)"
    embedded, executable = checked_output([mmport, "python", "-c", question]).splitlines()
    if name is not None:
        path = shutil.which(name)
        if path is None:
            raise ComparisonError(f"{name} is not an interpreter")
        found, executable = checked_output([path, "-c", question]).splitlines()
        if found != embedded:
            raise ComparisonError(f"{name} is Python {found}, this mmport embeds {embedded}")
    return Path(executable).resolve()

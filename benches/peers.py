#!/usr/bin/env python3
"""Compare what tools make of one application: zipapp, shiv, PEX, PyInstaller and mmport.

Every cell of the table is the outcome of a command. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from comparison.measurement import Outcome, Way, new_directories, pin, run
from comparison.options import add_places, preparation_of
from comparison.packing import PACKERS
from comparison.preparation import (
    PIP,
    ComparisonError,
    Preparation,
    Stamp,
    checked_output,
    clean_environment,
    progress,
    remove_tree,
)
from comparison.report import machine, markdown_table, text_table
from first_start import files_below

PYINSTALLER = "pyinstaller==6.22.3"
REQUIREMENTS = ["jinja2==3.1.6", "markupsafe==3.0.4", "certifi"]
SOURCE = """\
import multiprocessing
import sys


def main():
    import jinja2

    if "native" in sys.argv:
        import markupsafe._speedups

        print(markupsafe._speedups.__name__)
    elif "data" in sys.argv:
        import certifi

        with open(certifi.where(), "rb") as file:
            print(len(file.read()) > 100_000)
    elif "spawn" in sys.argv:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print(pool.map(abs, [-3]))
    else:
        print(jinja2.Template("hello {{ name }}").render(name="you"))


if __name__ == "__main__":
    multiprocessing.freeze_support()
    main()
"""
PROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "peer"
version = "1.0"
dependencies = [{requirements}]

[project.scripts]
peer = "peer:main"

[tool.setuptools]
py-modules = ["peer"]
"""
ABILITIES = {
    "native": "extension modules",
    "data": "data opened by path",
    "spawn": "multiprocessing spawn",
}
"""Arguments of the application, and what it needs for them."""

WAYS = {
    "mmport": (),
    "mmport, standalone": ("--standalone",),
    "mmport, standalone, minimal": (
        *("--standalone", "--stdlib", "minimal", "--trace", ""),
        *(option for ability in ABILITIES for option in ("--trace", ability)),
    ),
}
"""What mmport makes, and the options for it."""

OWN_DIRECTORY = ("HOME", "TMPDIR", "SHIV_ROOT", "PEX_ROOT", "MMPORT_ROOT")
"""Where a process may leave files."""

NO_PYTHON = (
    'for place in "$PREFIX" /usr/lib/python3* /usr/local/lib/python3*; do '
    '[ ! -d "$place" ] || mount -t tmpfs tmpfs "$place"; done'
)
READ_ONLY = (
    'for place in /tmp /var/tmp /dev/shm /run "$HOME"; do [ -d "$place" ] || continue; '
    'mount --bind "$place" "$place" && mount -o remount,bind,ro "$place"; done'
)
NOEXEC = (
    'mount -t tmpfs -o noexec tmpfs "$HOME" && '
    "for place in /dev/shm /run; do mount -t tmpfs -o noexec tmpfs $place; done"
)
PLACES = {"no Python": NO_PYTHON, "nothing writable": READ_ONLY, "noexec": NOEXEC}
"""What is done to the file system before the application starts in a namespace of its own."""


@dataclass
class Peer:
    """What a tool has made."""

    name: str
    product: Path
    command: list[str | Path]
    variables: dict[str, str] = field(default_factory=dict)
    first: list[float] = field(default_factory=list)
    next: list[float] = field(default_factory=list)
    written: tuple[int, int] = (0, 0)
    """Files, and their bytes."""
    works: dict[str, bool | None] = field(default_factory=dict)


def main() -> int:
    """Make everything, try everything, and show it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_places(parser)
    parser.add_argument("--python", help="interpreter (default: the one that mmport embeds)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of starts (default: 7)")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    arguments = parser.parse_args()
    try:
        preparation = preparation_of(arguments)
        peers = make(preparation)
        pin()
        measure(peers, preparation, arguments.rounds)
        for peer in peers:
            try_abilities(peer, peers[0], preparation)
        version = checked_output([preparation.mmport, "--version"]).split()[-1]
    except ComparisonError as error:
        print(f"peers.py: {error}", file=sys.stderr)
        return 1
    table = rows(peers)
    print(
        f"mmport {version}, CPython {preparation.version}, {', '.join(PACKERS)}, {PYINSTALLER}, "
        f"{', '.join(REQUIREMENTS)}, {machine()}; {arguments.rounds} rounds: medians, ratios to "
        "the virtual environment's next start.\n"
    )
    print("\n".join(markdown_table(table, 1) if arguments.markdown else text_table(table)))
    return 0


def make(preparation: Preparation) -> list[Peer]:
    """Pack the application with every tool, unless that was done for the same versions."""
    directory = preparation.directory / "peers"
    environment = directory / "venv"
    project = directory / "project"
    tools = directory / "tools" / "bin"
    packages = [*PACKERS, PYINSTALLER, PIP]
    stamp = Stamp(environment, python=str(preparation.python), source=SOURCE, tools=packages)
    products = directory / "products"
    if not stamp.is_current():
        progress("making the application")
        remove_tree(directory)
        products.mkdir(parents=True)
        project.mkdir()
        quoted = ", ".join(f'"{requirement}"' for requirement in REQUIREMENTS)
        (project / "pyproject.toml").write_text(PROJECT.format(requirements=quoted))
        (project / "peer.py").write_text(SOURCE)
        preparation.virtual_environment(environment)
        preparation.pip(environment, "install", "--quiet", str(project))
        progress(f"installing {', '.join(packages)}")
        preparation.virtual_environment(tools.parent)
        preparation.pip(tools.parent, "install", "--quiet", *packages)
        pack(preparation, project, tools, products)
        stamp.write()
    progress("packing with mmport")
    made: dict[str, Path] = {}
    for name, options in WAYS.items():
        made[name] = products / name / "peer"
        made[name].parent.mkdir(exist_ok=True)
        target = ["--python", preparation.python, "-o", made[name]]
        build = [preparation.mmport, "build", "--quiet", "--project", project, "-c", "peer"]
        checked_output([*build, *options, *target])
    plain = preparation.empty_environment()
    path = {"PATH": os.pathsep.join([str(preparation.mmport.parent), os.environ["PATH"]])}
    return [
        Peer("virtual environment", environment, [environment / "bin" / "peer"]),
        Peer("zipapp", products / "peer.zipapp", [plain, products / "peer.zipapp"]),
        Peer("shiv", products / "peer.shiv", [plain, products / "peer.shiv"]),
        Peer("PEX", products / "peer.pex", [plain, products / "peer.pex"]),
        Peer("PEX, venv mode", products / "venv.pex", [plain, products / "venv.pex"]),
        Peer("PyInstaller, one file", products / "peer.frozen", [products / "peer.frozen"]),
        *(Peer(name, bundle, [bundle], path) for name, bundle in made.items()),
    ]


def pack(preparation: Preparation, project: Path, tools: Path, products: Path) -> None:
    """Pack the application with everything but mmport."""
    progress("packing with zipapp, shiv, PEX and PyInstaller")
    python = tools / "python"
    content = products / "zipapp"
    # A target directory is the same for every environment.
    preparation.pip(tools.parent, "install", "--quiet", "--target", str(content), str(project))
    zipapp = ["-m", "zipapp", content, "-m", "peer:main", "-c", "-o", products / "peer.zipapp"]
    checked_output([python, *zipapp])
    checked_output([tools / "shiv", "--quiet", "-c", "peer", "-o", products / "peer.shiv", project])
    pex = [tools / "pex", project, "-c", "peer", "--disable-cache"]
    checked_output([*pex, "-o", products / "peer.pex"])
    checked_output([*pex, "--venv", "--sh-boot", "--compile", "-o", products / "venv.pex"])
    work = products / "pyinstaller"
    preparation.pip(tools.parent, "install", "--quiet", *REQUIREMENTS)
    options = ["--onefile", "--log-level", "ERROR", "--hidden-import", "markupsafe._speedups"]
    places = ["--distpath", work, "--workpath", work / "work", "--specpath", work]
    checked_output(
        [tools / "pyinstaller", *options, *places, "-n", "peer.frozen", project / "peer.py"]
    )
    shutil.copy2(work / "peer.frozen", products / "peer.frozen")


def environment_in(peer: Peer, directory: Path) -> dict[str, str]:
    """The variables of a process that leaves its files in a directory."""
    return clean_environment() | peer.variables | dict.fromkeys(OWN_DIRECTORY, str(directory))


def start(peer: Peer, directory: Path, *arguments: str) -> Outcome:
    """Start what a tool has made."""
    command = [*map(str, peer.command), *arguments]
    way = Way(peer.name, command, environment_in(peer, directory), Path(os.devnull))
    return run(way)


def measure(peers: list[Peer], preparation: Preparation, rounds: int) -> None:
    """Start all in turn for the first time and once more, and compare what they print."""
    progress(f"measuring {rounds} rounds")
    # One round more, to warm up.
    for number in range(-1, rounds):
        with new_directories(preparation.directory) as new_directory:
            for peer in peers:
                directory = new_directory()
                first = start(peer, directory)
                files = files_below([directory])
                following = start(peer, directory)
                for outcome in (first, following):
                    if (outcome.status, outcome.output) != (0, b"hello you\n"):
                        raise ComparisonError(f"{peer.name} does not run: {outcome.errors!r}")
                peer.written = len(files), sum(files.values())
                if number >= 0:
                    peer.first.append(first.milliseconds)
                    peer.next.append(following.milliseconds)


def try_abilities(peer: Peer, plain: Peer, preparation: Preparation) -> None:
    """Try what not all can do, in the same way that a virtual environment does it."""
    progress(f"trying what {peer.name} can do")
    with new_directories(preparation.directory) as new_directory:
        for argument in ABILITIES:
            expected = start(plain, new_directory(), argument)
            outcome = start(peer, new_directory(), argument)
            peer.works[argument] = outcome.is_like(expected) and not outcome.status
        for name, change in PLACES.items():
            peer.works[name] = runs_in(peer, change, new_directory(), preparation)


def runs_in(peer: Peer, change: str, directory: Path, preparation: Preparation) -> bool | None:
    """Whether the application runs after a change of the file system; `None`: not permitted."""
    prefix = checked_output([preparation.python, "-c", "import sys; print(sys.base_prefix)"])
    variables = environment_in(peer, directory) | {"PREFIX": prefix.strip()}
    # The default places of all, so that they find those that are left.
    for name in ("SHIV_ROOT", "PEX_ROOT", "MMPORT_ROOT"):
        del variables[name]
    for flags in (["-m"], ["-Urm"]):
        prepared = ["unshare", *flags, "sh", "-c", f'{change} && exec "$@"', "sh"]
        try:
            permitted = subprocess.run([*prepared, "true"], env=variables, capture_output=True)
        except FileNotFoundError:
            return None
        if permitted.returncode == 0:
            command = [*prepared, *map(str, peer.command), "native"]
            outcome = subprocess.run(command, env=variables, capture_output=True, timeout=120)
            return outcome.stdout == b"markupsafe._speedups\n" and not outcome.returncode
    return None


def rows(peers: list[Peer]) -> list[list[str]]:
    """The table, the heading first."""
    heading = ["", "one file", "MB", "first start", "next start", "files written", "MB written"]
    table = [[*heading, *ABILITIES.values(), *(f"runs: {place}" for place in PLACES)]]
    base = peers[0].next
    for peer in peers:
        is_file = peer.product.is_file()
        files = [peer.product] if is_file else [p for p in peer.product.rglob("*") if p.is_file()]
        size = sum(path.lstat().st_size for path in files)
        ratios = [
            statistics.median(one / two for one, two in zip(times, base, strict=True))
            for times in (peer.first, peer.next)
        ]
        words = {True: "yes", False: "no", None: "not tried"}
        table.append(
            [
                peer.name,
                words[is_file],
                f"{size / 1e6:.1f}",
                *(f"{ratio:.2f}" for ratio in ratios),
                str(peer.written[0]),
                f"{peer.written[1] / 1e6:.1f}",
                *(words[peer.works[name]] for name in (*ABILITIES, *PLACES)),
            ]
        )
    return table


if __name__ == "__main__":
    raise SystemExit(main())

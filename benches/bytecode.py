#!/usr/bin/env python3
"""Compare starts from a zip without bytecode: mmport's cache, zipimport and environments.

See README.md beside this file for what is measured and how.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from comparison.cases import CASES, DJANGO, HTTPIE, Case
from comparison.measurement import (
    PLAIN,
    Outcome,
    Way,
    checked,
    environment_of,
    new_directories,
    pin,
    run,
    spawn,
    standard_input_of,
)
from comparison.options import REPOSITORY, add_options, chosen, parsed, preparation_of
from comparison.preparation import (
    ComparisonError,
    Preparation,
    Stamp,
    checked_output,
    progress,
    remove_tree,
)
from comparison.report import Spread, machine, markdown_table, text_table

ENTRIES = {
    DJANGO.name: "django.core.management:execute_from_command_line",
    HTTPIE.name: "httpie.__main__:main",
}
"""What the applications' scripts call."""
STARTS = [
    # Without translations, which are files that no zip can hold: plain Python has to run it, too.
    replace(case, files={name: f"{text}USE_I18N = False\n" for name, text in case.files.items()})
    if case.application == DJANGO
    else case
    for case in CASES
    if case.application.name in ENTRIES
]

WITHOUT_BYTECODE = "virtual environment, no .pyc"
ZIPIMPORT = "python on the zip"
RUN = "mmport run"
INSTALL = "mmport.install()"
NUMBERS = ("first", "second", "third")
COMPILED_AGAIN = f"{RUN}, code objects removed"

LAUNCHER = """\
import runpy
import sys

import mmport

mmport.install()
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
MODULE_COSTS = Path(__file__).resolve().parent / "comparison" / "module_costs.py"
GENERATED = 1000
"""How many modules are generated of each kind."""
FUNCTION = '''\
def function_{number}(first, second=None):
    """Give what number {number} of module {module} makes of its arguments."""
    if second is None:
        second = [first, {number}, "text {module} {number}"]
    return [(item, first.name) for item in second if item is not first]


'''


@dataclass(frozen=True)
class Products:
    """An application without extension modules and without bytecode, in all ways to start it."""

    with_bytecode: list[str]
    without_bytecode: list[str]
    archive: Path


@dataclass(frozen=True)
class Modules:
    """A directory of modules with bytecode, and zips of them without."""

    title: str
    directory: Path
    deflated: Path
    stored: Path


def main() -> int:
    """Measure, and show it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser, STARTS, rounds=11)
    parser.add_argument(
        "--wheel",
        type=Path,
        help="the pip package to measure (default: the newest of this Python in target/wheels)",
    )
    arguments = parsed(parser, STARTS)
    try:
        preparation = preparation_of(arguments)
        packaged = package_environment(arguments.wheel, preparation)
        cases = chosen(STARTS, arguments)
        products = [products_of(case, preparation) for case in cases]
        modules = [*generated_modules(preparation), *application_modules(cases, preparation)]
        pin()
        starts = [["", "", "ms", "ratio", "processor, ms", "ratio"]]
        for case, product in zip(cases, products, strict=True):
            samples = measure(case, product, packaged, preparation, arguments.rounds)
            starts += start_rows(case, samples)
        costs = [COST_HEADING]
        for item in modules:
            costs += cost_rows(item, packaged, preparation, arguments.rounds)
        version = checked_output([preparation.mmport, "--version"]).split()[-1]
    except ComparisonError as error:
        print(f"bytecode.py: {error}", file=sys.stderr)
        return 1
    print(
        f"mmport {version}, CPython {preparation.version}, {machine()}; {arguments.rounds} rounds: "
        "medians, ratios within a round (quartiles)."
    )
    for table, titles in ((starts, 2), (costs, 2)):
        lines = markdown_table(table, titles) if arguments.markdown else text_table(table)
        print("\n".join(["", *lines]))
    return 0


def package_environment(wheel: Path | None, preparation: Preparation) -> Path:
    """The Python of an environment with mmport's pip package."""
    if wheel is None:
        tag = "cp" + "".join(preparation.version.split(".")[:2])
        found = (REPOSITORY / "target" / "wheels").glob(f"mmport-*-{tag}-*.whl")
        wheel = max(found, key=lambda path: path.stat().st_mtime_ns, default=None)
    if wheel is None or not wheel.is_file():
        raise ComparisonError(
            "the pip package's wheel is missing; build it with "
            "`maturin build --release --out target/wheels`, or name it with `--wheel`"
        )
    environment = preparation.directory / "packaged"
    status = wheel.stat()
    stamp = Stamp(environment, size=status.st_size, modified=status.st_mtime_ns)
    if not stamp.is_current():
        progress("installing the pip package")
        preparation.virtual_environment(environment)
        preparation.pip(environment, "install", "--quiet", str(wheel.resolve()))
        (environment / "launcher.py").write_text(LAUNCHER)
        stamp.write()
    return environment / "bin" / "python"


def tree_of(case: Case, preparation: Preparation) -> Path:
    """An application's packages in a directory, from the versions of the other comparisons.

    Extension modules are left out, because no zip can serve them to plain Python; what remains
    falls back to Python code, in all ways alike.
    """
    versions = preparation.application(case.application).versions
    tree = preparation.directory / case.application.name / "sources"
    stamp = Stamp(tree, versions=versions)
    if not stamp.is_current():
        progress(f"installing {case.application.name} without bytecode")
        remove_tree(tree)
        frozen = preparation.directory / case.application.name / "requirements.txt"
        options = ["--quiet", "--no-compile", "--target", str(tree)]
        preparation.pip(preparation.directory / "empty", "install", *options, "-r", str(frozen))
        for path in tree.rglob("*.so"):
            path.unlink()
        stamp.write()
    return tree


def products_of(case: Case, preparation: Preparation) -> Products:
    """Make what is not there yet."""
    preparation.empty_environment()
    tree = tree_of(case, preparation)
    directory = preparation.directory / case.application.name / "plain"
    archive = directory / (case.application.script or "")
    stamp = Stamp(directory, versions=preparation.application(case.application).versions)
    module, function = ENTRIES[case.application.name].split(":")
    entry = f"import sys\n\nfrom {module} import {function}\n\nsys.exit({function}())\n"
    environments = [directory / name / "venv" for name in ("with", "without")]
    if not stamp.is_current():
        progress(f"packing {case.application.name}")
        remove_tree(directory)
        directory.mkdir()
        zip_of(tree, archive, zipfile.ZIP_DEFLATED, entry)
        for environment in environments:
            preparation.virtual_environment(environment)
            [packages] = environment.glob("lib/python*/site-packages")
            shutil.copytree(tree, packages, dirs_exist_ok=True)
            (environment / "bin" / archive.name).write_text(entry)
        compile_all(environments[0], preparation)
        stamp.write()
    commands = [
        [str(environment / "bin" / "python"), str(environment / "bin" / archive.name)]
        for environment in environments
    ]
    return Products(*commands, archive)


def zip_of(directory: Path, archive: Path, compression: int, entry: str | None = None) -> None:
    """Pack a directory as it is, without bytecode."""
    with zipfile.ZipFile(archive, "w", compression) as packed:
        if entry is not None:
            packed.writestr("__main__.py", entry)
        for path in sorted(directory.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                packed.write(path, path.relative_to(directory))


def compile_all(directory: Path, preparation: Preparation) -> None:
    """Write a `.pyc` beside all modules; some packages hold templates that are no Python."""
    options = ["-m", "compileall", "-q", str(directory)]
    environment = {"PATH": os.environ.get("PATH", os.defpath)}
    spawn([str(preparation.python), *options], environment, Path(os.devnull))


def measure(
    case: Case, products: Products, packaged: Path, preparation: Preparation, rounds: int
) -> dict[str, list[Outcome]]:
    """Start a case in all ways, in turn; what they took by way."""
    directory = preparation.working_directory(case)
    environment = {"HOME": str(preparation.directory / "home"), **environment_of(case)}
    Path(environment["HOME"]).mkdir(exist_ok=True)
    standard_input = standard_input_of(case, directory)
    empty = str(preparation.empty_environment())
    launcher = str(packaged.parent.parent / "launcher.py")
    archive = str(products.archive)

    def way(name: str, command: list[str], **variables: str) -> Way:
        whole = [*command, *case.arguments]
        return Way(name, whole, environment | variables, standard_input)

    samples: dict[str, list[Outcome]] = {}
    before = Path.cwd()
    os.chdir(directory)
    try:
        plain = way(PLAIN, products.with_bytecode)
        others = [
            way(WITHOUT_BYTECODE, products.without_bytecode, PYTHONDONTWRITEBYTECODE="1"),
            way(ZIPIMPORT, [empty, archive]),
        ]
        native = way(RUN, [str(preparation.mmport), "run", archive])
        package = way(INSTALL, [str(packaged), launcher, archive])
        expected = run(plain)
        if expected.status:
            raise ComparisonError(f"{case.name}: {expected.errors.decode(errors='replace')}")
        progress(f"measuring {case.name}: {rounds} rounds")
        # One round more, to warm up.
        for number in range(-1, rounds):
            with new_directories(preparation.directory) as new_directory:
                in_turn = [plain, *others, *starts(native, package, new_directory)]
                for item in in_turn:
                    if item.name == COMPILED_AGAIN:
                        remove_tree(Path(item.environment["MMPORT_ROOT"]) / "bytecode-v1")
                    outcome = checked(case, item, expected)
                    if number >= 0:
                        samples.setdefault(item.name, []).append(outcome)
    finally:
        os.chdir(before)
    return samples


def starts(native: Way, package: Way, new_directory: Callable[[], Path]) -> list[Way]:
    """Starts with mmport's cache: on an empty one, and on what that has left, twice."""
    ways = []
    for way in (native, package):
        environment = way.environment | {"MMPORT_ROOT": str(new_directory())}
        ways += [
            replace(way, name=f"{way.name}, {number}", environment=environment)
            for number in NUMBERS
        ]
        if way == native:
            # What must be a real file is there: the rest of a first start is compiling.
            ways.append(replace(way, name=COMPILED_AGAIN, environment=environment))
    return ways


def start_rows(case: Case, samples: dict[str, list[Outcome]]) -> list[list[str]]:
    """The rows of a case."""
    table = []
    title = case.title
    for name, outcomes in samples.items():
        row = [title, name]
        for kind in ("milliseconds", "processor_milliseconds"):
            times = [getattr(outcome, kind) for outcome in outcomes]
            pairs = zip(times, (getattr(base, kind) for base in samples[PLAIN]), strict=True)
            ratio = Spread.of([time / base for time, base in pairs])
            row += [f"{statistics.median(times):,.0f}", str(ratio)]
        table.append(row)
        title = ""
    return table


def generated_modules(preparation: Preparation) -> list[Modules]:
    """Modules that are made here: small ones, and ones of the size that real ones have."""
    kinds = []
    for name, functions in (("small", 0), ("typical", 21)):
        tree = preparation.directory / "modules" / name
        if not tree.exists():
            progress(f"generating {GENERATED} {name} modules")
            tree.mkdir(parents=True)
            for module in range(GENERATED):
                code = [FUNCTION.format(number=at, module=module) for at in range(functions)]
                (tree / f"module_{module}.py").write_text(f"number = {module}\n\n\n{''.join(code)}")
        kinds.append(packed(f"{GENERATED:,} {name} modules", tree, preparation))
    return kinds


def application_modules(cases: list[Case], preparation: Preparation) -> list[Modules]:
    """The modules of the applications."""
    return [
        packed(case.application.name, tree_of(case, preparation), preparation) for case in cases
    ]


def packed(title: str, tree: Path, preparation: Preparation) -> Modules:
    """Modules in a directory with their bytecode, and in zips without."""
    place = tree.with_name(f"{tree.name}-packed")
    modules = Modules(title, place / "modules", place / "deflated.zip", place / "stored.zip")
    stamp = Stamp(place, tree=tree.stat().st_mtime_ns)
    if not stamp.is_current():
        remove_tree(place)
        shutil.copytree(tree, modules.directory)
        # What is no Python cannot be compared.
        for path in modules.directory.rglob("*.py"):
            try:
                compile(path.read_bytes(), path, "exec", dont_inherit=True)
            except SyntaxError:
                path.unlink()
        zip_of(modules.directory, modules.deflated, zipfile.ZIP_DEFLATED)
        zip_of(modules.directory, modules.stored, zipfile.ZIP_STORED)
        compile_all(modules.directory, preparation)
        stamp.write()
    return modules


COST_HEADING = [
    "",
    "zip",
    "mean source and code, KiB",
    "FileFinder: find, µs",
    "get the code, µs",
    "mmport: find, µs",
    "get the code, µs",
    "unmarshal alone, µs",
    "mmport / FileFinder",
]


def cost_rows(
    modules: Modules, packaged: Path, preparation: Preparation, rounds: int
) -> list[list[str]]:
    """What finding a module and getting its code cost, in one process that has imported nothing."""
    table = []
    title = modules.title
    for kind, archive in (("deflated", modules.deflated), ("stored", modules.stored)):
        progress(f"measuring {modules.title}, {kind}: {rounds} rounds")
        with new_directories(preparation.directory) as new_directory:
            environment = {"HOME": str(preparation.directory), "LANG": "C.UTF-8"}
            environment["MMPORT_ROOT"] = str(new_directory())
            script = [str(packaged), str(MODULE_COSTS), str(modules.directory), str(archive)]
            # The first process fills the cache.
            for count in (0, rounds):
                outcome = spawn([*script, str(count)], environment, Path(os.devnull))
                if outcome.status:
                    raise ComparisonError(outcome.errors.decode(errors="replace"))
        found = json.loads(outcome.output)
        lengths = [f"{found['lengths'][name] / 1024:.1f}" for name in ("source", "code")]
        ways = ("find", "code", "find in zip", "code in zip", "unmarshal")
        medians = [
            f"{statistics.median(figures[way] for figures in found['rounds']):.1f}" for way in ways
        ]
        ratio = Spread.of(
            [
                (figures["find in zip"] + figures["code in zip"])
                / (figures["find"] + figures["code"])
                for figures in found["rounds"]
            ]
        )
        table.append([title, kind, " and ".join(lengths), *medians, str(ratio)])
        title = ""
    return table


if __name__ == "__main__":
    raise SystemExit(main())

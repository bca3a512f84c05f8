"""Large bundles, long paths and many imports: the same comes of them as of small ones."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Application
from support import Runner, write_files

GIGABYTE = 2**30

# A number of entries that only a zip64 end record can state.
MODULES = 100_000
IN_A_PACKAGE = 50

MANY = f"""\
import importlib, pkgutil, sys
numbers = range(0, {MODULES}, 9_999)
for number in numbers:
    name = f"package_{{number // {IN_A_PACKAGE}}}.module_{{number}}"
    assert importlib.import_module(name).VALUE == number
import package_7
found = [module.name for module in pkgutil.iter_modules(package_7.__path__)]
assert sorted(found) == [f"module_{{number}}" for number in range(350, 400)]
for name in "package_7.module_400", "package_{MODULES}", "package_0.module_01":
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        assert error.name == name
    else:
        raise AssertionError(name)
print(len(numbers), getattr(package_7, "__file__", None))
"""

BEHIND = """\
import before, importlib.resources, package, package.behind
print(before.VALUE, package.behind.VALUE, len(importlib.resources.read_binary(package, "data.bin")))
"""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle of 100,000 modules and their main module, without names of packages."""
    path = tmp_path_factory.mktemp("many") / "many.pyz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__main__.py", MANY)
        for number in range(MODULES):
            name = f"package_{number // IN_A_PACKAGE}/module_{number}.py"
            archive.writestr(name, f"VALUE = {number}\n")
    return path


def test_more_entries_than_a_zip_without_zip64_can_have(
    many: Path, command: Path, run: Runner
) -> None:
    """The first, the last and some between are found, and nothing that is not there."""
    outcome = run(command, "run", many).succeeded()
    assert outcome.stdout == f"{len(range(0, MODULES, 9_999))} None\n"


def test_looking_into_a_large_bundle(many: Path, command: Path, run: Runner) -> None:
    """All modules are counted, and all entries are sound."""
    shown = json.loads(run(command, "inspect", "--json", "--verify", many).succeeded().stdout)
    assert shown["modules"] == MODULES + 1
    assert shown["sizes"]["source"]["entries"] == MODULES + 1


@pytest.mark.parametrize("size", [1, 5])
def test_what_lies_behind_gigabytes(size: int, command: Path, run: Runner, tmp_path: Path) -> None:
    """Also where an offset takes more than 32 bits; a hole takes no room on the disk."""
    path = tmp_path / "large.pyz"
    data = bytes(range(256)) * 1000
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__main__.py", BEHIND)
        archive.writestr("before.py", "VALUE = 'before'\n")
        archive.start_dir += size * GIGABYTE
        archive.writestr("package/__init__.py", "")
        archive.writestr("package/behind.py", "VALUE = 'behind'\n", zipfile.ZIP_DEFLATED)
        archive.writestr("package/data.bin", data)
        offset = archive.getinfo("package/data.bin").header_offset
    assert offset > size * GIGABYTE
    try:
        # Twice: the package has to be brought out, and is there the second time.
        for _ in range(2):
            outcome = run(command, "run", path).succeeded()
            assert outcome.stdout == f"before behind {len(data)}\n"
    finally:
        path.unlink()


ENTRIES = 1000
EVERY_TENTH = 10
SHADOWED = [*range(0, ENTRIES - 1, 43), *range(EVERY_TENTH - 1, ENTRIES - 1, 130), ENTRIES - 1]

SEARCH = f"""\
import importlib, sys
path = sys.argv[2:]
if sys.argv[1] == "mmport":
    import mmport
    for entry in path:
        if entry.endswith(".zip"):
            mmport.install(entry)
            sys.path.remove(f"{{entry}}/")
sys.path[:0] = path
for number in {SHADOWED}:
    for name in f"only_{{number}}", f"shared_{{number}}":
        module = importlib.import_module(name)
        place = path.index(module.__file__.rsplit("/", 1)[0])
        served = type(module.__loader__).__name__ == "BundleImporter"
        if sys.argv[1] == "mmport":
            assert served == path[place].endswith(".zip"), module
        print(name, place, module.VALUE)
"""


def test_bundles_among_a_thousand_path_entries(run: Runner, tmp_path: Path) -> None:
    """Each module comes from the first entry that has it, as without mmport."""
    path = []
    for number in range(ENTRIES):
        # What is shared is in the next entry, too, and in the last.
        shared = {number, number - 1, *(SHADOWED if number == ENTRIES - 1 else ())}
        files = {f"shared_{it}.py": f"VALUE = {number}\n" for it in shared}
        files[f"only_{number}.py"] = f"VALUE = {number}\n"
        place = tmp_path / f"entry_{number}"
        if number % EVERY_TENTH == EVERY_TENTH - 1:
            place = place.with_suffix(".zip")
            with zipfile.ZipFile(place, "w") as archive:
                for name, text in files.items():
                    archive.writestr(name, text)
        else:
            write_files(place, files)
        path.append(str(place))
    search = [sys.executable, "-c", SEARCH]
    served = run(*search, "mmport", *path).succeeded()
    assert served == run(*search, "plain", *path).succeeded()
    expected = [f"{kind}_{it} {it} {it}" for it in SHADOWED for kind in ("only", "shared")]
    assert served.stdout.splitlines() == expected


IMPORTS = 2000

IMPORTING = f"""\
import importlib, sys
names = [f"package_{{number // 20}}.module_{{number}}" for number in range({IMPORTS})]
print(sum(importlib.import_module(name).f(1) for name in names))
ours = {{name: module for name, module in sys.modules.items() if name.startswith("package_")}}
print(len(ours))
print(len({{module.__file__ for module in ours.values()}}))
print(*sorted({{module.__name__ for module in ours.values()}} ^ set(ours)))
"""


def test_a_program_of_many_imports(application: Callable[..., Application]) -> None:
    """Each module is there once, and says the same as from files."""
    files = {
        f"package_{number // 20}/module_{number}.py": f"def f(x):\n    return x + {number}\n"
        for number in range(IMPORTS)
    }
    packages = {f"package_{number}/__init__.py": "" for number in range(IMPORTS // 20)}
    program = application({"__main__.py": IMPORTING, **packages, **files})
    bundled = program.bundled().succeeded()
    assert bundled == program.plain().succeeded()
    modules = IMPORTS + IMPORTS // 20
    total = sum(range(IMPORTS)) + IMPORTS
    assert bundled.stdout == f"{total}\n{modules}\n{modules}\n\n"

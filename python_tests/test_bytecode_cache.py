"""The cache of code objects: for which programs, under which switches, and where it is."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from code_cache import Cached, Start, many_modules, write_zip
from conftest import Build
from pythons import find_pythons
from support import Runner, files_below, write_files

MODULES = {
    "application/__init__.py": "from .inner import answer\n",
    "application/inner.py": "'''What it says.'''\n\n\ndef answer():\n    '''Say it.'''\n"
    "    assert print('asserted') is None\n    return [x * 2 for x in (1, 2)]\n",
    "application/late.py": "class Late:\n    value = (lambda: 'late')()\n",
    "application/main.py": "import application.late, application.inner as inner\n"
    "print(application.answer(), application.late.Late.value, __debug__)\n"
    "print(inner.__doc__, inner.answer.__doc__)\n",
}
NAMES = ["application", "application.inner", "application.late", "application.main"]
MAIN = {"__main__.py": "import application.main\n"}


@pytest.fixture
def plain_zip(tmp_path: Path) -> Path:
    """Return a program in a zip without any bytecode."""
    return write_zip(tmp_path / "plain.zip", MAIN | MODULES)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return the same modules as files."""
    return write_files(tmp_path / "tree", MODULES)


def served_twice(first: Start, second: Start, names: list[str], expected: str) -> None:
    """The second start compiles nothing, and does the same."""
    assert first.outcome.succeeded().stdout == expected
    assert first.outcome.stderr == ""
    assert (first.hits, first.misses) == ([], names)
    assert second.outcome == first.outcome
    assert (second.hits, second.misses) == (names, [])
    assert second.keys == first.keys
    assert [*first.warnings, *second.warnings] == []


def said_plainly(tree: Path, run: Runner, *options: str) -> str:
    """Return what the plain interpreter prints."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import application.main"
    return run(sys.executable, *options, "-c", code, tree).succeeded().stdout


@pytest.mark.parametrize("level", ["", "1", "2"])
@pytest.mark.parametrize("command", ["native", "pip"])
def test_a_plain_zip(
    command: str,
    level: str,
    plain_zip: Path,
    tree: Path,
    cached: Cached,
    pip_mmport: Path,
    run: Runner,
) -> None:
    """A program that somebody has zipped, under `-O` and `-OO` too."""
    expected = said_plainly(tree, run, *(["-" + "O" * int(level)] if level else []))
    program = cached.mmport if command == "native" else pip_mmport
    starts = [cached(program, "run", plain_zip, PYTHONOPTIMIZE=level) for _ in range(2)]
    served_twice(starts[0], starts[1], sorted(["__main__", *NAMES]), expected)
    tag = sys.implementation.cache_tag + (f".opt-{level}" if level else "")
    assert {path.parent.name for path in cached.packs()} == {tag}


def test_what_is_compiled_otherwise_is_compiled_again(plain_zip: Path, cached: Cached) -> None:
    """With and without `-O` are two entries, and neither disturbs the other."""
    first = cached.run(plain_zip)
    optimized = cached.run(plain_zip, PYTHONOPTIMIZE="1")
    assert optimized.hits == []
    assert not set(optimized.keys.values()) & set(first.keys.values())
    for variables in {}, {"PYTHONOPTIMIZE": "1"}:
        assert cached.run(plain_zip, **variables).misses == []


@pytest.mark.parametrize("options", [(), ("-O",), ("-OO",)], ids=" ".join)
@pytest.mark.parametrize("kind", ["wheel", "tree"])
def test_what_the_package_serves(
    kind: str, options: tuple[str, ...], tree: Path, cached: Cached, run: Runner, tmp_path: Path
) -> None:
    """A wheel and a directory of sources, by `mmport.install`."""
    place = tree
    if kind == "wheel":
        metadata = {"application-1.0.dist-info/METADATA": "Name: application\nVersion: 1.0\n"}
        place = write_zip(tmp_path / "application-1.0-py3-none-any.whl", MODULES | metadata)
    starts = [cached.serve(place, "application.main", *options) for _ in range(2)]
    served_twice(starts[0], starts[1], NAMES, said_plainly(tree, run, "-B", *options))
    assert list(tree.rglob("*.pyc")) == []


def test_zip_importer(plain_zip: Path, tree: Path, cached: Cached, run: Runner) -> None:
    """`mmport.ZipImporter` where `zipimport` would be."""
    code = (
        "import sys, mmport\nsys.path_hooks.insert(0, mmport.ZipImporter)\n"
        "sys.path.insert(0, sys.argv[1])\nimport application.main\n"
        "assert type(application.main.__loader__) is mmport.ZipImporter\n"
    )
    starts = [cached(sys.executable, "-c", code, plain_zip) for _ in range(2)]
    # `zipimport` makes the code twice: its `find_spec` asks for the path, which is the code's.
    served_twice(starts[0], starts[1], NAMES, said_plainly(tree, run))


def test_a_bundle_of_another_python(
    build: Build, base_python: Path, tree: Path, cached: Cached, run: Runner
) -> None:
    """Its bytecode is of no use here, and so its sources are compiled once."""
    others = [python for python in find_pythons() if python.version[:2] != sys.version_info[:2]]
    if not others:
        pytest.skip("this machine has one Python only")
    bundle = build("--source", tree, "--python", others[0].executable)
    starts = [cached.serve(bundle, "application.main") for _ in range(2)]
    served_twice(starts[0], starts[1], NAMES, said_plainly(tree, run))
    own = build("--source", tree, "--python", base_python)
    assert cached.serve(own, "application.main").asked == []


SWITCHES = [
    ((), {"PYTHONDONTWRITEBYTECODE": "1"}, True),
    (("-B",), {}, True),
    ((), {"MMPORT_NO_CACHE": "1"}, False),
]


@pytest.mark.parametrize(("options", "variables", "reads"), SWITCHES, ids=["variable", "B", "off"])
@pytest.mark.parametrize("kind", ["zip", "tree"])
def test_nothing_is_kept_where_that_is_asked_for(
    kind: str,
    options: tuple[str, ...],
    variables: Mapping[str, str],
    reads: bool,
    plain_zip: Path,
    tree: Path,
    cached: Cached,
) -> None:
    """Nothing at all is written; what is there is used, unless that is switched off too."""
    place = plain_zip if kind == "zip" else tree
    without = cached.serve(place, "application.main", *options, **variables)
    assert without.misses == (NAMES if reads else [])
    assert not cached.root.exists()
    expected = cached.serve(place, "application.main")
    before = files_below(cached.root)
    again = cached.serve(place, "application.main", *options, **variables)
    assert again.outcome == without.outcome == expected.outcome
    assert again.hits == (NAMES if reads else [])
    assert files_below(cached.root) == before


def test_no_cache_of_the_command_line(plain_zip: Path, cached: Cached, pip_mmport: Path) -> None:
    """`run --no-cache` neither keeps nor uses anything."""
    expected = cached.run(plain_zip)
    before = cached.packs()
    for program in cached.mmport, pip_mmport:
        start = cached(program, "run", "--no-cache", plain_zip)
        assert (start.outcome, start.asked) == (expected.outcome, [])
    assert cached.packs() == before


@pytest.mark.parametrize("begins", ["True", "False"])
def test_programs_that_change_their_mind(begins: str, tree: Path, cached: Cached) -> None:
    """`sys.dont_write_bytecode` counts at the moment of the import, as it does for `.pyc` files."""
    code = (
        f"import sys, mmport\nmmport.install(sys.argv[1])\nsys.dont_write_bytecode = {begins}\n"
        f"import application.inner\nsys.dont_write_bytecode = not {begins}\n"
        "import application.late\n"
    )
    cached(sys.executable, "-c", code, tree).outcome.succeeded()
    kept = {"application", "application.inner"} if begins == "False" else {"application.late"}
    assert {code["module"] for code in cached.told("list")} == kept


@pytest.mark.skipif(sys.version_info < (3, 11), reason="columns came with 3.11")
@pytest.mark.parametrize("way", ["option", "variable"])
def test_columns_are_part_of_what_is_asked_for(way: str, tmp_path: Path, cached: Cached) -> None:
    """`-X no_debug_ranges` gets code without columns, also where code with them is there."""
    files = {"application/__init__.py": "", "application/main.py": "value = 1 + (2 / 0)\n"}
    tree = write_files(tmp_path / "fails", files)
    options = ["-X", "no_debug_ranges"] if way == "option" else []
    variables = {} if way == "option" else {"PYTHONNODEBUGRANGES": "1"}
    with_columns = cached.serve(tree, "application.main")
    without = cached.serve(tree, "application.main", *options, **variables)
    assert without.hits == []
    assert "~~^~~" in with_columns.outcome.stderr
    assert "~~^~~" not in without.outcome.stderr
    assert cached.serve(tree, "application.main").outcome == with_columns.outcome
    again = cached.serve(tree, "application.main", *options, **variables)
    assert (again.outcome, again.misses) == (without.outcome, [])


def test_where_it_is(plain_zip: Path, cached: Cached, tmp_path: Path) -> None:
    """`MMPORT_ROOT`, then `XDG_CACHE_HOME`, then the home directory; else there is none."""
    variables = {
        "MMPORT_ROOT": str(tmp_path / "chosen"),
        "XDG_CACHE_HOME": str(tmp_path / "caches"),
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "temporary"),
        "XDG_RUNTIME_DIR": "",
    }
    os.mkdir(variables["TMPDIR"])
    places = [tmp_path / "chosen", tmp_path / "caches" / "mmport", tmp_path / "home/.cache/mmport"]
    for number, (name, place) in enumerate(zip([*variables][:3], places, strict=True)):
        start = cached.run(plain_zip, **variables)
        assert len(start.misses) == len(NAMES) + 1
        assert cached.run(plain_zip, **variables).misses == []
        assert cached.command("dir", **variables).succeeded().stdout == f"{place}\n"
        found = [place for place in places if place.joinpath("bytecode-v1").is_dir()]
        assert found == places[: number + 1]
        variables[name] = ""
    nowhere = cached.run(plain_zip, **variables)
    assert nowhere.outcome == start.outcome
    assert nowhere.asked == []
    assert cached.command("dir", **variables).status == 125


@pytest.mark.parametrize("value", ["512 apples", "-1", "much"])
def test_a_size_that_is_none(value: str, plain_zip: Path, cached: Cached) -> None:
    """It costs a line in the log, and the default counts."""
    first = cached.run(plain_zip, MMPORT_BYTECODE_SIZE=value)
    assert first.outcome.succeeded().stderr == ""
    assert len(first.warnings) == 1
    assert value in first.warnings[0]
    assert cached.run(plain_zip).misses == []


def test_no_room_at_all(plain_zip: Path, cached: Cached) -> None:
    """With a limit of nothing, nothing stays."""
    for _ in range(2):
        assert cached.run(plain_zip, MMPORT_BYTECODE_SIZE="0B").hits == []
        assert cached.packs() == []


def test_uninstall(tree: Path, cached: Cached) -> None:
    """Afterwards the sources are CPython's to load, and a second installation serves them."""
    code = """\
import sys, mmport, importlib
mmport.install(sys.argv[1])
import application.inner
mmport.uninstall()
sys.path.append(sys.argv[1])
import application.late
print(type(application.inner.__loader__).__name__, type(application.late.__loader__).__name__)
for name in [name for name in sys.modules if name.startswith("application")]:
    del sys.modules[name]
mmport.install(sys.argv[1])
import application.late
print(type(application.late.__loader__).__name__)
"""
    start = cached(sys.executable, "-c", code, tree)
    said = "SourceTreeLoader SourceFileLoader\nSourceTreeLoader\n"
    assert start.outcome.succeeded().stdout == said
    assert start.misses == ["application", "application.inner", "application.late"]
    assert start.hits == ["application", "application.inner"]


def test_reload(tmp_path: Path, cached: Cached) -> None:
    """Reloading takes what is there now, and what it is called for is kept."""
    place = write_files(tmp_path / "tree", {"changing.py": "value = 1\n"})
    code = """\
import sys, mmport, importlib
mmport.install(sys.argv[1])
import changing
values = [changing.value, importlib.reload(changing).value]
for value in 2, 1, 3:
    open(changing.__file__, "w").write(f"value = {value}\\n")
    values.append(importlib.reload(changing).value)
open(changing.__file__, "w").write("value = 1\\n")
print(values)
"""
    starts = [cached(sys.executable, "-c", code, place) for _ in range(2)]
    assert starts[0].outcome.succeeded().stdout == "[1, 1, 2, 1, 3]\n"
    assert len(set(starts[0].keys.values())) == 1
    assert len({asked.key for asked in starts[0].asked}) == len(starts[0].misses) == 3
    assert starts[1].outcome == starts[0].outcome
    assert (len(starts[1].hits), starts[1].misses) == (5, [])


THREADS = """\
import importlib, sys, threading, mmport
mmport.install(sys.argv[1])
names = [f"many.m{number}" for number in range(40)]
barrier = threading.Barrier(8)
results = []


def work(shift):
    barrier.wait()
    order = names[shift * 5 :] + names[: shift * 5]
    values = [importlib.import_module(name).C().value()[1] for name in order]
    results.append(sum(values))


threads = [threading.Thread(target=work, args=(shift,)) for shift in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(results)
"""


@pytest.mark.parametrize("kind", ["zip", "tree"])
def test_threads_that_import_at_once(kind: str, tmp_path: Path, cached: Cached) -> None:
    """Each module is compiled once, and all are there for the next start."""
    files = many_modules(40)
    place = write_zip(tmp_path / "many.zip", files)
    if kind == "tree":
        place = write_files(tmp_path / "many", files)
    first, second = (cached(sys.executable, "-c", THREADS, place) for _ in range(2))
    assert first.outcome.succeeded().stdout == f"{[sum(range(40))] * 8}\n"
    assert len(first.misses) == len(set(first.misses)) == 41
    assert (second.outcome, second.misses) == (first.outcome, [])
    assert cached.is_sound()


FORKS = """\
import importlib, os, sys, mmport
mmport.install(sys.argv[1])
import many.m0
children = []
for number in range(1, 9):
    child = os.fork()
    if not child:
        importlib.import_module(f"many.m{number}")
        if number % 2:
            os._exit(0)
        break
    children.append(child)
    importlib.import_module(f"many.m{number + 20}")
else:
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    print(statuses, sorted(name for name in sys.modules if name.startswith("many.")))
"""
POOL = """\
import importlib, multiprocessing, sys, threading, mmport
mmport.install(sys.argv[1])
import many.m0


def load(name):
    return importlib.import_module(name).C().value()[1]


stop = threading.Event()


def keep_importing():
    for number in range(20, 40):
        load(f"many.m{number}")


thread = threading.Thread(target=keep_importing)
thread.start()
with multiprocessing.get_context("fork").Pool(4) as pool:
    print(sum(pool.map(load, [f"many.m{number}" for number in range(20)], 1)))
    pool.close()
    pool.join()
thread.join()
"""


@pytest.mark.parametrize("program", [FORKS, POOL], ids=["fork", "multiprocessing"])
def test_children_that_compile(program: str, tmp_path: Path, cached: Cached) -> None:
    """Parent and children each keep what they compile, however the children end."""
    place = write_files(tmp_path / "many", many_modules(40))
    options = ["-W", "ignore::DeprecationWarning"]  # what 3.12 says of forks beside threads
    first = cached(sys.executable, *options, "-c", program, place)
    assert first.outcome.succeeded().stderr == ""
    assert first.warnings == []
    assert len(first.misses) > 10
    kept = {code["module"] for code in cached.told("list")}
    assert kept == set(first.misses)
    second = cached(sys.executable, *options, "-c", program, place)
    assert (second.outcome, second.misses) == (first.outcome, [])
    assert cached.is_sound()


def test_a_cache_is_made_for_its_owner_alone(plain_zip: Path, cached: Cached) -> None:
    """Nobody else can look into it or add to it, whatever the umask is."""
    command = 'umask 0 && exec "$@"'
    cached("sh", "-c", command, "sh", cached.mmport, "run", plain_zip).outcome.succeeded()
    (pack,) = cached.packs()
    modes = {path.name: path.stat().st_mode & 0o777 for path in (pack, *pack.parents[:3])}
    assert modes.pop(pack.name) == 0o600
    assert set(modes.values()) == {0o700}

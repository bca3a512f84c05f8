"""The standard library from what is remembered of it: the same as from its files, and never stale.

What other processes do to files is tried on directories of the test's own. They are named as the
directory of extension modules is, which some distributions have elsewhere than in the standard
library; so they count as one.
"""

from __future__ import annotations

import os
import py_compile
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Application
from support import Names, Outcome, Word, write_files

SETTLED = 3.5
"""Seconds after which no change can leave the time stamps of a file as they were."""

NAMES = "json json.decoder logging.handlers asyncio xml.dom.minidom decimal fractions html.parser "
NAMES += "email.mime.text urllib.request concurrent.futures.thread importlib.resources sqlite3 "
NAMES += "traceback re ctypes unittest.mock _json _decimal _ctypes wsgiref zoneinfo"

LOOK = """
import sys
def looked_at(name):
    module = sys.modules[name]
    spec, loader = module.__spec__, module.__loader__
    print(name, list(vars(module))[:9], module.__file__, getattr(module, '__cached__', None))
    print(sorted((key, str(value)) for key, value in vars(spec).items() if key != 'loader'))
    print(spec.cached, spec.parent, spec.has_location, getattr(module, '__path__', None))
    print(type(loader), sorted(vars(loader).items()), loader is spec.loader, module.__package__)
    print(loader == type(loader)(loader.name, loader.path))
    if hasattr(loader, 'get_code') and loader.get_code(name):
        code = loader.get_code(name)
        print(code.co_filename, len(code.co_code), loader.get_source(name)[:60])
    for value in list(vars(module).values()):
        if type(value) is type(looked_at) and value.__module__ == name:
            print(value.__code__.co_filename, value.__code__.co_firstlineno)
"""


Make = Callable[..., Application]


@pytest.fixture(scope="module", autouse=True)
def _settled() -> None:
    """Wait once: only what has not changed for a while is remembered."""
    time.sleep(SETTLED)


def both_ways(application: Application, **variables: str) -> tuple[Outcome, Outcome]:
    """Run it twice from the bundle, remembering and recalling, and once plainly."""
    names = Names(
        {application.bundle: "APP", application.folder: "APP"},
        {"0x[0-9a-f]+": "0x", r"/\S*/(tmp\w{8}/)": "/TEMPORARY/", "/tmp/tmp\\w{8}": "/TEMPORARY"},
    )
    first = application.bundled(**variables).named(names)
    second = application.bundled(**variables).named(names)
    assert first == second
    return second, application.plain(**variables).named(names)


def test_specs_are_those_of_cpython(application: Make) -> None:
    """Specs, loaders and modules have what CPython would have given them."""
    text = f"{LOOK}\nimport importlib\nnames = {NAMES.split()!r}\nfor name in names:\n"
    text += "    try:\n        importlib.import_module(name)\n    except ImportError:\n"
    text += "        print(name, 'is not there')\n    else:\n        looked_at(name)\n"
    bundled, plain = both_ways(application(text))
    assert bundled.stdout.splitlines() == plain.stdout.splitlines()
    assert bundled.succeeded() == plain
    assert "asyncio" in bundled.stdout


def calls_of(made: Application, calls: str, *command: Word, **variables: str) -> list[str]:
    """Return the calls to the operating system of a run, as strace shows them."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    trace = made.bundle.with_name("trace.txt")
    traced = made.run("strace", "-f", "-e", calls, "-o", trace, *command, **variables)
    if "ptrace" in traced.stderr:
        pytest.skip("strace may not trace here")
    traced.succeeded()
    return [line for line in trace.read_text().splitlines() if "(" in line]


def test_files_are_not_read_again(application: Make) -> None:
    """Once a module is remembered, neither its bytecode nor its source is opened."""
    made = application("import json, asyncio, email.mime.text, xml.dom.minidom, decimal\n")
    made.bundled()
    command = (made.mmport, "run", made.bundle)

    def opened(**variables: str) -> list[str]:
        return [
            call
            for call in calls_of(made, "openat", *command, **variables)
            if re.search(r"/lib/python3\.\d+/(json|asyncio|xml)/.*= \d", call)
        ]

    assert opened() == []
    assert len(opened(MMPORT_STANDARD_LIBRARY="files")) > 30


def test_a_module_costs_two_looks(application: Make) -> None:
    """What a further module costs: a look at its directory, and one at its source."""
    names = ("colorsys", "nturl2path", "netrc", "shlex", "cmd", "graphlib", "configparser")
    few = application("import json\n")
    many = application("import json, importlib\n" + f"for name in {names}:\n" + LOOP)
    for made in few, many:
        made.bundled().succeeded()
    file_calls = "%file,fstat,read,lseek"
    calls = [
        len(calls_of(made, file_calls, made.mmport, "run", made.bundle)) for made in (few, many)
    ]
    plain = [
        len(calls_of(made, file_calls, made.python, made.folder / "__main__.py"))
        for made in (few, many)
    ]
    # They import a few others.
    assert calls[1] - calls[0] < (plain[1] - plain[0]) / 3


LOOP = "    try:\n        importlib.import_module(name)\n    except ImportError:\n        pass\n"

# What a program changes, and what its imports have to be from then on.
CHANGED = {
    "no change": "",
    "a loader": "from importlib.machinery import SourceFileLoader\n"
    "former = SourceFileLoader.get_code\ndef get_code(self, name):\n"
    "    print('code of', name)\n    return former(self, name)\n"
    "SourceFileLoader.get_code = get_code\n",
    "what a loader inherits from": "import importlib._bootstrap_external as external\n"
    "former = external._LoaderBasics.exec_module\ndef exec_module(self, module):\n"
    "    print('executes', module.__name__)\n    return former(self, module)\n"
    "external._LoaderBasics.exec_module = exec_module\n",
    "a finder's type": "from importlib.machinery import FileFinder\n"
    "former = FileFinder.find_spec\ndef find_spec(self, name, target=None):\n"
    "    if self.path.endswith(('lib-dynload', '.' + str(sys.version_info[1]))):\n"
    "        print('looks for', name)\n"
    "    return former(self, name, target)\n"
    "FileFinder.find_spec = find_spec\n",
    "PathFinder": "from importlib.machinery import PathFinder\n"
    "former = PathFinder.find_spec\ndef find_spec(name, path=None, target=None):\n"
    "    print('looks for', name)\n    return former(name, path, target)\n"
    "PathFinder.find_spec = find_spec\n",
    "no PathFinder": "from importlib.machinery import PathFinder\n"
    "sys.meta_path.remove(PathFinder)\n",
    "a finder before PathFinder": "from importlib.machinery import PathFinder\nclass Finder:\n"
    "    @staticmethod\n    def find_spec(name, path=None, target=None):\n"
    "        print('asked for', name)\n"
    "sys.meta_path.insert(sys.meta_path.index(PathFinder), Finder)\n",
    "a finder behind it": "class Finder:\n    @staticmethod\n"
    "    def find_spec(name, path=None, target=None):\n        print('asked for', name)\n"
    "sys.meta_path.append(Finder)\n",
    "a finder of a directory": "import os\ndirectory = os.path.dirname(os.__file__)\n"
    "former = sys.path_importer_cache[directory]\nclass Finder:\n"
    "    def find_spec(self, name, target=None):\n        print('asked for', name)\n"
    "        return former.find_spec(name, target)\n"
    "sys.path_importer_cache[directory] = Finder()\n",
    "a finder itself": "import os\ndirectory = os.path.dirname(os.__file__)\n"
    "finder = sys.path_importer_cache[directory]\ndef find_spec(name, target=None):\n"
    "    print('asked for', name)\n    return type(finder).find_spec(finder, name, target)\n"
    "finder.find_spec = find_spec\n",
    "loaders of a finder": "import os\n"
    "del sys.path_importer_cache[os.path.dirname(os.__file__)]._loaders[-2:]\n",
    "a function of importlib's": "import importlib._bootstrap_external as external\n"
    "former = external.cache_from_source\ndef cache_from_source(path, *rest, **more):\n"
    "    return former(path, *rest, **{**more, 'optimization': 'mine'})\n"
    "external.cache_from_source = cache_from_source\nsys.dont_write_bytecode = True\n",
    "slashes": "import os\nsys.path.insert(0, os.path.dirname(os.__file__) + '//')\n",
    "a path hook": "from importlib.machinery import FileFinder, SourceFileLoader\n"
    "class Loader(SourceFileLoader):\n    def get_code(self, name):\n"
    "        print('code of', name)\n        return super().get_code(name)\n"
    "sys.path_hooks.insert(0, FileFinder.path_hook((Loader, ['.py'])))\n"
    "sys.path_importer_cache.clear()\n",
    "an audit hook": "events = []\n"
    "sys.addaudithook(lambda event, arguments: events.append(arguments[0]) "
    "if event == 'open' else None)\nimport atexit\n"
    "atexit.register(lambda: print(sum('colorsys' in str(it) for it in events)))\n",
    "another place for bytecode": "sys.pycache_prefix = '/none'\nsys.dont_write_bytecode = True\n",
    "no tag": "sys.implementation.cache_tag = None\n",
    "a directory before": "import os, tempfile\nplace = tempfile.mkdtemp()\n"
    "open(place + '/colorsys.py', 'w').write('print(\"mine\")')\nsys.path.insert(0, place)\n"
    "sys.dont_write_bytecode = True\n",
    "no paths": "sys.path[:] = [it for it in sys.path if 'python3' not in it]\n",
    "a package's path": "import json\njson.__path__.clear()\n",
    "lazy": "import importlib.util\nspec = importlib.util.find_spec('colorsys')\n"
    "print(sorted(vars(spec.loader)))\n"
    "loader = importlib.util.LazyLoader(spec.loader)\nspec.loader = loader\n"
    "module = importlib.util.module_from_spec(spec)\nsys.modules['colorsys'] = module\n"
    "loader.exec_module(module)\nprint(module.rgb_to_hls(0, 0, 0))\n",
    "copies": "import copy, pickle, json\nspec = pickle.loads(pickle.dumps(json.__spec__))\n"
    "print(spec == json.__spec__, copy.deepcopy(json.__loader__) == json.__loader__)\n",
    "reloading": "import json, importlib\nprint(importlib.reload(json) is json)\n",
    "names": "class Name(str): pass\nimport importlib\n"
    "print(importlib.import_module(Name('cmd')))\n",
    "missing": "for name in 'json.none', 'none', 'colorsys.none', 'json..x', '\\udc80':\n    try:\n"
    "        __import__(name)\n    except Exception as error:\n"
    "        print(type(error), ascii(str(error)), ascii(error.name), error.path)\n",
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_changed_import_system_is_asked(application: Make, name: str) -> None:
    """Whatever a program changes about finding and loading takes effect."""
    text = f"{LOOK}\nimport importlib\n{CHANGED[name]}\n"
    text += "for name in 'colorsys', 'json.tool', 'sched':\n"
    text += "    try:\n        importlib.import_module(name)\n        looked_at(name)\n"
    text += "    except ImportError as error:\n        print(repr(error))\n"
    bundled, plain = both_ways(application(text))
    assert bundled.stdout.splitlines() == plain.stdout.splitlines()
    assert bundled == plain


def test_verbose_python_tells_the_same(application: Make) -> None:
    """`-v` and `--check-hash-based-pycs` are CPython's business."""
    made = application("import colorsys\n")
    for _ in range(2):
        outcome = made.bundled(PYTHONVERBOSE="1")
        assert "matches" in outcome.stderr
        assert "colorsys" in outcome.stderr


PROBE = """
import sys
for name in {names}:
    try:
        module = __import__(name, fromlist=['x'])
    except BaseException as error:
        print(name, type(error).__name__, error, getattr(error, 'path', None))
        continue
    spec = module.__spec__
    print(name, getattr(module, 'VALUE', None), type(spec.loader).__name__, spec.origin)
    print(spec.cached, list(spec.submodule_search_locations or []))
"""

TREE = {
    "plain.py": "VALUE = 'first'\n",
    "pkg/__init__.py": "VALUE = 'pkg'\n",
    "pkg/inner.py": "VALUE = 'inner'\n",
    "pkg/sub/__init__.py": "VALUE = 'sub'\n",
    "pkg/sub/leaf.py": "VALUE = 'leaf'\n",
    "space/portion.py": "VALUE = 'portion'\n",
    "both.py": "VALUE = 'module'\n",
    "bare": "no directory\n",
}
PROBED = ["plain", "pkg", "pkg.inner", "pkg.sub.leaf", "pkg.new", "space.portion", "both", "new"]
PROBED += ["bare", "both.part", "plain_link"]


def edit(path: Path, text: str) -> None:
    """Write another content of the same size, with the same modification time."""
    before = path.stat()
    assert len(text) == before.st_size
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def bytecode_of(source: Path) -> str:
    """Return where the bytecode of a source is."""
    return str(next((source.parent / "__pycache__").glob(f"{source.stem}.*")))


def replace(path: Path, text: str) -> None:
    """Put another file in its place, with the same size and modification time."""
    before = path.stat()
    other = path.with_name("other.tmp")
    other.write_text(text)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(path)


def set_back(path: Path, text: str) -> None:
    """Write another content, as if an hour before."""
    path.write_text(text)
    os.utime(path, (time.time() - 3600, time.time() - 3600))


def keep_time(directory: Path, change: Callable[[], object]) -> None:
    """Change a directory, and give it the modification time that it had."""
    before = directory.stat()
    change()
    os.utime(directory, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "nothing": lambda place: None,
    "touched": lambda place: (place / "plain.py").touch(),
    "edited alike, bytecode removed": lambda place: (
        edit(place / "plain.py", "VALUE = 'other'\n"),
        shutil.rmtree(place / "__pycache__"),
    ),
    "other bytecode": lambda place: (
        edit(place / "plain.py", "VALUE = 'other'\n"),
        py_compile.compile(str(place / "plain.py"), cfile=bytecode_of(place / "plain.py")),
        edit(place / "plain.py", "VALUE = 'first'\n"),
    ),
    "edited": lambda place: (place / "plain.py").write_text("VALUE = 'another one'\n"),
    "edited alike": lambda place: edit(place / "plain.py", "VALUE = 'other'\n"),
    "replaced alike": lambda place: replace(place / "plain.py", "VALUE = 'other'\n"),
    "edited, set back": lambda place: set_back(place / "plain.py", "VALUE = 'past'\n"),
    "removed": lambda place: (place / "plain.py").unlink(),
    "made a directory": lambda place: (
        (place / "plain.py").unlink(),
        (place / "plain.py").mkdir(),
    ),
    "added": lambda place: (place / "new.py").write_text("VALUE = 'new'\n"),
    "added, time kept": lambda place: keep_time(
        place, lambda: (place / "new.py").write_text("VALUE = 'new'\n")
    ),
    "added to a package": lambda place: (place / "pkg/new.py").write_text("VALUE = 'new'\n"),
    "package edited": lambda place: (place / "pkg/__init__.py").write_text("VALUE = 'PKG'\n"),
    "package's module edited": lambda place: edit(place / "pkg/inner.py", "VALUE = 'INNER'\n"),
    "package's module removed": lambda place: (place / "pkg/inner.py").unlink(),
    "package without init": lambda place: (place / "pkg/__init__.py").unlink(),
    "package removed": lambda place: shutil.rmtree(place / "pkg"),
    "package moved away and another back": lambda place: (
        (place / "pkg").rename(place / "gone"),
        write_files(place / "pkg", {"__init__.py": "VALUE = 'moved'\n"}),
    ),
    "package becomes a link": lambda place: (
        (place / "pkg").rename(place / "gone"),
        write_files(place / "linked", {"__init__.py": "VALUE = 'linked'\n"}),
        (place / "pkg").symlink_to("linked"),
    ),
    "module becomes a package": lambda place: write_files(
        place / "both", {"__init__.py": "VALUE = 'package'\n", "part.py": "VALUE = 'part'\n"}
    ),
    "namespace becomes a package": lambda place: (place / "space/__init__.py").touch(),
    "file becomes a package": lambda place: (
        (place / "bare").unlink(),
        write_files(place / "bare", {"__init__.py": "VALUE = 'package'\n"}),
    ),
    "shadowed by an extension module": lambda place: (place / "plain.so").write_text("no library"),
    "shadowed in a package": lambda place: (place / "pkg/inner.abi3.so").write_text("no library"),
    "sourceless": lambda place: (place / "new.pyc").write_bytes(
        next((place / "__pycache__").glob("plain*")).read_bytes()
    ),
    "a link appears": lambda place: (place / "plain_link.py").symlink_to("plain.py"),
    "bytecode removed": lambda place: shutil.rmtree(place / "__pycache__"),
    "no right to read": lambda place: (place / "plain.py").chmod(0),
    "no right to look": lambda place: (place / "pkg").chmod(0),
    "syntax error": lambda place: (place / "plain.py").write_text("VALUE = (\n"),
    "raises": lambda place: (place / "plain.py").write_text("VALUE = 1\n1 / 0\n"),
    "two changes": lambda place: (
        edit(place / "plain.py", "VALUE = 'other'\n"),
        edit(place / "plain.py", "VALUE = 'third'\n"),
    ),
}


def test_changes_are_seen(application: Make, tmp_path: Path) -> None:
    """After each kind of change, a program finds what plain Python finds."""
    made = application(PROBE.format(names=PROBED))
    places: dict[tuple[str, str], Path] = {}
    for number, change in enumerate(CHANGES):
        for way in "bundled", "plain":
            place = tmp_path / way / str(number) / "lib-dynload"
            places[change, way] = write_files(place, TREE)
            for path in [*place.rglob("*"), place]:
                os.utime(path, ns=(10**18, 10**18 + 5))
    time.sleep(SETTLED)

    def run(change: str, way: str) -> Outcome:
        place = places[change, way]
        outcome = getattr(made, way)(PYTHONPATH=str(place))
        return outcome.named(Names({str(place): "PLACE"}))

    for change in CHANGES:
        assert run(change, "bundled").succeeded() == run(change, "plain"), change
    # What CPython has written into the directories, too, has to have settled.
    time.sleep(SETTLED)
    for change in CHANGES:
        run(change, "bundled")
    different = {}
    for name, change in CHANGES.items():
        for way in "bundled", "plain":
            change(places[name, way])
        for _ in range(2):
            bundled, plain = (run(name, way) for way in ("bundled", "plain"))
            if bundled != plain:
                different[name] = f"{bundled}\n{plain}"
    assert not different, "\n".join(f"== {name}\n{text}" for name, text in different.items())


def test_young_files_are_not_remembered(application: Make, tmp_path: Path) -> None:
    """A file that was just written may change without a trace."""
    made = application(PROBE.format(names=["plain"]))
    place = write_files(tmp_path / "lib-dynload", TREE)
    log = {"MMPORT_LOG": "mmport::bytecode=debug", "PYTHONPATH": str(place)}
    outcome = made.bundled(**log)
    assert "first" in outcome.stdout
    listed = made.run(made.mmport, "cache", "list").succeeded().stdout
    assert str(place) not in listed
    time.sleep(SETTLED)
    assert made.bundled(**log).stdout == outcome.stdout
    listed = made.run(made.mmport, "cache", "list").succeeded().stdout
    assert str(place / "plain.py") in listed


def test_tracebacks_are_the_same(application: Make, tmp_path: Path) -> None:
    """Errors while a module is executed show its lines and none of mmport's."""
    place = write_files(
        tmp_path / "lib-dynload",
        {"outer.py": "import failing\n", "failing.py": "def f():\n    1 / 0\n\nf()\n"},
    )
    time.sleep(SETTLED)
    made = application("import outer\n")
    names = Names({str(made.bundle): "APP", str(made.folder): "APP"})
    plain = made.plain(PYTHONPATH=str(place)).named(names)
    assert "ZeroDivisionError" in plain.stderr
    for _ in range(3):
        assert made.bundled(PYTHONPATH=str(place)).named(names) == plain


def test_errors_of_sources_are_the_same(application: Make, tmp_path: Path) -> None:
    """Errors while a source is read show the frames that plain Python shows."""
    place = write_files(
        tmp_path / "lib-dynload", {"text.py": b"x = '\xff'\n", "syntax.py": b"x = (\n"}
    )
    time.sleep(SETTLED)
    main = "import importlib, traceback\nfor name in 'text', 'syntax':\n    try:\n"
    main += "        importlib.import_module(name)\n    except Exception:\n"
    main += "        traceback.print_exc()\n"
    made = application(main)
    names = Names({str(made.bundle): "APP", str(made.folder): "APP"})
    plain = made.plain(PYTHONPATH=str(place)).named(names)
    assert "get_code" in plain.stderr
    for _ in range(2):
        assert made.bundled(PYTHONPATH=str(place)).named(names) == plain


def test_finders_go(application: Make) -> None:
    """Finders of directories that a program has done with are not kept."""
    text = "import gc, sys, tempfile, weakref\nfinders = []\nfor number in range(5):\n"
    text += "    with tempfile.TemporaryDirectory() as place:\n        sys.path.insert(0, place)\n"
    text += "        try:\n            __import__(f'none{number}')\n"
    text += "        except ImportError:\n            pass\n        sys.path.remove(place)\n"
    text += "        finders.append(weakref.ref(sys.path_importer_cache.pop(place)))\n"
    text += "gc.collect()\nprint([it() for it in finders])\n"
    bundled, plain = both_ways(application(text))
    assert bundled.succeeded() == plain


def test_damage_is_found(application: Make, tmp_path: Path) -> None:
    """Where the store is damaged, modules come from their files."""
    made = application("import json, asyncio\nprint(json.dumps([1]))\n")
    root = {"MMPORT_ROOT": str(tmp_path / "root")}
    expected = made.bundled(**root).succeeded()
    packs = list((tmp_path / "root").rglob("pack-*"))
    assert packs
    for pack in packs:
        data = bytearray(pack.read_bytes())
        for at in range(64, len(data) - 64, 97):
            data[at] ^= 0x55
        pack.write_bytes(data)
    assert made.bundled(**root).stdout == expected.stdout

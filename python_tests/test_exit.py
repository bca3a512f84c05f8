"""The end of a process: what a program can see of it happens, with or without finalization."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Application, Build, VenvOf
from support import Outcome, Runner, write_files

LOG = "mmport::exit=debug"
FINALIZED = "the interpreter is finalized"

# What has an effect at the end, so that the interpreter has to be finalized; by what is told.
SEEN = {
    "del": ("class A:\n    def __del__(self): print('gone')\na = A()\n", "`A`"),
    "cycle": (
        "class A:\n    def __del__(self): print('gone')\na = A()\na.a = a\ndel a\n",
        "`A`",
    ),
    "slots": (
        "class A:\n    __slots__ = ()\n    def __del__(self): print('gone')\na = A()\n",
        "`A`",
    ),
    "module": (
        "import types\nclass M(types.ModuleType):\n    def __del__(self): print('gone')\n"
        "m = M('m')\n",
        "`M`",
    ),
    "metaclass": (
        "class M(type):\n    def __del__(self): print('gone')\nclass A(metaclass=M): pass\n",
        "`M`",
    ),
    "file": ("file = open('written', 'w')\nfile.write('text')\n", "`_io."),
    "binary": ("file = open('written', 'wb')\nfile.write(b'text')\n", "`_io."),
    "duplicate": (
        "import os\nfile = open(os.dup(1), 'w')\nfile.write('text')\n",
        "`_io.",
    ),
    "gzip": ("import gzip\nfile = gzip.open('written', 'w')\nfile.write(b'text')\n", "`GzipFile`"),
    "zip": (
        "import zipfile\nfile = zipfile.ZipFile('written', 'w')\nfile.writestr('a', 'text')\n",
        "`ZipFile`",
    ),
    "generator": (
        "def g():\n    try:\n        yield\n    finally:\n        print('closed')\n"
        "g = g()\nnext(g)\n",
        "`generator`",
    ),
    "coroutine": ("async def c(): pass\nc = c()\n", "`coroutine`"),
    "async generator": ("async def g(): yield\ng = g()\n", "`async_generator`"),
    "context": (
        "import contextlib\n@contextlib.contextmanager\ndef c():\n    yield\n    print('left')\n"
        "c = c()\nc.__enter__()\n",
        "`generator`",
    ),
    "weak reference": (
        "import weakref\nclass A: pass\na = A()\nr = weakref.ref(a, lambda _: print('gone'))\n",
        "`weakref.ReferenceType`",
    ),
    "weak proxy": (
        "import weakref\nclass A: pass\na = A()\nr = weakref.proxy(a, lambda _: print('gone'))\n",
        "`weakref.ProxyType`",
    ),
    "weak reference with an object": (
        "import weakref\nclass A: pass\nclass C:\n    def __call__(self, _): pass\n"
        "    def __getattr__(self, name):\n        print('asked', name)\n"
        "        raise AttributeError(name)\na = A()\nr = weakref.ref(a, C())\n",
        "`weakref.ReferenceType`",
    ),
    "weak reference of a class": (
        "import weakref\nclass R(weakref.ref): pass\nclass A: pass\na = A()\n"
        "r = R(a, lambda _: print('gone'))\n",
        "`R`",
    ),
    "weak method": (
        "import weakref\nclass A:\n    def f(self): pass\na = A()\n"
        "r = weakref.WeakMethod(a.f, lambda _: print('gone'))\n",
        "`WeakMethod`",
    ),
    "collector": (
        "import gc\ngc.callbacks.append(lambda phase, info: print(phase))\n",
        "gc.callbacks is not empty",
    ),
    "debugging": ("import gc\ngc.set_debug(gc.DEBUG_STATS)\n", "gc.get_debug() is not 0"),
    "frozen": (
        "import gc\nclass A:\n    def __del__(self): print('gone')\na = A()\ngc.freeze()\n",
        "gc.get_freeze_count() is not 0",
    ),
    "standard output": (
        "import sys\nclass S:\n    def write(self, t): return len(t)\n"
        "    def flush(self, done=[]):\n"
        "        done or done.append(sys.__stdout__.write('flushed'))\n"
        "sys.stdout = S()\n",
        "sys.stdout was replaced",
    ),
    "detached": (
        "import sys\nbuffer = sys.stdout.detach()\nbuffer.write(b'text')\n",
        "ValueError",
    ),
    "closed": ("import sys\nsys.stdout.close()\n", "sys.stdout is no open TextIOWrapper"),
    "warnings": (
        "import os, warnings\nwarnings.simplefilter('default')\nscan = os.scandir('.')\n",
        "a filter shows `ResourceWarning`",
    ),
    "no filters": (
        "import os, warnings\nwarnings.resetwarnings()\nscan = os.scandir('.')\n",
        "no filter ignores `ResourceWarning`",
    ),
    "socket": ("import socket\ns = socket.socket()\n", "`socket`"),
    "process": (
        "import subprocess, sys\np = subprocess.Popen([sys.executable, '-c', ''])\np.wait()\n",
        "`Popen`",
    ),
    "temporary": (
        "import tempfile\nf = tempfile.NamedTemporaryFile(dir='.')\nf.write(b'x')\n",
        "`",
    ),
    "database": (
        "import sqlite3\nc = sqlite3.connect('data')\nc.execute('pragma journal_mode=wal')\n"
        "c.execute('create table t (a)')\nc.execute('insert into t values (7)')\nc.commit()\n",
        "`sqlite3.Connection`",
    ),
    "made at exit": (
        "import atexit\nclass A:\n    def __del__(self): print('gone')\n"
        "atexit.register(lambda: globals().update(a=A()))\n",
        "`A`",
    ),
    "event loop": ("import asyncio\nloop = asyncio.new_event_loop()\n", "`"),
    "daemon": (
        "import threading, time\nt = threading.Thread(target=time.sleep, args=(60,))\n"
        "t.daemon = True\nt.start()\n",
        "there are other threads",
    ),
    "daemon that runs": (
        "import itertools, threading\n"
        "def f():\n    for _ in itertools.count():\n        pass\n"
        "threading.Thread(target=f, daemon=True).start()\n",
        "there are other threads",
    ),
    "tests of CPython": ("import _testcapi\n", "`_testcapi` is imported"),
}

# What is done without finalizing.
UNSEEN = {
    "nothing": "",
    "exit handlers": "import atexit\nfor n in 'one', 'two':\n    atexit.register(print, n)\n",
    "exit handlers without the module": "import atexit, sys\natexit.register(print, 'handled')\n"
    "del sys.modules['atexit']\n",
    "replaced import": "import builtins\ntrue = builtins.__import__\n"
    "def hook(name, *rest, **more):\n    print('import', name)\n"
    "    return true(name, *rest, **more)\nbuiltins.__import__ = hook\n",
    "failing exit handler": "import atexit\natexit.register(lambda: 1 / 0)\n",
    "exit in exit handler": "import atexit, sys\natexit.register(lambda: sys.exit(9))\n",
    "thread": "import threading, time\ndef f():\n    time.sleep(0.2)\n    print('done')\n"
    "threading.Thread(target=f).start()\n",
    "pool": "import concurrent.futures as c\nwith c.ThreadPoolExecutor(2) as p:\n"
    "    print(list(p.map(abs, [-1])))\n",
    "buffered": "import sys\nsys.stdout.write('no end')\nsys.stderr.write('neither')\n",
    "finalize": "import weakref\nclass A: pass\na = A()\nweakref.finalize(a, print, 'finalized')\n",
    "weak dictionaries": "import weakref\nclass A: pass\na = A()\n"
    "d = weakref.WeakKeyDictionary({a: 1})\ne = weakref.WeakValueDictionary({1: a})\n"
    "s = weakref.WeakSet([a])\n",
    "weak method": "import weakref\nclass A:\n    def f(self): pass\na = A()\n"
    "r = weakref.WeakMethod(a.f)\n",
    "closed file": "f = open('written', 'w')\nf.write('text')\nf.close()\n",
    "finished generator": "g = (x for x in ())\nlist(g)\n",
    "generator that was not started": "def g():\n    try:\n        yield\n    finally:\n"
    "        print('closed')\ng = g()\n",
    "ignored warnings": "import warnings\nwarnings.filterwarnings('ignore', message='x')\n",
    "directory": "import os\nscan = os.scandir('.')\nnext(scan)\n",
    "other warnings": "import warnings\nwarnings.simplefilter('error', DeprecationWarning)\n",
    "in memory": "import io\na, b = io.BytesIO(b'x'), io.StringIO('x')\n",
    "many modules": "import argparse, asyncio, email, http.client, json, logging, ssl, xml.dom\n",
    "number": "import sys\nsys.exit(7)\n",
    "large number": "import sys\nsys.exit(2 ** 70 + 3)\n",
    "negative number": "import sys\nsys.exit(-3)\n",
    "true": "import sys\nsys.exit(True)\n",
    "error": "raise ValueError('told')\n",
    "exit handler of C": "import ctypes\nlibc = ctypes.CDLL(None)\n"
    "text = ctypes.create_string_buffer(b'from C')\n"
    "libc.__cxa_atexit(libc.puts, text, None)\nprint('main')\n",
}


def comparable(it: Application, text: str) -> str:
    """Return output without what differs from process to process."""
    return re.sub(r" at 0x[0-9a-f]+", "", text.replace(str(it.bundle), str(it.folder)))


def told(it: Application, **variables: str) -> tuple[Outcome, str]:
    """Return what a program came to, and what is said of its end."""
    outcome = it.bundled(MMPORT_LOG=LOG, **variables)
    lines = outcome.stderr.splitlines(keepends=True)
    own = [line for line in lines if "mmport::exit" in line]
    theirs = "".join(line for line in lines if "mmport::exit" not in line)
    return Outcome(outcome.status, outcome.stdout, theirs), "".join(own)


def written(folder: Path) -> bytes | None:
    """Return what a program has written, and forget it."""
    path = folder / "written"
    content = path.read_bytes() if path.exists() else None
    path.unlink(missing_ok=True)
    return content


def without_time(content: bytes | None, name: str) -> bytes | None:
    """Return content without the time that is in it."""
    return content and (content[8:] if name == "gzip" else content)


@pytest.mark.parametrize("name", SEEN)
def test_what_is_seen(name: str, application: Callable[..., Application]) -> None:
    """What has an effect has it: the interpreter is finalized."""
    main, reason = SEEN[name]
    it = application(main)
    outcome, own = told(it)
    content = written(it.run.cwd)
    if name != "cycle":  # Looking at all objects may have collected it.
        assert FINALIZED in own
        assert reason in own
    if name == "database":
        assert not (it.run.cwd / "data-wal").exists()
        with contextlib.closing(sqlite3.connect(it.run.cwd / "data")) as database:
            assert database.execute("select * from t").fetchall() == [(7,)]
        (it.run.cwd / "data").unlink()
    expected = it.plain()
    plain = written(it.run.cwd)
    assert outcome.status == expected.status
    assert outcome.stdout == expected.stdout
    (it.run.cwd / "data").unlink(missing_ok=True)
    if name != "debugging":  # Numbers of objects.
        finalized, _ = told(it, MMPORT_EXIT="finalize")
        assert comparable(it, outcome.stderr) == comparable(it, finalized.stderr)
    if name != "zip":  # It has the time in it, and a checksum over nothing else.
        assert without_time(content, name) == without_time(plain, name)
    assert (content is None) == (plain is None)


@pytest.mark.parametrize("name", UNSEEN)
def test_what_is_not_seen(name: str, application: Callable[..., Application]) -> None:
    """Everything else comes to the same without finalizing."""
    it = application(UNSEEN[name])
    outcome, own = told(it)
    content = written(it.run.cwd)
    expected = it.plain()
    assert own == ""
    assert outcome.status == expected.status
    assert outcome.stdout == expected.stdout
    assert content == written(it.run.cwd)
    finalized, _ = told(it, MMPORT_EXIT="finalize")
    by_option = it.run(it.mmport, "run", "--exit", "finalize", it.bundle)
    assert (by_option.status, by_option.stdout) == (outcome.status, outcome.stdout)
    assert (finalized.status, finalized.stdout) == (outcome.status, outcome.stdout)
    assert comparable(it, finalized.stderr) == comparable(it, outcome.stderr)


@pytest.mark.parametrize(
    "variables",
    [{"PYTHONVERBOSE": "1"}, {"PYTHONDEVMODE": "1"}, {"PYTHONMALLOCSTATS": "1"}],
    ids=str,
)
def test_settings(variables: dict[str, str], application: Callable[..., Application]) -> None:
    """Who asks to see the end sees it."""
    outcome, own = told(application("print('main')"), **variables)
    assert FINALIZED in own
    assert outcome.stdout == "main\n"


def test_full_disk(application: Callable[..., Application]) -> None:
    """A standard output that cannot be flushed is status 120, told as by CPython."""
    it = application("print('text')")
    shell = 'exec "$@" >/dev/full'
    found = it.run("sh", "-c", shell, "sh", it.mmport, "run", it.bundle)
    expected = it.run("sh", "-c", shell, "sh", it.python, it.folder / "__main__.py")
    assert found.status == expected.status == 120
    assert found.stderr == expected.stderr


def test_extension_modules_of_others(application: Callable[..., Application]) -> None:
    """Code that nobody knows may do anything at the end."""
    _, own = told(application("import bitarray", "bitarray==3.12.3"))
    assert FINALIZED in own
    assert "is loaded" in own
    # Unless it was made of Python code, or was read.
    for requirement, module in [
        ("pyyaml==6.0.3", "yaml._yaml"),
        ("charset-normalizer==3.4.4", "charset_normalizer.md__mypyc"),
        ("markupsafe==3.0.3", "markupsafe._speedups"),
    ]:
        it = application(f"import {module.removesuffix('__mypyc')}, {module}", requirement)
        assert told(it)[1] == ""


# Objects, of types that were read, that are alive at the end; by what brings the types.
READ = {
    "cytoolz==1.2.0": "import cytoolz\nkept = cytoolz.curry(max)(1), cytoolz.partition(2, 'ab')\n",
    "dulwich==1.2.21": "from dulwich import _diff_tree, _objects, _pack\n"
    "kept = _objects.parse_tree(b'100644 a\\0' + bytes(20), 20)\n",
    "greenlet==3.5.6": "import greenlet\nclass G(greenlet.greenlet): pass\n"
    "kept = [G(abs), greenlet.greenlet(print), greenlet.getcurrent()]\nkept[0].switch(1)\n",
    "hiredis==3.5.0": "import hiredis\nkept = hiredis.Reader()\nkept.feed(b'*2\\r\\n+one\\r\\n')\n",
    "immutables==0.21": "import immutables\nkept = immutables.Map(a=1).set('b', 2)\n"
    "names = iter(kept)\nnext(names)\n",
    "lz4==4.4.5": "import lz4.block, lz4.frame\nkept = lz4.frame.create_compression_context()\n"
    "lz4.frame.compress_begin(kept)\n",
    "nh3==0.3.8": "import nh3\nkept = nh3.Cleaner(attribute_filter=print)\n",
    "protobuf==7.36.2": "from google.protobuf import struct_pb2\nkept = struct_pb2.Struct()\n"
    "kept['a'] = [1, {'b': 2}]\nvalues = kept['a'].values\n",
    "pymongo==4.18.3": "import bson, pymongo.message\nkept = bson.decode(bson.encode({'a': 1}))\n",
    "pynacl==1.6.2": "import nacl.hash\nkept = nacl.hash.generichash(b'text')\n",
    "xxhash==4.1.0": "import xxhash\nkept = xxhash.xxh3_64(b'text')\n",
    "zope.interface==8.6": "from zope.interface import Interface, implementer, providedBy\n"
    "class I(Interface): pass\n@implementer(I)\nclass A: pass\nkept = A()\n"
    "print(list(providedBy(kept)))\n",
}


def test_extension_modules_that_were_read(application: Callable[..., Application]) -> None:
    """Who has objects of them ends without finalizing, and comes to the same."""
    for requirement, main in READ.items():
        it = application(main + "print(type(kept))\n", requirement)
        outcome, own = told(it)
        assert own == ""
        assert outcome == told(it, MMPORT_EXIT="finalize")[0]
        assert (outcome.status, outcome.stderr) == (0, "")
        loaded = it.run(it.mmport, "run", it.bundle, MMPORT_LOG="off", LD_DEBUG="files").stderr
        # Not the Python code that some of them have as well.
        assert "/site-packages/" in loaded


def test_suspended_greenlets(application: Callable[..., Application]) -> None:
    """One that was switched away from may have something to finish."""
    for kind in "greenlet.greenlet", "G":
        main = (
            "import greenlet\nclass G(greenlet.greenlet): pass\n"
            f"kept = {kind}(greenlet.getcurrent().switch)\nkept.switch(1)\n"
        )
        _, own = told(application(main, "greenlet==3.5.6"))
        assert FINALIZED in own
        assert f"there is a `{kind}`" in own


NUMPY = "numpy==2.2.6"
BUFFERED = """
import numpy
kept = numpy.memmap("written", dtype="<i4", mode="w+", shape=(4,))
iterator = numpy.nditer(
    kept, ["buffered"], [["readwrite"]], op_dtypes=["<f8"], casting="unsafe"
)
next(iterator)[...] = 7
"""


def test_buffers_that_the_collector_does_not_know(
    application: Callable[..., Application], venv_of: VenvOf
) -> None:
    """An iterator of numpy writes what it has buffered, wherever it is kept."""
    python = venv_of([NUMPY]).python
    for keep, is_seen in [
        ("", True),
        ("def f():\n    global g\n    g = [(iterator,)]\nf()\ndel iterator\n", True),
        ("iterator.close()\ndel iterator\n", False),
    ]:
        it = application(BUFFERED + keep, NUMPY)
        _, own = told(it)
        content = written(it.run.cwd)
        it.run(python, it.folder / "__main__.py")
        assert content == written(it.run.cwd)
        assert ("`numpy.nditer`" in own) == is_seen


def test_applications_with_numpy(application: Callable[..., Application]) -> None:
    """Who has numpy and pandas ends without finalizing."""
    main = "import numpy, pandas\nprint(pandas.DataFrame({'a': [1, 2]}).sum().to_dict())\n"
    outcome, own = told(application(main, "pandas==2.3.3", NUMPY))
    assert outcome.stdout == "{'a': 3}\n"
    assert own == ""


SCRIPT = """
import atexit, sys
names = sorted(name for name in globals() if name != "__annotations__")
print(names, __name__, __package__, __spec__ and __spec__.name, type(__loader__).__name__)
print(__file__, __cached__ and 1, sys.argv, sys.path[0], sys.flags.safe_path if 0 else 0)
print(sys.path_importer_cache.get(__file__, 1))
atexit.register(lambda: print("__file__" in vars(sys.modules["__main__"])))
class A:
    def __del__(self): print("gone")
def fail(): 1 / 0
match sys.argv[1:]:
    case ["raise"]: fail()
    case ["text"]: sys.exit("text")
    case ["number"]: sys.exit(7)
    case ["interrupt"]: raise KeyboardInterrupt
    case ["finalizer"]: a = A()
    case ["own interrupt"]: raise type("Own", (KeyboardInterrupt,), {"__module__": "own"})
    case ["inspect"]: __import__("os").environ["PYTHONINSPECT"] = "1"
"""
SCRIPTS = [
    *(["script.py", *rest] for rest in ([], ["raise"], ["text"], ["number"], ["interrupt"])),
    *(["script.py", *rest] for rest in (["finalizer"], ["inspect"], ["own interrupt"])),
    *(["-m", "package.module", *rest] for rest in ([], ["raise"], ["text"], ["finalizer"])),
    ["-m", "package"],
    ["-m", "timeit", "-h"],
    ["-I", "script.py"],
    ["-E", "script.py"],
    ["-O", "-W", "error", "script.py"],
    ["-x", "script.py"],
    ["-i", "script.py"],
    ["link.py"],
    ["./package/../script.py"],
    ["package"],
    ["script.pyc"],
    ["bytecode"],
    ["mistake.py"],
    ["latin.py"],
    ["-"],
    ["-c", "print(__name__, 1)"],
]


@pytest.mark.parametrize("arguments", SCRIPTS, ids=" ".join)
def test_scripts_and_modules(
    arguments: list[str], build: Build, mmport: Path, plain_python: Path, run: Runner
) -> None:
    """Python with a bundle's packages runs, and ends, as Python does."""
    bundle = build("--source", write_files(run.cwd / "source", {"inside.py": "x = 1"}))
    files = {"script.py": SCRIPT, "package/__init__.py": "", "package/module.py": SCRIPT}
    write_files(run.cwd, files | {"package/__main__.py": SCRIPT, "mistake.py": "def(\n"})
    write_files(run.cwd, {"latin.py": "# coding: latin-1\nprint('\xe4')\n".encode("latin-1")})
    (run.cwd / "link.py").symlink_to("package/module.py")
    run(plain_python, "-c", "import py_compile; py_compile.compile('script.py', 'script.pyc')")
    (run.cwd / "bytecode").write_bytes((run.cwd / "script.pyc").read_bytes())
    text = "print('from standard input')"
    found = run(mmport, "run", bundle, *arguments, stdin=text)
    expected = run(plain_python, *arguments, stdin=text)
    assert (found.status, found.stdout) == (expected.status, expected.stdout)
    assert found.stderr == expected.stderr
    told = run(mmport, "run", bundle, *arguments, stdin=text, MMPORT_LOG=LOG).stderr
    if "interrupt" not in arguments:  # It ends by a signal, and nobody asks.
        assert (FINALIZED in told) == ("finalizer" in arguments or "-W" in arguments)


def test_interrupted(application: Callable[..., Application]) -> None:
    """An interrupted program ends by the signal, finalized."""
    it = application(
        "class A:\n    def __del__(self): print('gone')\na = A()\nraise KeyboardInterrupt"
    )
    assert it.bundled().status == it.plain().status == -2
    assert it.bundled().stdout == "gone\n"


AUDIT = """
import os, sys
def hook(event, arguments, write=os.write):
    if event in ("cpython.PyInterpreterState_Clear", "gc.get_objects"):
        write(1, event.encode())
sys.addaudithook(hook)
"""


def test_audit_hooks(application: Callable[..., Application]) -> None:
    """Who listens to audit events hears of the end, and of nothing else."""
    it = application(AUDIT)
    outcome, own = told(it)
    assert outcome.stdout == it.plain().stdout == "cpython.PyInterpreterState_Clear"
    assert "somebody listens to audit events" in own


def test_finalization_when_asked_for(application: Callable[..., Application]) -> None:
    """Python is finalized by the option and by the variable, and not without."""
    # Such functions are called at the end of finalization.
    it = application("import ctypes\nctypes.pythonapi.Py_AtExit(ctypes.CDLL(None).abort)\n")
    assert it.plain().status == -6
    assert it.bundled().status == 0
    assert it.bundled(MMPORT_EXIT="finalize").status == -6
    assert it.run(it.mmport, "run", "--exit", "finalize", it.bundle).status == -6


@pytest.mark.parametrize("name", ["del", "file", "generator", "exit handlers", "thread", "number"])
def test_python_package(
    name: str, application: Callable[..., Application], pip_mmport: Path
) -> None:
    """The command of the Python package ends the process of its Python in the same way."""
    main = SEEN[name][0] if name in SEEN else UNSEEN[name]
    it = application(main)
    found = it.run(pip_mmport, "run", it.bundle, MMPORT_LOG=LOG)
    content = written(it.run.cwd)
    expected = it.plain()
    assert (FINALIZED in found.stderr) == (name in SEEN)
    assert (found.status, found.stdout) == (expected.status, expected.stdout)
    assert content == written(it.run.cwd)


@pytest.mark.parametrize("where", ["bundle", "standard library"])
@pytest.mark.parametrize("delay", [0.002, 0.01, 0.03])
def test_daemon_threads_that_import(
    application: Callable[..., Application], where: str, delay: float
) -> None:
    """A daemon thread may be in the middle of an import when the program ends."""
    slow = "import time\nwhile True:\n    time.sleep(0.0005)\n"
    library = "import asyncio, unittest.mock, xml.dom.minidom, http.server, pydoc, sqlite3\n"
    main = "import threading, time\nclass A:\n    def __del__(self): print('gone')\na = A()\n"
    main += "threading.Thread(target=__import__, args=('work',), daemon=True).start()\n"
    main += f"time.sleep({delay})\nprint('ends')\n"
    made = application({"__main__.py": main, "work.py": slow if where == "bundle" else library})
    for _ in range(4):
        outcome = made.bundled()
        assert (outcome.status, outcome.stdout) == (0, "ends\ngone\n"), str(outcome)

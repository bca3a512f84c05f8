"""Extension modules of every kind, compiled here: from a bundle as from a folder."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import Application
from support import Names, Word, names_in_bundle, write_files

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")

SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")

# Counts how often it is executed, and calls and fails where it is told to.
MODULE = """
#include <Python.h>
static int executions;
static PyObject *call(PyObject *self, PyObject *function) {
    return PyObject_CallNoArgs(function);
}
static PyObject *fail(PyObject *self, PyObject *unused) {
    PyErr_SetString(PyExc_ValueError, "from C");
    return NULL;
}
static PyMethodDef methods[] = {
    {"call", call, METH_O, "Call a function."}, {"fail", fail, METH_NOARGS, NULL}, {NULL}};
static int execute(PyObject *module) {
    executions += 1;
    return PyModule_AddIntConstant(module, "executions", executions) < 0
        ? -1 : PyModule_AddStringConstant(module, "kind", KIND);
}
#ifdef SINGLE_PHASE
static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, NAME, "What it is for.", -1, methods};
PyMODINIT_FUNC INIT(void) {
    PyObject *module = PyModule_Create(&definition);
    if (module && execute(module) < 0)
        Py_CLEAR(module);
    return module;
}
#else
#ifndef STATE
#define STATE 0
#endif
static struct PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
#ifdef OWN_GIL
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL}};
static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, NAME, "What it is for.", STATE, methods, slots};
PyMODINIT_FUNC INIT(void) { return PyModuleDef_Init(&definition); }
#endif
"""
INITIALIZER = "#include <Python.h>\nPyMODINIT_FUNC INIT(void) {{ {} }}\n"
# A module with one function, `ask`, that returns what a C function of another library does.
ASKS = """
#include <Python.h>
int answer(void);
static PyObject *ask(PyObject *self, PyObject *unused) { return PyLong_FromLong(answer()); }
static PyMethodDef methods[] = {{"ask", ask, METH_NOARGS, NULL}, {NULL}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, NAME, NULL, 0, methods};
PyMODINIT_FUNC INIT(void) { return PyModuleDef_Init(&definition); }
"""
ANSWERS = "int answer(void) { return 42; }\n"


@dataclass(frozen=True)
class Compiled:
    """What the C compiler makes of a text."""

    source: str
    flags: tuple[str, ...] = ()
    libraries: tuple[Compiled, ...] = ()


def extension(
    name: str, *flags: str, source: str = MODULE, libraries: tuple[Compiled, ...] = ()
) -> Compiled:
    """Return the extension module of that name (the last component), with `kind` for its flags."""
    initializer = f"PyInit_{name}"
    if not name.isascii():
        initializer = "PyInitU_" + name.encode("punycode").decode().replace("-", "_")
    kind = " ".join(flags).replace("-D", "") or "multi-phase"
    names = (f'-DNAME="{name}"', f"-DINIT={initializer}", f'-DKIND="{kind}"')
    return Compiled(source, (*names, *flags), libraries)


def library(name: str, source: str, *flags: str, libraries: tuple[Compiled, ...] = ()) -> Compiled:
    """Return a shared library that is looked for by that name."""
    return Compiled(source, (f"-Wl,-soname,{name}", *flags), libraries)


SINGLE = "-DSINGLE_PHASE"
OWN_GIL = ["-DOWN_GIL"] if sys.version_info >= (3, 12) else []
ANSWER = library("libanswer.so", ANSWERS)
PASSES_ON = "int answer(void);\nint passed(void) { return answer(); }\n"
ASKS_ANOTHER = ASKS.replace("answer", "passed")

SHOW = """\
import os


def show(module):
    spec = module.__spec__
    print(module.__name__, repr(module.__package__), module.__doc__, getattr(module, "kind", None))
    print(" ", module.__file__, os.path.isfile(module.__file__), getattr(module, "__path__", None))
    print(" ", spec.name, spec.origin, spec.cached, spec.has_location, spec.parent)
    print(" ", spec.submodule_search_locations, spec.loader is module.__loader__)
    print(" ", sorted(name for name in vars(module) if name != "__builtins__"))


def attempt(function, *arguments):
    try:
        print("returned", function(*arguments))
    except BaseException as error:
        print(type(error).__name__, error, getattr(error, "name", None),
              getattr(error, "path", None), repr(error.__cause__))
"""

File = str | bytes | Compiled

# Each is an application with `shown.py` from above; `{}` in a name is this Python's own suffix.
PROGRAMS: dict[str, Mapping[str, File]] = {
    "multi-phase": {
        "__main__.py": "import module, sys\nfrom shown import show\nshow(module)\n"
        "first = module\ndel sys.modules['module']\nimport module\n"
        "print(first is module, first.executions, module.executions)\n",
        "module{}": extension("module"),
    },
    "single-phase": {
        "__main__.py": "import module, sys\nfrom shown import show\nshow(module)\n"
        "module.added = 1\nfirst = module\ndel sys.modules['module']\nimport module\n"
        "print(first is module, first.executions, module.executions, hasattr(module, 'added'))\n",
        "module{}": extension("module", SINGLE),
    },
    "reload": {
        "__main__.py": "import importlib, multi, single, state\nfrom shown import attempt, show\n"
        "for module in multi, single, state:\n"
        "    module.kind = 'changed'\n    module.executions = 'changed'\n    module.added = 1\n"
        "    print(importlib.reload(module) is module)\n"
        "    print(module.kind, module.executions, module.added)\n    show(module)\n",
        "multi{}": extension("multi"),
        "single{}": extension("single", SINGLE),
        "state{}": extension("state", "-DSTATE=8"),
    },
    "limited interface": {
        "__main__.py": "import module\nfrom shown import show\nshow(module)\n",
        "module.abi3.so": extension("module", "-DPy_LIMITED_API=0x030a0000"),
    },
    "package": {
        "__main__.py": "import package\nfrom shown import show\nshow(package)\n"
        "import package.python, package.inner, package.sub.single\nshow(package.inner)\n"
        "show(package.sub.single)\nshow(package.sub)\nprint(package.python.value)\n",
        "package/__init__{}": extension("package"),
        "package/python.py": "from . import inner\nvalue = inner.kind\n",
        "package/inner{}": extension("inner", SINGLE),
        "package/sub/__init__{}": extension("sub", SINGLE),
        "package/sub/single{}": extension("single", SINGLE),
    },
    "submodules": {
        "__main__.py": "import package.one, space.two, space.inner.three, package.deep.four\n"
        "from shown import show\n"
        "for module in package.one, space.two, space.inner.three, package.deep.four:\n"
        "    show(module)\nprint(package.two.kind, list(space.__path__))\n",
        "package/__init__.py": "from . import two\n",
        "package/one{}": extension("one", SINGLE),
        "package/two{}": extension("two"),
        "package/deep/four{}": extension("four"),
        "space/two{}": extension("two"),
        "space/inner/three{}": extension("three", SINGLE),
    },
    "name that is not in ASCII": {
        "__main__.py": "import jalapeño, package.ñandú\nfrom shown import attempt, show\n"
        "show(jalapeño)\nshow(package.ñandú)\nattempt(__import__, 'pingüino')\n",
        "jalapeño{}": extension("jalapeño"),
        "package/__init__.py": "",
        "package/ñandú{}": extension("ñandú"),
        "pingüino{}": extension("other"),
    },
    "order of the suffixes": {
        "__main__.py": "from importlib.machinery import EXTENSION_SUFFIXES\n"
        "from shown import attempt\nprint(EXTENSION_SUFFIXES)\n"
        "for name in ('tagged', 'limited', 'plain', 'package', 'inside.tagged', 'inside.plain',\n"
        "             'inside.limited', 'space', 'foreign'):\n"
        "    module = lambda: __import__(name, fromlist=['kind'])\n"
        "    attempt(lambda: (module().kind, module().__file__))\n",
        **{
            f"{folder}{module}{suffix}": extension(module, f"-DIS{number}")
            for folder in ("", "inside/")
            for number, suffix in enumerate(["{}", ".abi3.so", ".so"])
            for first, module in enumerate(["tagged", "limited", "plain"])
            if number >= first
        },
        **{
            f"{folder}{module}.py": "kind = 'source'\n"
            for folder in ("", "inside/")
            for module in ("tagged", "limited", "plain")
        },
        "inside/__init__.py": "",
        "package/__init__.py": "kind = 'package'\n",
        "package{}": extension("package"),
        "space/file.txt": "",
        "space{}": extension("space"),
        "foreign.cpython-39-x86_64-linux-gnu.so": extension("foreign"),
        "foreign.pypy39-pp73-x86_64-linux-gnu.so": extension("foreign"),
    },
    "initialization that raises": {
        "__main__.py": "from shown import attempt\nattempt(__import__, 'module')\n"
        "attempt(__import__, 'package.module')\nattempt(__import__, 'module')\n"
        "import sys\nprint('module' in sys.modules, 'package' in sys.modules)\nimport module\n",
        "module{}": extension(
            "module",
            source=INITIALIZER.format('PyErr_SetString(PyExc_OSError, "no"); return NULL;'),
        ),
        "package/__init__.py": "",
        "package/module{}": extension(
            "module",
            source=INITIALIZER.format('PyErr_SetString(PyExc_KeyError, "no"); return NULL;'),
        ),
    },
    "initialization that breaks the rules": {
        "__main__.py": "from shown import attempt\n"
        "for name in 'silent', 'both', 'uninitialized', 'package.silent':\n"
        "    attempt(__import__, name)\nimport silent\n",
        "silent{}": extension("silent", source=INITIALIZER.format("return NULL;")),
        "package/__init__.py": "",
        "package/silent{}": extension("silent", source=INITIALIZER.format("return NULL;")),
        "both{}": extension(
            "both",
            source=INITIALIZER.format(
                'PyErr_SetString(PyExc_OSError, "no"); return PyModule_New("both");'
            ),
        ),
        "uninitialized{}": extension(
            "uninitialized",
            source=INITIALIZER.format(
                "static PyObject object; object.ob_refcnt = 1; return &object;"
            ),
        ),
    },
    "files that are no extension modules": {
        "__main__.py": "from shown import attempt\n"
        "for name in 'other', 'package.other', 'text', 'empty', 'undefined', 'package.undefined':\n"
        "    attempt(__import__, name)\nimport text\n",
        "other{}": ANSWER,
        "package/__init__.py": "",
        "package/other{}": ANSWER,
        "text{}": "no library\n" * 100,
        "empty{}": "",
        "undefined{}": extension("undefined", source=ASKS),
        "package/undefined{}": extension("undefined", source=ASKS),
    },
    "a library beside it": {
        "__main__.py": "import alone, package.ext, package.sub.ext, package.old, other.ext\n"
        "print(alone.ask(), package.ext.ask(), package.sub.ext.ask(), package.old.ask())\n"
        "print(other.ext.ask())\n"
        "maps = {line.split()[-1] for line in open('/proc/self/maps') if 'libanswer' in line}\n"
        "print(*sorted(maps), sep='\\n')\n",
        "alone{}": extension(
            "alone", "-Wl,-rpath,$ORIGIN/alone.libs", source=ASKS, libraries=(ANSWER,)
        ),
        "alone.libs/libanswer.so": ANSWER,
        "package/__init__.py": "",
        "package/ext{}": extension(
            "ext", "-Wl,-rpath,$ORIGIN/lib", source=ASKS, libraries=(ANSWER,)
        ),
        "package/lib/libanswer.so": ANSWER,
        "package/sub/__init__.py": "",
        "package/sub/ext{}": extension(
            "ext", "-Wl,-rpath,$ORIGIN/../../package.libs", source=ASKS, libraries=(ANSWER,)
        ),
        "package/old{}": extension(
            "old",
            "-Wl,-rpath,/no/such/folder:${ORIGIN}/../package.libs",
            "-Wl,--disable-new-dtags",
            source=ASKS,
            libraries=(ANSWER,),
        ),
        "package.libs/libanswer.so": ANSWER,
        "other/__init__.py": "",
        "other/ext{}": extension("ext", "-Wl,-rpath,$ORIGIN", source=ASKS, libraries=(ANSWER,)),
        "other/libanswer.so": ANSWER,
    },
    "a library that needs another": {
        "__main__.py": "import package.ext\nprint(package.ext.ask())\n",
        "package/__init__.py": "",
        "package/ext{}": extension(
            "ext",
            "-Wl,-rpath,$ORIGIN/../package.libs",
            source=ASKS_ANOTHER,
            libraries=(
                passes := library(
                    "libpasses.so", PASSES_ON, "-Wl,-rpath,$ORIGIN", libraries=(ANSWER,)
                ),
            ),
        ),
        "package.libs/libpasses.so": passes,
        "package.libs/libanswer.so": ANSWER,
    },
    "libraries whose versions have letters": {
        "__main__.py": "import package.ext\nprint(package.ext.ask())\n",
        "package/__init__.py": "",
        "package/ext{}": extension(
            "ext",
            "-Wl,-rpath,$ORIGIN/../package.libs",
            source=ASKS_ANOTHER,
            libraries=(
                lettered := library(
                    "libssl-81259c47.so.1.1.1k",
                    PASSES_ON,
                    "-Wl,-rpath,$ORIGIN",
                    libraries=(further := library("libcrypto-5409cd36.so.1.1.1k", ANSWERS),),
                ),
            ),
        ),
        "package.libs/libssl-81259c47.so.1.1.1k": lettered,
        "package.libs/libcrypto-5409cd36.so.1.1.1k": further,
    },
    "libraries whose versions have letters, needed by one whose has none": {
        "__main__.py": "import package.ext\nprint(package.ext.ask())\n",
        "package/__init__.py": "",
        "package/ext{}": extension(
            "ext",
            "-Wl,-rpath,$ORIGIN/../package.libs",
            source=ASKS_ANOTHER,
            libraries=(
                without := library(
                    "libpasses.so", PASSES_ON, "-Wl,-rpath,$ORIGIN", libraries=(further,)
                ),
            ),
        ),
        "package.libs/libpasses.so": without,
        "package.libs/libcrypto-5409cd36.so.1.1.1k": further,
    },
    "a library found by the path of what needs it": {
        "__main__.py": "import package.ext\nprint(package.ext.ask())\n",
        "package/__init__.py": "",
        # Only the older tag, DT_RPATH, holds for the libraries of libraries too.
        "package/ext{}": extension(
            "ext",
            "-Wl,-rpath,$ORIGIN/../package.libs",
            "-Wl,--disable-new-dtags",
            source=ASKS_ANOTHER,
            libraries=(without_path := library("libpasses.so", PASSES_ON, libraries=(ANSWER,)),),
        ),
        "package.libs/libpasses.so": without_path,
        "package.libs/libanswer.so": ANSWER,
    },
    "a library in another distribution's package": {
        "__main__.py": "import first.ext, second.ext\nprint(first.ext.ask(), second.ext.ask())\n",
        "first/__init__.py": "",
        "first/ext{}": extension(
            "ext", "-Wl,-rpath,$ORIGIN/../second/lib", source=ASKS, libraries=(ANSWER,)
        ),
        "second/__init__.py": "",
        "second/lib/libanswer.so": ANSWER,
        "second/ext{}": extension(
            "ext", "-Wl,-rpath,$ORIGIN/lib", source=ASKS, libraries=(ANSWER,)
        ),
    },
    "a library opened before": {
        "__main__.py": "import package.ext\nprint(package.ext.ask())\n",
        "package/__init__.py": "import ctypes, os, pathlib\n"
        "folder = pathlib.Path(__file__).parent\n"
        "ctypes.CDLL(str(folder / 'lib' / 'libanswer.so'), mode=ctypes.RTLD_GLOBAL)\n",
        "package/lib/libanswer.so": ANSWER,
        "package/ext{}": extension("ext", source=ASKS, libraries=(ANSWER,)),
    },
    "ctypes": {
        "__main__.py": "import ctypes, single, package, os\nprint(package.here.answer())\n"
        "print(package.beside.answer(), package.loaded.answer())\n"
        "again = ctypes.PyDLL(single.__file__)\nprint(hasattr(again, 'PyInit_single'))\n"
        "from shown import attempt\nfolder = os.path.dirname(package.__file__)\n"
        "attempt(ctypes.CDLL, os.path.join(folder, 'no_such.so'))\n",
        "single{}": extension("single", SINGLE),
        "package/__init__.py": "import ctypes, os\nimport numpy_like as loader\n"
        "here = ctypes.CDLL(os.path.join(os.path.dirname(__file__), 'libanswer.so'))\n"
        "beside = ctypes.CDLL(os.path.join(os.path.dirname(__file__), '..', 'package', 'lib',\n"
        "                                  'libanswer.so'))\n"
        "loaded = loader.load_library('libanswer', os.path.join(__path__[0], 'lib'))\n",
        "package/libanswer.so": ANSWER,
        "package/lib/libanswer.so": ANSWER,
        # As numpy.ctypeslib looks for one.
        "numpy_like.py": "import ctypes, os\n\n\ndef load_library(name, folder):\n"
        "    [file] = [file for file in os.listdir(folder) if file.startswith(name)]\n"
        "    return ctypes.cdll[os.path.join(folder, file)]\n",
    },
    "threads": {
        "__main__.py": "import threading\nbarrier, seen = threading.Barrier(8), []\n"
        "def work():\n    barrier.wait()\n"
        "    import package.inner, multi, single\n"
        "    seen.append((package.inner, multi, single))\n"
        "threads = [threading.Thread(target=work) for _ in range(8)]\n"
        "for thread in threads: thread.start()\nfor thread in threads: thread.join()\n"
        "print(len(seen), len(set(seen)), [m.executions for m in seen[0]])\n",
        "package/__init__.py": "",
        "package/inner{}": extension("inner"),
        "multi{}": extension("multi"),
        "single{}": extension("single", SINGLE),
    },
    "processes": {
        "__main__.py": "import multiprocessing, work\nif __name__ == '__main__':\n"
        "    for method in 'spawn', 'fork', 'forkserver':\n"
        "        with multiprocessing.get_context(method).Pool(1) as pool:\n"
        "            print(pool.map(work.work, ['multi', 'package.inner']))\n",
        "work.py": "import importlib\n\n\ndef work(name):\n"
        "    return importlib.import_module(name).kind\n",
        "multi{}": extension("multi"),
        "package/__init__.py": "",
        "package/inner{}": extension("inner", SINGLE),
    },
    "tracebacks": {
        "__main__.py": "import traceback, module, package.inner\nfrom package import python\n"
        "for function in module.fail, python.fails, python.calls, python.in_callback:\n"
        "    try:\n        function()\n    except ValueError:\n"
        "        traceback.print_exc()\npackage.inner.call(python.calls)\n",
        "module{}": extension("module"),
        "package/__init__.py": "",
        "package/inner{}": extension("inner", SINGLE),
        "package/python.py": "from . import inner\n\n\ndef fails():\n    inner.fail()\n\n\n"
        "def calls():\n    return inner.call(lambda: fails())\n\n\n"
        "def in_callback():\n    try:\n        inner.call(inner.fail)\n"
        "    except ValueError as error:\n        raise ValueError('second') from error\n",
    },
    "warnings": {
        "__main__.py": "from package import python\npython.warns()\n",
        "package/__init__.py": "",
        "package/inner{}": extension("inner"),
        "package/python.py": "import warnings\nfrom . import inner\n\n\ndef warns():\n"
        "    inner.call(lambda: warnings.warn('of a package with files'))\n",
    },
    "introspection": {
        "__main__.py": "import importlib.util, inspect, pickle, pkgutil, runpy, os\n"
        "from importlib.resources import files\nimport module, package.inner\n"
        "from shown import attempt\n"
        "for it in module, package.inner:\n"
        "    attempt(inspect.getfile, it)\n    attempt(inspect.getsource, it)\n"
        "    attempt(inspect.getmodulename, it.__file__)\n"
        "    attempt(lambda: inspect.getmodule(it.call) is it)\n"
        "    attempt(lambda: pickle.loads(pickle.dumps(it.call)) is it.call)\n"
        "    attempt(runpy.run_module, it.__name__)\n"
        "    loader = it.__loader__\n"
        "    for name in 'get_code', 'get_source', 'is_package', 'get_filename':\n"
        "        attempt(getattr(loader, name), it.__name__)\n"
        "    attempt(lambda: importlib.util.find_spec(it.__name__).origin)\n"
        "    attempt(lambda: len(loader.get_data(it.__file__)) > 0)\n"
        "    attempt(lambda: it.__spec__.loader_state)\n"
        "print([m[1:] for m in pkgutil.iter_modules(package.__path__)])\n"
        "print(sorted(m.name for m in pkgutil.iter_modules() if m.name in ('module', 'package')))\n"
        "print(sorted(p.name for p in files(package).iterdir() if p.name[0] != '_'))\n"
        "print(sorted(n for n in os.listdir(package.__path__[0]) if n != '__pycache__'))\n",
        "module{}": extension("module"),
        "package/__init__.py": "",
        "package/inner{}": extension("inner", SINGLE),
    },
    "by hand": {
        "__main__.py": "import importlib.machinery, importlib.util, module, two\n"
        "from shown import show\nspec = importlib.util.find_spec('package.inner')\n"
        "inner = importlib.util.module_from_spec(spec)\nspec.loader.exec_module(inner)\n"
        "show(inner)\n"
        "spec = importlib.util.spec_from_file_location('module', module.__file__)\n"
        "again = importlib.util.module_from_spec(spec)\nspec.loader.exec_module(again)\n"
        "print(again is module, again.executions)\n"
        "loader = importlib.machinery.ExtensionFileLoader('second', two.__file__)\n"
        "spec = importlib.util.spec_from_loader('second', loader)\n"
        "second = importlib.util.module_from_spec(spec)\nloader.exec_module(second)\n"
        "print(second.__name__, second.__file__ == two.__file__)\n",
        "module{}": extension("module"),
        "package/__init__.py": "",
        "package/inner{}": extension("inner"),
        # As mypyc does: one library with several modules.
        "two{}": extension(
            "two",
            source=MODULE + "PyMODINIT_FUNC PyInit_second(void) {\n"
            "    return PyModuleDef_Init(&definition);\n}\n",
        ),
    },
}

# So that not both ways fail alike and unseen.
END_WITH_AN_ERROR = {
    "initialization that raises",
    "initialization that breaks the rules",
    "files that are no extension modules",
    "tracebacks",
}

# In new interpreters, one after the other; then what the main one has of the same.
SUBINTERPRETER = """\
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
CODE = '''
import sys
print(sys.executable == {executable!r}, sys.prefix == {prefix!r}, "sitecustomize" in sys.modules)
for name in {names!r}:
    try:
        module = __import__(name, fromlist=["kind"])
        print(name, module.kind, module.executions, module.__file__)
    except Exception as error:
        print(name, type(error).__name__, error)
sys.stdout.flush()
'''.format(executable=sys.executable, prefix=sys.prefix, names=sys.argv[1:])
for _ in range(2):
    one = interpreters.create()
    try:
        print(interpreters.run_string(one, CODE))
    except Exception as error:
        print(type(error).__name__, str(error).splitlines()[0])
    sys.stdout.flush()
    interpreters.destroy(one)
exec(CODE)
try:
    import sitecustomize
except ImportError as error:
    print(type(error).__name__, error, error.name)
"""

GLOBAL_FLAGS = """\
import os, sys
if sys.argv[1:] == ["global"]:
    sys.setdlopenflags(os.RTLD_GLOBAL | os.RTLD_NOW)
import defines
from shown import attempt
attempt(lambda: __import__("uses").ask())
attempt(lambda: __import__("package.uses", fromlist=["x"]).ask())
print(sys.getdlopenflags() == os.RTLD_NOW)
"""


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Compiled], Path]:
    """Return a function that compiles; once for the same text and flags."""
    folder = tmp_path_factory.mktemp("compiled")
    include = f"-I{sysconfig.get_path('include')}"

    def compiled(it: Compiled) -> Path:
        path = folder / f"{hashlib.sha256(repr(it).encode()).hexdigest()[:16]}.so"
        if not path.exists():
            source = path.with_suffix(".c")
            source.write_text(it.source, encoding="utf-8")
            libraries = [compiled(library) for library in it.libraries]
            # What is undefined stays so until it is loaded.
            command = ["cc", "-shared", "-fPIC", include, "-o", path, source, *libraries, *it.flags]
            subprocess.run(command, check=True)
        return path

    return compiled


Make = Callable[[Mapping[str, File]], Application]


@pytest.fixture
def extended(application: Callable[..., Application], compiled: Callable[[Compiled], Path]) -> Make:
    """Return a function that makes an application of files and of what is to be compiled."""

    def extended(files: Mapping[str, File]) -> Application:
        contents = {
            name.format(SUFFIX): compiled(it).read_bytes() if isinstance(it, Compiled) else it
            for name, it in files.items()
        }
        return application({"shown.py": SHOW, **contents})

    return extended


def compare(it: Application, root: Path, *arguments: str) -> str:
    """Compare the two ways to run it, by common names; return what was seen."""
    address = {r"\b0x[0-9a-f]+": "<address>"}
    # What mmport adds to the loader's words.
    added = {r" \(asked for by `[^\n]*\)": ""}
    in_bundle = names_in_bundle(it.bundle, root)
    found = it.bundled(*arguments).named(
        Names({it.bundle: "<packages>"}, {**added, **in_bundle.patterns, **address})
    )
    expected = it.plain(*arguments).named(Names({it.folder: "<packages>"}, address))
    assert str(found) == str(expected)
    return str(found)


@pytest.mark.parametrize("name", PROGRAMS)
def test_as_from_a_folder(name: str, extended: Make, root: Path) -> None:
    """Same output and status as `python folder/__main__.py`, on the first run and later."""
    it = extended(PROGRAMS[name])
    seen = compare(it, root)
    assert seen.startswith(f"status {1 if name in END_WITH_AN_ERROR else 0}\n"), seen
    assert compare(it, root) == seen


def test_flags_of_dlopen(extended: Make, root: Path) -> None:
    """A module's symbols are there for later ones where `sys.setdlopenflags` says so."""
    uses = extension("uses", source=ASKS)
    it = extended(
        {
            "__main__.py": GLOBAL_FLAGS,
            "defines{}": extension("defines", source=MODULE + ANSWERS),
            "uses{}": uses,
            "package/__init__.py": "",
            "package/uses{}": uses,
        }
    )
    assert "undefined symbol: answer" in compare(it, root)
    assert "returned 42" in compare(it, root, "global")


def imports_in_subinterpreters(it: Application, names: Names, *command: Word, path: str) -> str:
    """Say what imports in subinterpreters do."""
    wanted = [
        "single",
        "multi",
        "package.inner",
        "package.python",
        "apart.package.inner",
        "own",
        "pure",
        "missing",
        "package.missing",
    ]
    return str(it.run(*command, *wanted, PYTHONPATH=path).named(names))


@pytest.mark.parametrize("customize", ["", "print('customized')\n", "import nothing\n", "1 / 0\n"])
def test_subinterpreters(
    customize: str, extended: Make, root: Path, pip_mmport: Path, tmp_path: Path
) -> None:
    """CPython's finders have the bundle there: same modules, same refusals as from a folder."""
    it = extended(
        {
            "__main__.py": SUBINTERPRETER,
            "single{}": extension("single", SINGLE),
            "multi{}": extension("multi"),
            "own{}": extension("own", *OWN_GIL),
            "package/__init__.py": "",
            "package/inner{}": extension("inner"),
            "package/python.py": "kind = 'source'\nexecutions = 1\n",
            "apart/package/__init__.py": "",
            "apart/package/inner{}": extension("inner"),
            "pure.py": "kind = 'source'\nexecutions = 1\n",
        }
    )
    sites = write_files(tmp_path / "sites", {"sitecustomize.py": customize} if customize else {})
    sites.mkdir(exist_ok=True)
    # `zipimport` shows the bytecode's file.
    in_bundle = {r"/pure\.pyc": "/pure.py", **names_in_bundle(it.bundle, root).patterns}
    place = {str(it.bundle.parent): "<programs>", it.folder: "<packages>"}
    outcomes = [
        imports_in_subinterpreters(
            it, Names(place, in_bundle), *command, it.bundle, path=str(sites)
        )
        for command in ([it.mmport, "run"], [pip_mmport, "run"])
    ]
    # Like a virtual environment's packages, for the main interpreter and the others.
    path = f"{sites}:{it.folder}"
    plain = imports_in_subinterpreters(
        it, Names(place), it.python, it.folder / "__main__.py", path=path
    )
    assert outcomes == 2 * [plain]
    assert "package.inner multi-phase" in plain
    assert "pure source 1 <packages>/pure.py" in plain


def test_subinterpreter_that_is_left(application: Callable[..., Application]) -> None:
    """One that is there when the process ends ends with it, with what it has written."""
    main = (
        "import sys\n"
        "name = '_interpreters' if sys.version_info >= (3, 13) else '_xxsubinterpreters'\n"
        "interpreters = __import__(name)\n"
        "interpreter = interpreters.create()\n"
        "interpreters.run_string(interpreter, 'print(\"inside\")')\n"
    )
    it = application(main)
    assert it.bundled() == it.plain()

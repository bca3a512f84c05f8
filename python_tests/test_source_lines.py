"""Source lines of modules in a bundle, for those who have nothing but a file name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

import pytest
from conftest import Application
from support import Names

Make = Callable[..., Application]

WARNS = """
import warnings


class Number:
    def __int__(self):
        return True


def warn(level=1):
    warnings.warn("careful", stacklevel=level)


def convert():
    return int(Number())


def forget():
    open("/dev/null")
"""

# Form feeds and other separators are no line ends in a file.
SEPARATORS = (
    "first = 1\n\x0c\n\x0c# A page.\ntext = '\x1c \x85 \u2028'\n\n\ndef fail():\n    1 / 0\n"
)

DEBUGGED = """
def double(number):
    result = number * 2
    return result


def main():
    print(double(21))
"""

# From 3.13 on, pdb takes the names of files that exist only.
PLACE = "module.main" if sys.version_info >= (3, 13) else "{file}:8"
COMMANDS = ["break module.double", f"break {PLACE}", "continue", "list", "longlist", "where"]
COMMANDS += ["next", "print(result)", "source double", "up", "list", "continue", "continue"]

# Each is the `__main__.py` of an application, or all of its files.
PROGRAMS: dict[str, str | Mapping[str, str | bytes]] = {
    "warnings of Python": {
        "__main__.py": "import module\nmodule.warn()\nmodule.warn(2)\n",
        "module.py": WARNS,
    },
    "warnings of the interpreter": {
        "__main__.py": "import module\nmodule.convert()\nmodule.forget()\n",
        "module.py": WARNS,
    },
    "warnings after the cache was cleared": {
        "__main__.py": "import linecache, module\nfor clear in (linecache.clearcache, "
        "linecache.checkcache, linecache.cache.clear):\n    module.warn()\n    clear()\n",
        "module.py": WARNS,
    },
    "warnings in a new linecache": {
        "__main__.py": "import importlib, linecache, module, sys\nmodule.warn()\n"
        "importlib.reload(linecache).clearcache()\nmodule.warn()\n"
        "del sys.modules['linecache']\nmodule.warn()\n",
        "module.py": WARNS,
    },
    "warnings as they are formatted": {
        "__main__.py": "import module, warnings\n"
        "print(warnings.formatwarning('m', UserWarning, module.__file__, 11))\n"
        "print(warnings.formatwarning('m', UserWarning, module.__file__, 11, 'a line'))\n",
        "module.py": WARNS,
    },
    "tracebacks with other separators": {
        "__main__.py": "import inspect, module, traceback\nprint(inspect.getsource(module.fail))\n"
        "try:\n    module.fail()\nexcept ZeroDivisionError:\n    traceback.print_exc()\n"
        "module.fail()\n",
        "module.py": SEPARATORS,
    },
    "a traceback without globals": {
        "__main__.py": "import linecache, module, traceback\nlinecache.clearcache()\n"
        "print(traceback.FrameSummary(module.__file__, 7, 'f').line)\n",
        "module.py": WARNS,
    },
    "lines of odd files": {
        "__main__.py": "import linecache, os\nplace = os.path.dirname(__file__)\n"
        "names = ['latin.py', 'bom.py', 'crlf.py', 'unfinished.py', 'empty.py', 'bad.py', "
        "'cookie.py', 'text.txt', 'missing.py', 'package', '', 'package/../latin.py']\n"
        "for name in names:\n    path = os.path.join(place, name)\n"
        "    print(name, linecache.getlines(path), linecache.updatecache(filename=path), "
        "linecache.getline(path, 2), linecache.getline(path, 9))\n"
        "print(linecache.getlines('<string>'), linecache.getlines('missing.py'))\n"
        "print(len(linecache.getlines(os.__file__)) > 100)\n",
        "latin.py": b"# coding: latin-1\nx = '\xe4'\n",
        "bom.py": b"\xef\xbb\xbfx = '\xc3\xa4'\ny = 1\n",
        "crlf.py": b"x = 1\r\ny = 2\rz = 3\r\n",
        "unfinished.py": "x = 1\ny = 2",
        "empty.py": "",
        "bad.py": b"x = '\xff'\n",
        "cookie.py": "# coding: no-such-coding\n",
        "text.txt": "a text\nof two lines\n",
        "package/__init__.py": "",
    },
    "linecache itself": "import linecache\n"
    "print(sorted(vars(linecache.__loader__)), linecache.updatecache.__name__)\n"
    "try:\n    linecache.updatecache()\nexcept TypeError:\n    print('an argument is missing')\n"
    "print(linecache.updatecache(None), linecache.updatecache(''))\n",
    "linecache loaded lazily": {
        "__main__.py": "import importlib.util, sys\nspec = importlib.util.find_spec('linecache')\n"
        "lazy = sys.modules.get('linecache')\nif lazy is None:\n"
        "    spec.loader = importlib.util.LazyLoader(spec.loader)\n"
        "    lazy = importlib.util.module_from_spec(spec)\n    sys.modules['linecache'] = lazy\n"
        "    spec.loader.exec_module(lazy)\nimport module\nmodule.warn()\n",
        "module.py": WARNS,
    },
    "what the compiler finds": {
        "__main__.py": "import traceback\nfor name in ('outside', 'both', 'twice', 'later'):\n"
        "    try:\n        __import__('with_' + name)\n    except SyntaxError as error:\n"
        "        traceback.print_exc()\n        print(error.text, error.args)\n"
        "import with_outside\n",
        "with_outside.py": "def f():\n    pass\n\n\nreturn 'ä'\n",
        "with_both.py": "def f(x):\n    global x\n",
        "with_twice.py": "# coding: latin-1\ndef f(x, ä, x): pass\n".encode("latin-1"),
        "with_later.py": "x = 1\nfrom __future__ import annotations\n",
    },
    "breakpoints": {
        "__main__.py": "import io, module, pdb, sys\n"
        f"commands = {COMMANDS!r}\n"
        "text = '\\n'.join(commands).format(file=module.__file__) + '\\n'\n"
        "debugger = pdb.Pdb(stdin=io.StringIO(text), stdout=sys.stdout, readrc=False)\n"
        "debugger.use_rawinput = False\ndebugger.run('module.main()')\n",
        "module.py": DEBUGGED,
    },
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_as_from_a_folder(name: str, application: Make) -> None:
    """Same output and status as `python folder/__main__.py`."""
    it = application(PROGRAMS[name])
    names = Names({it.bundle: "<application>", it.folder: "<application>"})
    # Two frames tell where the interpreter's own warnings are about something from.
    variables = {"PYTHONWARNINGS": "always", "PYTHONTRACEMALLOC": "2"}
    found = it.bundled(**variables).named(names)
    assert str(found) == str(it.plain(**variables).named(names))

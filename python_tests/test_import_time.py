"""What a program does while it imports: less work, and nothing that it could notice."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import pytest
from conftest import Application
from support import Outcome

LOG = "mmport::bytecode=debug"

# Modules that are imported by a program: what they print is what plain Python prints.
STRINGS = {
    "execute": "exec('a = 1\\nb = a + 1')\nprint(a, b)\n",
    "namespaces": "n = {}\nexec('value = 40 + two', {'two': 2}, n)\nprint(n)\n"
    "g = {}\nexec('x = 1', g)\nprint(sorted(g))\n",
    "evaluate": "print(eval('  \\t 1 + 1'), eval('[i for i in range(3)]'))\n"
    "f, g = eval('lambda: 1'), eval('lambda: 1')\nprint(f.__code__ is g.__code__, f())\n",
    "compile": "c = compile('x = 1', 'a file', 'exec')\nprint(c.co_filename, c.co_flags)\n"
    "print(eval(compile('1 + 1', 'a file', 'eval')))\n"
    "print(compile('1 + 1', 'f', 'exec').co_code == compile('1 + 1', 'f', 'eval').co_code)\n",
    "many times": "print([eval('1 + 1') for _ in range(30)], [eval('q') for q in range(3)])\n",
    "encodings": "n = {}\nexec('# -*- coding: latin-1 -*-\\nx = \"\\xe9\"\\n', n)\n"
    "print(ascii(n['x']))\nfor text in ('\\ufeffy = 1', '\\ufeff1'):\n"
    "    for f in exec, eval:\n        try:\n            print(f(text))\n"
    "        except SyntaxError as error:\n            print(error)\n",
    "blanks": "print(eval('  1 + 1'))\ntry:\n    compile('  1 + 1', '<string>', 'eval')\n"
    "except SyntaxError as error:\n    print(type(error).__name__)\n"
    "a, b = (compile('q + 1', 'f', 'eval') for _ in range(2))\nprint(a is b)\n",
    "long numbers": "import sys\nif sys.version_info >= (3, 12):\n"
    "    limit = sys.get_int_max_str_digits()\n    sys.set_int_max_str_digits(0)\n"
    "    print(eval('1' * 5000) > 0)\n    sys.set_int_max_str_digits(limit)\n"
    "    try:\n        eval('1' * 5000)\n    except SyntaxError as error:\n"
    "        print('too long')\nprint(eval('1' * 500) > 0)\n",
    "finalizers that warn": "import gc, warnings\nclass A:\n    def __del__(self):\n"
    "        warnings.warn('gone', DeprecationWarning)\ngc.set_threshold(50)\n"
    "for i in range(300):\n    a = A()\n    a.a = a\n    del a\n"
    "    exec(f'x{i} = [({i},), {i}]')\ngc.collect()\n",
    "imports that are watched": "import builtins\ntrue = builtins.__import__\ncalls = []\n"
    "def hook(name, *rest, **more):\n    calls.append((name, eval('40 + 2')))\n"
    "    return true(name, *rest, **more)\nbuiltins.__import__ = hook\n"
    "exec('y = 1 + 2 + 3')\nimport os\n"
    "builtins.__import__ = true\nprint(calls)\n",
    "inherited flags": "from __future__ import annotations\n"
    "exec('def f(x: undefined): pass')\nprint(f.__annotations__)\n",
    "flags that are not inherited": "from __future__ import annotations\n"
    "code = compile('def f(x: undefined): pass', 'f', 'exec', 0, True)\n"
    "try:\n    exec(code)\nexcept NameError as error:\n    print(error)\n",
    "no flags": "try:\n    exec('def f(x: undefined): pass')\nexcept NameError as error:\n"
    "    print(error)\n",
    "other kinds": "import ast\nclass S(str): pass\nprint(eval(b'1 + 1'), eval(S('2 + 2')))\n"
    "print(ast.dump(compile('1 + 1', 'f', 'eval', ast.PyCF_ONLY_AST)))\n"
    "print(compile('x', 'f', 'single').co_name)\n",
    "mistakes": "for text in ('1 +', 'a\\0b', 'x = ', 'return', '\\ud800'):\n"
    "    for function in eval, exec:\n        try:\n            function(text)\n"
    "        except Exception as error:\n"
    "            print(type(error).__name__, error, getattr(error, 'text', None))\n"
    "for arguments in ((), (1,), ('1', 2), ('1', {}, 3), ('1', {}, {}, {})):\n"
    "    for function in eval, exec, compile:\n        try:\n            function(*arguments)\n"
    "        except Exception as error:\n            print(type(error).__name__, error)\n",
    "closures": "try:\n    exec('1', closure=())\nexcept TypeError as error:\n    print(error)\n",
    "traceback": "import traceback\ntry:\n    exec('def f():\\n    1 / 0\\nf()')\n"
    "except ZeroDivisionError:\n"
    "    print([(f.filename, f.lineno, f.name) for f in traceback.extract_tb(__import__('sys')"
    ".exc_info()[2])][1:])\n",
    "warnings": "import warnings\nwarnings.simplefilter('always')\n"
    "print(eval('(1 is 1)'), warnings.filters[0])\nexec('x = \"\\\\d\"')\n"
    "with warnings.catch_warnings(record=True) as caught:\n    eval('(2 is 2)')\n"
    "print([(str(w.message), w.filename, w.lineno) for w in caught])\n",
    "audited": "import sys\nevents = []\neval('1 + 2 + 3')\n"
    "sys.addaudithook(lambda e, a: events.append((e, repr(a)[:30])) if e in "
    "('compile', 'exec', 'mmport') else None)\n"
    "eval('1 + 2 + 3')\nexec('y = 1')\nprint(events)\n",
    "the functions": "import inspect\nfor f in eval, exec, compile:\n"
    "    print(f, f.__name__, f.__qualname__, f.__module__, f.__self__, f.__text_signature__)\n"
    "    print(type(f), f.__doc__, inspect.signature(f), f is getattr(__builtins__, 'get', "
    "__builtins__.__class__) or f in vars(__import__('builtins')).values())\n",
    "dataclass": "import dataclasses, collections\n@dataclasses.dataclass(order=True)\n"
    "class A:\n    a: int\n    b: str = 'x'\nprint(A(1), A(1) < A(2), A.__init__.__qualname__)\n"
    "P = collections.namedtuple('P', 'x y')\nprint(P(1, 2), P.__new__.__doc__)\n",
}

NOT_KEPT = {"closures", "flags that are not inherited"}

PATTERNS = {
    "flags": "import re\nfor f in 0, re.I, re.X | re.S, re.A, re.M, re.U:\n"
    "    p = re.compile('(?P<a>x+) (y|z)', f)\n"
    "    print(p, p.flags, p.groups, dict(p.groupindex), p.match('xx z') and 1)\n",
    "kinds": "import re\nprint(re.findall(rb'\\w+', b'a b'), re.sub('(a)|b', r'[\\1]', 'abc'))\n"
    "class S(str): pass\nprint(re.compile(S('own')).pattern, re.sub('x', 'y', 'x', flags=re.I))\n"
    "print(re.split('[,;]', 'a,b;c'), re.compile('a') is re.compile('a'))\n"
    "print(re.compile(b'a') == re.compile('a'), re.compile('[\\ud800]').pattern.encode('utf-8',"
    " 'surrogatepass'))\n",
    "locale": "import re\nprint(re.compile(rb'\\w', re.L), re.compile(rb'(?L)\\w').flags)\n",
    "warnings": "import re, warnings\nwarnings.simplefilter('always')\n"
    "print(re.compile('[[a]'), re.compile('[a||b]'))\n",
    "mistakes": "import re\nfor p in '(', 'a**', '[', '(?P<1>a)':\n    try:\n"
    "        re.compile(p)\n"
    "    except re.error as error:\n        print(error, error.pattern, error.pos)\n",
    "purge": "import re\nre.compile('abc')\nre.purge()\nprint(len(re._cache), re.compile('abc'))\n",
    "many": "import re\nfor i in range(700):\n    re.compile(f'x{i}')\n"
    "print(len(re._cache) <= 512)\n",
    "pickle": "import copy, pickle, re\np = re.compile('(?P<n>a)|b', re.I)\n"
    "print(pickle.loads(pickle.dumps(p)) == p, copy.deepcopy(p) is p, hash(p) == hash(p))\n",
    "of the standard library": "import argparse, email.utils, json, string, textwrap, tokenize\n"
    "print(textwrap.fill('a b c', 3), json.loads('[1]'), string.Template('$a').substitute(a=1))\n",
}

COLLECTOR = {
    "questions": "import gc\nprint(gc.isenabled(), gc.get_threshold(), gc.get_count()[0] <= "
    "gc.get_threshold()[0], gc.get_freeze_count() < 1000, gc.get_debug(), gc.callbacks)\n",
    "callbacks": "import gc\nphases = []\ngc.callbacks.append(lambda phase, _: "
    "phases.append(phase))\nimport again\nprint(len(phases) > 20)\ngc.callbacks.clear()\n",
    "after many objects": "import gc\nkept = [[] for _ in range(20000)]\n"
    "print(gc.get_count()[0] <= gc.get_threshold()[0] + 1, gc.get_threshold())\n",
    "threshold": "import gc\ngc.set_threshold(123, 4, 5)\nprint(gc.get_threshold())\n",
    "off": "import gc\ngc.disable()\nprint(gc.isenabled(), gc.get_threshold())\n",
    "no threshold": "import gc\ngc.set_threshold(0)\nprint(gc.get_threshold())\n",
    "frozen": "import gc\nbefore = gc.get_freeze_count()\ngc.freeze()\n"
    "print(gc.get_freeze_count() > before)\n",
    "collect": "import gc\nclass A: pass\na = A()\na.a = a\ndel a\nprint(gc.collect() > 0)\n",
    "bounded": "import weakref\nclass A: pass\nalive = []\nfor _ in range(120000):\n    a = A()\n"
    "    a.a = a\n    alive.append(weakref.ref(a))\n"
    "print(sum(r() is not None for r in alive) < 60000)\n",
    "the functions": "import gc\nfor f in gc.get_threshold, gc.set_threshold, gc.get_count:\n"
    "    print(f, f.__doc__, f.__text_signature__)\n",
}
AFTER = (
    "import gc, work\nprint(gc.isenabled(), gc.get_threshold(), gc.get_freeze_count() > 0)\n"
    "from work import *\n"
)

MAIN = "import work\nimport warnings\nprint(warnings.filters[0])\n"


def comparable(it: Application, text: str) -> str:
    """Return output without what differs from process to process."""
    text = re.sub(r" at 0x[0-9a-f]+", "", text.replace(str(it.bundle), str(it.folder)))
    return re.sub(r"^.*mmport::.*\n", "", text, flags=re.MULTILINE)


def root_of(it: Application) -> str:
    """Return an empty cache, of this application alone."""
    return str(it.run.cwd / f"root of {it.bundle.parent.name}")


def runs(it: Application) -> list[tuple[Outcome, str]]:
    """Run it three times, and without a memory; return outcomes, and what is said of them."""
    variables = {"MMPORT_LOG": LOG, "MMPORT_ROOT": root_of(it)}
    found = [it.bundled(**variables) for _ in range(3)]
    found.append(it.bundled(**variables, MMPORT_REMEMBER="nothing"))
    expected = it.plain()
    for outcome in found:
        assert comparable(it, outcome.stdout) == comparable(it, expected.stdout)
        assert comparable(it, outcome.stderr) == comparable(it, expected.stderr)
        assert outcome.status == expected.status
    return [(outcome, outcome.stderr) for outcome in found]


@pytest.mark.parametrize("name", STRINGS)
def test_strings(name: str, application: Callable[..., Application]) -> None:
    """What is made of strings is the same, whether it was made before or not."""
    first, second, third, without = runs(
        application({"__main__.py": MAIN, "work.py": STRINGS[name]})
    )
    if name != "other kinds":
        assert ("string kept" in first[1]) == (name not in NOT_KEPT)
    assert first[1].count("string kept") <= second[1].count("string recalled")
    assert "string kept" not in second[1] + third[1]
    assert "mmport::bytecode: string" not in without[1]


def test_strings_are_kept_apart(application: Callable[..., Application]) -> None:
    """The same string is another one under other flags, names of files and modes."""
    files = {
        "__main__.py": "import one, two\n",
        "one.py": "from __future__ import annotations\nexec('def f(x: int): pass')\n"
        "print(f.__annotations__, f.__code__.co_filename)\n",
        "two.py": "exec('def f(x: int): pass')\nprint(f.__annotations__)\n"
        "exec(compile('def f(x: int): pass', 'named', 'exec'))\nprint(f.__code__.co_filename)\n",
    }
    it = application(files)
    expected = it.plain().stdout
    assert [it.bundled().stdout for _ in range(3)] == 3 * [expected]
    # Optimized code is another store's.
    it = application({"__main__.py": "import work", "work.py": "exec('assert 0, 1\\nprint(7)')"})
    assert "AssertionError" in it.bundled().stderr
    found = it.run(it.mmport, "run", it.bundle, PYTHONOPTIMIZE="1")
    assert found.stdout == "7\n"


def test_strings_outside_of_imports(application: Callable[..., Application]) -> None:
    """A program that evaluates strings when it runs fills no cache."""
    it = application("for i in range(50):\n    eval(f'{i} + 1')\n")
    root = root_of(it)
    assert "string" not in it.bundled(MMPORT_LOG=LOG, MMPORT_ROOT=root).stderr
    listed = it.run(it.mmport, "cache", "list", MMPORT_ROOT=root).succeeded().stdout
    assert "<string>" not in listed


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns(name: str, application: Callable[..., Application]) -> None:
    """Regular expressions are the same, whether they were compiled before or not."""
    it = application({"__main__.py": MAIN, "work.py": PATTERNS[name]})
    first, second, _, without = runs(it)
    assert "generation=0 patterns=0" in first[1]
    kept = name not in {"locale", "warnings", "mistakes"}
    if kept:
        assert "generation=1 patterns=" in second[1]
    assert "patterns" not in without[1]


def test_what_was_warned_of_is_not_kept(application: Callable[..., Application]) -> None:
    """A pattern with a warning is compiled, and warned of, each time."""
    it = application({"__main__.py": MAIN, "work.py": PATTERNS["warnings"]})
    for _ in range(3):
        assert it.bundled().stderr.count("FutureWarning") == 2


def test_patterns_are_added(application: Callable[..., Application]) -> None:
    """What a later run compiles is added, once it is worth it."""
    work = "import re, sys\nfor i in range(int(sys.argv[1])):\n    re.compile(f'x{i}')\n"
    it = application({"__main__.py": "import work", "work.py": work})
    counts = []
    for number in "3", "3", "4", "30", "30":
        outcome = it.run(it.mmport, "run", it.bundle, number, MMPORT_LOG=LOG)
        counts += re.findall(r"patterns recalled generation=(\d) patterns=(\d+)", outcome.stderr)
    assert counts == [("0", "0"), ("1", "3"), ("1", "3"), ("1", "3"), ("2", "30")]


@pytest.mark.parametrize("name", COLLECTOR)
def test_collector(name: str, application: Callable[..., Application]) -> None:
    """The collector is what the program thinks it is, while it imports and afterwards."""
    again = "kept = [[] for _ in range(100000)]\n"
    it = application({"__main__.py": AFTER, "work.py": COLLECTOR[name], "again.py": again})
    expected = it.plain()
    for variables in ({}, {"MMPORT_GC": "ordinary"}):
        outcome = it.bundled(**variables)
        assert comparable(it, outcome.stdout) == comparable(it, expected.stdout)
        assert (outcome.status, outcome.stderr) == (expected.status, expected.stderr)


def test_collector_waits(application: Callable[..., Application]) -> None:
    """While modules are imported, it looks at objects less often; unless it is told otherwise."""
    main = "import work, gc\nprint(sum(s['collections'] for s in gc.get_stats()))\n"
    it = application({"__main__.py": main, "work.py": "kept = [[] for _ in range(40000)]\n"})
    found, ordinary = int(it.bundled().stdout), int(it.bundled(MMPORT_GC="ordinary").stdout)
    assert ordinary - found > 10


def test_collector_waits_for_many_modules(application: Callable[..., Application]) -> None:
    """It does not look at objects because many modules are imported by one."""
    main = "import work, gc\nprint(sum(s['collections'] for s in gc.get_stats()))\n"
    names = [f"part{number}" for number in range(5)]
    counts = []
    for objects in 40000, 0:
        text = f"kept = [[] for _ in range({objects})]\n"
        files = {f"{name}.py": text for name in names}
        files |= {"__main__.py": main, "work.py": f"import {', '.join(names)}\n"}
        counts.append(int(application(files).bundled().stdout))
    # What 3.12 has frozen at its own start must not be thawed.
    most = 4 if sys.version_info[:2] == (3, 12) else 0
    assert counts[0] - counts[1] <= most


def test_off(application: Callable[..., Application]) -> None:
    """Without a cache, nothing is remembered."""
    it = application({"__main__.py": MAIN, "work.py": STRINGS["dataclass"]})
    for variables in {"MMPORT_NO_CACHE": "1"}, {"PYTHONDONTWRITEBYTECODE": "1"}:
        for _ in range(2):
            outcome = it.bundled(MMPORT_LOG=LOG, MMPORT_ROOT=root_of(it), **variables)
            assert "string" not in outcome.stderr


def test_other_interpreters(application: Callable[..., Application]) -> None:
    """Other interpreters of the process have the functions as CPython made them."""
    work = (
        "import sys, textwrap\n"
        "name = '_interpreters' if sys.version_info >= (3, 13) else '_xxsubinterpreters'\n"
        "interpreters = __import__(name)\n"
        "interpreter = interpreters.create()\n"
        "interpreters.run_string(interpreter, textwrap.dedent('''\n"
        "    import gc, re\n"
        "    print(gc.get_threshold(), eval('1 + 1'), re.compile('a(b)c').groups)\n"
        "    exec('print(3)', {})\n"
        "'''))\n"
        "interpreters.destroy(interpreter)\n"
        "import gc\nprint(gc.get_threshold())\n"
    )
    runs(application({"__main__.py": "import work", "work.py": work}))


FORKS = """
import os, threading, time
started, over = threading.Event(), threading.Event()
def load():
    import slow
thread = threading.Thread(target=load)
import slow_state
slow_state.started, slow_state.over = started, over
thread.start()
started.wait()
if (child := os.fork()) == 0:
    import gc
    before = gc.get_stats()[0]["collections"]
    kept = [[] for _ in range(40000)]
    print(gc.get_stats()[0]["collections"] - before > 8, flush=True)
    compile("6 * 7 + 0", "compiled-there", "eval")
    os._exit(0)
os.waitpid(child, 0)
over.set()
thread.join()
"""


def test_forks_beside_imports(application: Callable[..., Application]) -> None:
    """A child process does not wait for the imports of a thread that it does not have."""
    files = {
        "__main__.py": FORKS,
        "slow.py": "import slow_state\nslow_state.started.set()\nslow_state.over.wait()\n",
        "slow_state.py": "",
    }
    it = application(files)
    outcome = it.bundled(MMPORT_LOG=LOG, MMPORT_ROOT=root_of(it))
    assert outcome.stdout == it.plain().stdout == "True\n"
    assert "compiled-there" not in outcome.stderr


def test_patterns_of_a_long_import(application: Callable[..., Application]) -> None:
    """What a program throws away in the course of an import goes, but for a few."""
    work = (
        "import gc, re, weakref\nalive = []\n"
        "for i in range(3000):\n    alive.append(weakref.ref(re.compile(f'x{i}')))\n"
        "re.purge()\ngc.collect()\nprint(sum(r() is not None for r in alive) <= 400)\n"
    )
    runs(application({"__main__.py": "import work", "work.py": work}))


def test_threads_that_warn_at_the_end(application: Callable[..., Application]) -> None:
    """What is kept at the end disturbs no thread that still runs."""
    work = (
        "import re, sys, threading, warnings\nsys.setswitchinterval(1e-5)\n"
        "re.compile('[[a]x')\nfor i in range(100):\n    re.compile(f'(a|b){i}[c-d]*')\n"
        "def busy():\n    for i in range(3000):\n        re.compile(f'y{i}')\n"
        "        warnings.warn(f'w{i}', ResourceWarning)\n    print('over')\n"
        "threading.Thread(target=busy).start()\n"
    )
    it = application({"__main__.py": "import work", "work.py": work})
    for _ in range(3):
        outcome = it.bundled(MMPORT_ROOT=root_of(it))
        assert (outcome.status, outcome.stdout) == (0, "over\n")
        assert outcome.stderr.count("Warning") == 1


def test_garbage_of_many_imports_goes(application: Callable[..., Application]) -> None:
    """A program that imports again and again is collected like any other."""
    work = "import gc, sys\nclass Cycle:\n    count = 0\n    def __init__(self):\n"
    work += "        self.itself = self\n        Cycle.count += 1\n    def __del__(self):\n"
    work += "        Cycle.count -= 1\nmost = 0\nfor _ in range(60):\n"
    work += "    for _ in range(12_000):\n        Cycle()\n    sys.modules.pop('part', None)\n"
    work += "    import part\n    most = max(most, Cycle.count)\nprint(most)\n"
    files = {"__main__.py": "import work\n", "work.py": work, "part.py": "x = 1\n"}
    # Of 720,000.
    assert int(application(files).bundled().succeeded().stdout) < 450_000

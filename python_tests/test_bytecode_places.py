"""One entry for a source at many places: code objects show the place that they are loaded from."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from code_cache import Cached, write_zip
from support import Runner, write_files

MODULE = '''\
"""Code objects in code objects, each of which fails or tells its file."""
import inspect
import warnings


class Outer:
    class Inner:
        def method(self):
            def nested():
                return [(lambda: 1 / 0)() for _ in range(1)]

            return nested()

    async def coroutine(self):
        return {name: await other for name, other in ()}


def generator():
    yield from (number / 0 for number in (1,))


def warned():
    warnings.warn("old", DeprecationWarning, stacklevel=1)


def code_objects(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, type(code)):
            yield from code_objects(constant)


def all_code():
    for value in (Outer.Inner.method, Outer.coroutine, generator, warned, code_objects):
        yield from code_objects(value.__code__)
'''
MAIN = """\
import inspect, sys, traceback, warnings
import moved.module as module

warnings.simplefilter("always")
module.warned()
names = {code.co_filename for code in module.all_code()}
print(names == {module.__file__}, sum(1 for _ in module.all_code()) >= 7)
print(inspect.getsourcefile(module.Outer), inspect.getsource(module.Outer.Inner.method), end="")
for fails in module.Outer.Inner().method, lambda: list(module.generator()):
    try:
        fails()
    except ZeroDivisionError:
        traceback.print_exc()
raise SystemExit(module.__file__)
"""
FILES = {"__main__.py": MAIN, "moved/__init__.py": "", "moved/module.py": MODULE}


def test_two_zips(tmp_path: Path, cached: Cached) -> None:
    """Each shows its own path everywhere, as `zipimport` does."""
    first, second = (write_zip(tmp_path / f"{name}.zip", FILES) for name in ("one", "two"))
    outcomes = [cached.run(path) for path in (first, second, first, second)]
    assert outcomes[0].misses == ["__main__", "moved", "moved.module"]
    assert [outcome.misses for outcome in outcomes[1:]] == [[]] * 3
    assert len(cached.told("list")) == 3
    for start, path, other in zip(outcomes, [first, second] * 2, [second, first] * 2, strict=True):
        plain = cached(sys.executable, path).outcome
        assert "True True" in plain.stdout
        assert (start.outcome.status, start.outcome.stdout) == (plain.status, plain.stdout)
        # CPython does not find the line that a warning is about in a zip.
        line = '  warnings.warn("old", DeprecationWarning, stacklevel=1)\n'
        assert start.outcome.stderr.replace(line, "") == plain.stderr.replace(line, "")
        for text in start.outcome.stdout, start.outcome.stderr:
            assert f"{path}/moved/module.py" in text
            assert str(other) not in text
            assert "<mmport>" not in text


def test_two_trees(tmp_path: Path, cached: Cached) -> None:
    """As `FileFinder` does, and though the name of the package is another one."""
    starts, plain = [], []
    for name in "one", "two":
        tree = write_files(tmp_path / name, {k: v for k, v in FILES.items() if k != "__main__.py"})
        write_files(tree, {"start.py": MAIN})
        starts.append(cached.serve(tree, "start"))
        code = "import sys; sys.path.append(sys.argv[1]); import start"
        plain.append(cached(sys.executable, "-B", "-c", code, tree))
    assert starts[1].misses == []
    for ours, theirs in zip(starts, plain, strict=True):
        assert (ours.outcome.status, ours.outcome.stdout) == (1, theirs.outcome.stdout)
        assert ours.outcome.stderr == theirs.outcome.stderr


def test_one_source_under_two_names(tmp_path: Path, cached: Cached) -> None:
    """The compiler is not told a module's name, so neither is the key."""
    text = "print(__name__, (lambda: 0).__code__.co_filename, (lambda: 0).__module__)\n"
    tree = write_files(
        tmp_path / "tree", {"one.py": text, "two.py": text, "all.py": "import one\n"}
    )
    write_files(tree, {"all.py": "import one, two\n"})
    first, second = (cached.serve(tree, "all") for _ in range(2))
    expected = "".join(f"{name} {tree}/{name}.py {name}\n" for name in ("one", "two"))
    assert first.outcome.succeeded().stdout == expected
    assert first.keys["one"] == first.keys["two"]
    assert (second.outcome, second.misses) == (first.outcome, [])
    assert len(cached.told("list")) == 2


PATHS = ["sp ace", "umläut", "new\nline", "<mmport>", "quote'\"", "back\\slash"]


@pytest.mark.parametrize("name", PATHS)
def test_unusual_paths(name: str, tmp_path: Path, cached: Cached) -> None:
    """They come back as they are."""
    text = "print(ascii((lambda: (lambda: 0))().__code__.co_filename))\n"
    tree = write_files(tmp_path / name, {"one.py": text})
    elsewhere = write_files(tmp_path / "elsewhere", {"one.py": text})
    cached.serve(elsewhere, "one").outcome.succeeded()
    start = cached.serve(tree, "one")
    assert start.outcome.succeeded().stdout == f"{str(tree / 'one.py')!a}\n"
    assert start.misses == []


DOES_NOT_COMPILE = {
    "syntax": "value = 1\ndef f(:\n    pass\n",
    "indentation": "def f():\n\tx\n        y\n",
    "null": "a = '\0'\n",
    "encoding": "# coding: no-such-encoding\n",
    "bytes": b"a = '\xff'\n",
    "return": "return 1\n",
    "future": "from __future__ import no_such\n",
    "global": "def f():\n    x = 1\n    global x\n",
}


@pytest.mark.parametrize("name", DOES_NOT_COMPILE)
def test_what_does_not_compile(name: str, tmp_path: Path, cached: Cached, run: Runner) -> None:
    """The error is CPython's own, each time, and leaves nothing behind."""
    tree = write_files(tmp_path / "tree", {"wrong.py": DOES_NOT_COMPILE[name]})
    code = (
        "import sys; sys.path.append(sys.argv[1])\ntry:\n    import wrong\nexcept Exception as e:\n"
        "    print(type(e), e.args, getattr(e, 'filename', None), getattr(e, 'text', None))\n"
        "import traceback\ntry:\n    import wrong\nexcept Exception:\n    traceback.print_exc()\n"
    )
    plain = run(sys.executable, "-B", "-c", code, tree).succeeded()
    for _ in range(2):
        ours = cached(
            sys.executable, "-c", f"import sys, mmport; mmport.install(sys.argv[1]); {code}", tree
        )
        assert ours.outcome == plain
        assert ours.misses == ["wrong", "wrong"]
    assert cached.packs() == []


WARNED: Mapping[str, str] = {
    "literal": "x = 1\nif x is 1:\n    print('is')\n",
    "escape": "print('\\d')\n",
    "assert": "assert (1, 'always true')\nprint('asserted')\n",
    "call": "try:\n    print(1)\n    'a'()\nexcept TypeError:\n    pass\n",
}


@pytest.mark.parametrize("name", WARNED)
def test_what_the_compiler_warns_of(name: str, tmp_path: Path, cached: Cached) -> None:
    """It is said when it compiles and not when it does not, as with `.pyc` files."""
    tree = write_files(tmp_path / "tree", {"warned.py": WARNED[name]})
    plain_code = "import sys; sys.path.append(sys.argv[1]); import warned"
    for _ in range(2):
        plain = cached(sys.executable, "-W", "always", "-c", plain_code, tree)
        ours = cached.serve(tree, "warned", "-W", "always")
        assert ours.outcome == plain.outcome.succeeded()
        assert ("Warning: " in ours.outcome.stderr) == bool(ours.misses)
    assert ours.misses == []


def test_a_warning_that_is_an_error_keeps_nothing(tmp_path: Path, cached: Cached) -> None:
    """What did not compile is not kept; without `-W error` it compiles."""
    tree = write_files(tmp_path / "tree", {"warned.py": WARNED["literal"]})
    failed = cached.serve(tree, "warned", "-W", "error")
    assert failed.outcome.status == 1
    assert "SyntaxError: " in failed.outcome.stderr
    assert cached.packs() == []
    assert cached.serve(tree, "warned", "-W", "ignore").outcome.succeeded().stdout == "is\n"

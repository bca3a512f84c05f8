"""Changing worlds: bundles that are replaced, cut off, overwritten or deleted under a program."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Application, Build
from support import Outcome, Runner, write_files

# Imports modules and does things to its own bundle, as its arguments say.
DRIVER = """\
import faulthandler, importlib, inspect, linecache, os, shutil, signal, sys
faulthandler.enable()
bundle = os.path.dirname(__file__)
for word in sys.argv[1:]:
    action, _, name = word.partition("=")
    try:
        if action == "import":
            module = importlib.import_module(name)
            print(name, module.VALUE)
        elif action == "reload":
            print("reloaded", importlib.reload(sys.modules[name]).VALUE)
        elif action == "source":
            print("source", inspect.getsource(sys.modules[name]).splitlines()[0])
        elif action == "data":
            module = sys.modules[name]
            with open(os.path.join(os.path.dirname(module.__file__), "data.txt")) as file:
                print("data", file.read())
        elif action == "resource":
            print("resource", importlib.resources.files(name).joinpath("data.txt").read_text())
        elif action == "invalidate":
            importlib.invalidate_caches()
            linecache.clearcache()
        elif action == "rename":
            os.replace(name, bundle)
        elif action == "copy":
            with open(name, "rb") as source, open(bundle, "r+b") as target:
                shutil.copyfileobj(source, target)
                target.truncate()
        elif action == "truncate":
            os.truncate(bundle, int(float(name) * os.path.getsize(bundle)))
        elif action == "overwrite":
            with open(bundle, "r+b") as target:
                target.write(b"\\\\0" * os.path.getsize(bundle))
        elif action == "delete":
            os.remove(bundle)
        elif action == "spec":
            print("spec", importlib.util.find_spec(name) is not None)
        elif action == "fork":
            child = os.fork()
            if not child:
                importlib.import_module(name)
                os._exit(7)
            print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        elif action == "handler":
            print("default handler", signal.getsignal(signal.SIGBUS) == signal.SIG_DFL)
    except Exception as error:
        print(name, type(error).__name__, str(error).replace(bundle, "BUNDLE"), end="")
        print(";", getattr(error, "name", None), getattr(error, "path", "").startswith(bundle))
    sys.stdout.flush()
"""
FILLER = "".join(f"# {number}\n" for number in range(20_000))


def modules(value: str) -> dict[str, str]:
    """Return an application whose modules have the value."""
    text = f"VALUE = {value!r}  # of the module\n"
    return {
        "__main__.py": f"import importlib.resources, importlib.util\n{DRIVER}",
        "one.py": text,
        "two.py": text,
        f"only_{value}.py": text,
        "python/__init__.py": text,
        "python/inner.py": text,
        "python/other.py": text + FILLER,
        "files/__init__.py": text,
        "files/inner.py": text,
        "files/data.txt": value,
        "late/__init__.py": text,
        "late/data.txt": value,
    }


@pytest.fixture
def former(application: Callable[..., Application], tmp_path: Path) -> Application:
    """Return the application, as a bundle that a test may spoil."""
    it = application(modules("former"))
    copy = tmp_path / "app.pyz"
    shutil.copy2(it.bundle, copy)
    return Application(copy, it.folder, it.mmport, it.python, it.run)


@pytest.fixture
def latter(build: Build, tmp_path: Path) -> Path:
    """Return another bundle, with another value in every module."""
    bundle = build("--source", write_files(tmp_path / "latter", modules("latter")))
    return Path(shutil.copy2(bundle, tmp_path / "latter.pyz"))


def lines(outcome: Outcome) -> list[str]:
    """Return what a program has printed that ended well."""
    assert outcome.succeeded().stderr == ""
    return outcome.stdout.splitlines()


@pytest.mark.parametrize("way", ["rename", "copy"])
def test_replaced(way: str, former: Application, latter: Path) -> None:
    """The former file is served until the caches are invalidated, then the new one."""
    found = lines(
        former.bundled(
            "import=one", "import=python", "import=files", f"{way}={latter}",
            *(["import=two", "import=python.inner", "import=late"] if way == "rename" else []),
            "source=one", "data=files", "spec=only_latter", "invalidate",
            "import=only_latter", "spec=only_former", "import=python.other", "import=files.inner",
            "data=files", "reload=one", "source=one", "reload=files", "data=files", "reload=late"
            if way == "rename" else "import=late", "data=late", "resource=late",
        )
    )  # fmt: skip
    first = ["one former", "python former", "files former"]
    until = ["two former", "python.inner former", "late former"]
    # Overwritten in place, the source of a loaded module is gone.
    source = "source VALUE = 'former'  # of the module" if way == "rename" else found[3]
    late = "reloaded latter" if way == "rename" else "late latter"
    assert found == [
        *first, *(until if way == "rename" else []), source,
        "data former", "spec False",
        "only_latter latter", "spec False", "python.other latter", "files.inner latter",
        "data former", "reloaded latter", "source VALUE = 'latter'  # of the module",
        "reloaded latter", "data latter", late, "data latter", "resource latter",
    ]  # fmt: skip


def test_deleted(former: Application) -> None:
    """A deleted bundle is served to the end, as programs go on that are upgraded."""
    found = lines(
        former.bundled(
            "import=one", "delete", "import=two", "import=late", "data=late", "source=one",
            "invalidate", "import=python.inner", "resource=files",
        )
    )  # fmt: skip
    assert found == [
        "one former", "two former", "late former", "data former",
        "source VALUE = 'former'  # of the module", "python.inner former", "resource former",
    ]  # fmt: skip


@pytest.mark.parametrize("way", ["truncate=0", "truncate=0.05", "overwrite"])
def test_spoiled(way: str, former: Application) -> None:
    """What is gone cannot be imported, and says so; the process and what it has live on."""
    missing = [f"import=python{tail}" for tail in ("", ".inner", ".other")]
    found = lines(
        former.bundled(
            "import=one", "import=files", way, "fork=one", "import=two", "import=late", *missing,
            "resource=files", "spec=two", "invalidate", "import=two", "reload=one", "data=files",
            "handler",
        )
    )  # fmt: skip
    assert found[:3] == ["one former", "files former", "child 7"]
    assert found[-1] == "default handler True"
    errors = [line for line in found if "Error" in line]
    assert errors
    for line in errors:
        assert "ImportError" in line or "OSError" in line or "ModuleNotFoundError" in line
        assert "BUNDLE" in line or "No module named 'python'" in line, line
    assert "data former" in found
    assert "spec True" in found


def test_handler_of_the_program(application: Callable[..., Application]) -> None:
    """The signal's handler is the program's own whenever it looks, and gets its signals."""
    program = (
        "import signal, os, sys, one\n"
        "print(signal.getsignal(signal.SIGBUS) == signal.SIG_DFL)\n"
        "signal.signal(signal.SIGBUS, lambda *it: print('bus'))\n"
        "import two\n"
        "os.kill(os.getpid(), signal.SIGBUS)\n"
        "signal.signal(signal.SIGBUS, signal.SIG_DFL)\n"
        "import python.other\n"
        "sys.stdout.flush()\n"
        "os.kill(os.getpid(), signal.SIGBUS)\n"
    )
    it = application({**modules("former"), "__main__.py": program})
    assert str(it.bundled()) == str(it.plain())
    assert it.bundled().stdout == "True\nbus\n"
    assert it.bundled().status == -signal.SIGBUS


def test_cut_off_at_every_moment(former: Application, run: Runner) -> None:
    """Whenever a bundle is cut off, imports give modules or `ImportError`, never a signal."""
    program = """\
import importlib, os, sys, threading
bundle = os.path.dirname(__file__)
copies = [f"many.m{number}" for number in range(60)]
def cut():
    import time
    time.sleep(float(sys.argv[1]))
    os.truncate(bundle, 0)
thread = threading.Thread(target=cut)
thread.start()
good = []
for name in copies:
    try:
        good.append(importlib.import_module(name).VALUE)
    except ImportError as error:
        assert "cut off" in str(error), error
thread.join()
# Those before the cut.
assert good == list(range(len(good))), good
print("imported", len(good))
"""
    body = "".join(f"def f{n}(a, b=({n}, 'x')): return a + {n}\n" for n in range(300))
    files = {"__main__.py": program, "many/__init__.py": ""}
    files |= {f"many/m{number}.py": f"VALUE = {number}\n{body}" for number in range(60)}
    folder = write_files(run.cwd / "many", files)
    run(former.mmport, "build", "--source", folder, "-o", "many.pyz").succeeded()
    counts = []
    # At once, at moments in between, and when everything is imported.
    for delay in (*(step * 0.002 for step in range(12)), 2):
        copy = shutil.copy2(run.cwd / "many.pyz", run.cwd / f"copy{delay}.pyz")
        word, count = run(former.mmport, "run", copy, str(delay)).succeeded().stdout.split()
        assert word == "imported"
        counts.append(int(count))
    assert counts[0] < counts[-1] == 60, counts


# Each does the same from a bundle as from a folder.
PROGRAMS = {
    "a zip that comes late": {
        "__main__.py": """\
import importlib, os, sys, zipfile
late = os.path.abspath("late.zip")
sys.path.insert(0, late)
def attempt(step):
    try:
        print(step, importlib.import_module("late").VALUE)
    except ImportError as error:
        print(step, type(error).__name__, error)
def write(value):
    with zipfile.ZipFile(late, "w") as target:
        target.writestr("late.py", f"VALUE = {value!r}\\n")
attempt("absent")
write("first")
attempt("not looked at again")
importlib.invalidate_caches()
attempt("there")
write("second one")
del sys.modules["late"]
importlib.invalidate_caches()
attempt("replaced")
os.remove(late)
del sys.modules["late"]
importlib.invalidate_caches()
attempt("gone")
""",
    },
    "a fork in the midst of an import": {
        "__main__.py": "import forks, os\nos.wait()\nprint(forks.VALUE, flush=True)\n",
        "forks.py": """\
import os, sys
import before
child = os.fork()
import after
VALUE = "child" if child == 0 else "parent"
if child == 0:
    import threading
    def work():
        import third
        print(third.VALUE, flush=True)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    os._exit(0)
""",
        **{f"{name}.py": f"VALUE = {name!r}\n" for name in ("before", "after", "third")},
    },
    "many threads that import at once": {
        "__main__.py": """\
import importlib, random, threading
names = [f"many.m{number}" for number in range(40)]
start = threading.Barrier(16)
seen = []
def work(seed):
    order = names[:]
    random.Random(seed).shuffle(order)
    start.wait()
    seen.append(sum(importlib.import_module(name).VALUE for name in order))
threads = [threading.Thread(target=work, args=(seed,)) for seed in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
import many
print(seen, many.COUNT)
""",
        "many/__init__.py": "COUNT = []\n",
        **{
            f"many/m{number}.py": "import many, time\ntime.sleep(0.001)\nVALUE = 1\n"
            f"many.COUNT.append({number})\n"
            + (f"from many import m{number - 1}\n" if number % 5 else "")
            for number in range(40)
        },
    },
    "a path that is edited": {
        "__main__.py": """\
import importlib, os, sys
here = os.path.dirname(__file__)
def attempt(name):
    try:
        print(name, importlib.import_module(name).VALUE)
    except ImportError as error:
        print(name, type(error).__name__, error)
attempt("hidden")
sys.path.append(here + "/inner")
attempt("hidden")
sys.path.remove(here + "/inner")
del sys.modules["hidden"]
attempt("hidden")
import package
attempt("package.hidden")
package.__path__.append(here + "/inner")
attempt("package.hidden")
del package.__path__[:]
del sys.modules["package.hidden"]
attempt("package.hidden")
attempt("package.module")
del sys.path[:]
attempt("other")
sys.path.append(here)
attempt("other")
""",
        "inner/hidden.py": "VALUE = 'hidden'\n",
        "package/__init__.py": "",
        "package/module.py": "VALUE = 'module'\n",
        "other.py": "VALUE = 'other'\n",
    },
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_as_from_a_folder(name: str, application: Callable[..., Application]) -> None:
    """What changes on the way to a module is seen, or not seen, as CPython sees it."""
    it = application(PROGRAMS[name])
    found, expected = it.bundled(), it.plain()
    if name.startswith("many threads"):
        # The order in which they finish is nobody's.
        assert found.succeeded().stderr == expected.succeeded().stderr == ""
        for outcome in (found, expected):
            values, modules = (
                outcome.stdout.strip().removeprefix("[").removesuffix("]").split("] [")
            )
            assert values.split(", ") == ["40"] * 16
            assert sorted(map(int, modules.split(", "))) == list(range(40))
        return
    assert str(found) == str(expected)
    assert found.status == 0, str(found)

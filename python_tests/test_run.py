"""`mmport run`: a bundle's program behaves as the same program from a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from conftest import Application, Build
from support import Names, Outcome, Runner, write_files

Make = Callable[..., Application]

# Each is the `__main__.py` of an application, or all of its files.
PROGRAMS: dict[str, str | Mapping[str, str | bytes]] = {
    "arguments": "import sys; print(sys.argv[1:], len(sys.orig_argv) > 0)",
    "end": "print('done')",
    "exit status": "import sys; sys.exit(37)",
    "exit status beyond a byte": "import sys; sys.exit(256 + 7)",
    "exit with none": "import sys; sys.exit()",
    "exit with text": "import sys; sys.exit('that is wrong: ä')",
    "exit with an object": "import sys; sys.exit([1, 2])",
    "exit at once": "import os; os._exit(5)",
    "raise SystemExit": "raise SystemExit(9)",
    "atexit": "import atexit; atexit.register(print, 'last'); print('first'); raise SystemExit(3)",
    "stdin": "import sys; print(sys.stdin.read().upper())",
    "main": "print(__name__, __package__ or 'none', __doc__, __builtins__.__name__)",
    "docstring": '"""What it does."""\nprint(__doc__, __annotations__)\nx: int = 1\n',
    "exception": "def fail(x):\n    return 1 / x\n\nfail(0)\n",
    "exception in a package": {
        "__main__.py": "from package.module import outer\n\nouter({'key': 'value'})\n",
        "package/__init__.py": "",
        "package/module.py": "def inner(mapping):\n    return mapping['missing']['deeper']\n\n\n"
        "def outer(mapping):\n    return [\n        inner(mapping),\n        1,\n    ]\n",
    },
    "exception while importing": {
        "__main__.py": "import package.broken\n",
        "package/__init__.py": "x = 1\n",
        "package/broken.py": "raise RuntimeError('no')\n",
    },
    "chained exceptions": {
        "__main__.py": "import module\ntry:\n    module.first()\nexcept KeyError as error:\n"
        "    raise ValueError('second') from error\n",
        "module.py": "def first():\n    raise KeyError('first')\n",
    },
    "syntax error": {"__main__.py": "import module\n", "module.py": "x = (1,\ny = 2\n"},
    "syntax error not in ASCII": {"__main__.py": "import m\n", "m.py": "x = 'ä'; y = = 1\n"},
    "no such module": "import there_is_no_such_module\n",
    "no such name": {"__main__.py": "from module import nome\n", "module.py": "name = 1\n"},
    "recursion": {"__main__.py": "import m\n", "m.py": "def f():\n    f()\n\n\nf()\n"},
    "own excepthook": "import sys\nsys.excepthook = lambda *a: print('mine', a[0])\n1 / 0\n",
    "exception group": "import sys\nif sys.version_info >= (3, 11):\n"
    "    raise ExceptionGroup('both', [ValueError(1), TypeError(2)])\nraise ValueError\n",
    "exception with notes": "e = ValueError('x')\nif hasattr(e, 'add_note'):\n    e.add_note('n')\n"
    "raise e\n",
    "traceback by hand": {
        "__main__.py": "import module, traceback\ntry:\n    module.f()\nexcept ValueError:\n"
        "    traceback.print_exc()\n",
        "module.py": "def f():\n    raise ValueError('text ä')  # ü\n",
    },
    "exception in a thread": {
        "__main__.py": "import threading, module\nt = threading.Thread(target=module.f)\n"
        "t.start()\nt.join()\n",
        "module.py": "def f():\n    raise ValueError('in a thread')\n",
    },
    "exception in __del__": {
        "__main__.py": "import module\nx = module.C()\ndel x\n",
        "module.py": "class C:\n    def __del__(self):\n        raise ValueError('unraisable')\n",
    },
    "warning": {
        "__main__.py": "import module\nmodule.f()\n",
        "module.py": "import warnings\n\n\ndef f():\n    warnings.warn('careful')\n",
    },
    "warning as error": {
        "__main__.py": "import warnings, module\nwarnings.simplefilter('error')\nmodule.f()\n",
        "module.py": "import warnings\n\n\ndef f():\n    warnings.warn('careful')\n",
    },
    "keyboard interrupt raised": "raise KeyboardInterrupt\n",
    "standard library": "import json, sqlite3, ssl, decimal; print(json.dumps({'a': 1}))",
    "one child": "import subprocess, sys\n"
    "subprocess.run([sys.executable, '-c', 'print(6 * 7)'], check=True)\n",
    "flags": "import sys; print([f for f in dir(sys.flags) if f[0] != '_' "
    "and getattr(sys.flags, f) and f != 'count'])",
    "encodings": "import sys, locale; print(sys.stdout.encoding, sys.stdin.errors, "
    "sys.getfilesystemencoding(), locale.getpreferredencoding(), sys.stdout.line_buffering)",
    "signals": "import signal; print([(s.name, str(signal.getsignal(s))) for s in "
    "(signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXFSZ)])",
    "signal mask": "import signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, []))",
    "open files": "import os; print(sorted(f for f in os.listdir('/proc/self/fd') if int(f) < 3))",
    "kill itself": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "assert": "assert not __debug__, 'debugging'\nprint('optimized')\n",
}


def names_of(application: Application) -> Names:
    """Name the two places of an application alike, and what changes with the import's depth."""
    return Names(
        {application.bundle: "<application>", application.folder: "<application>"},
        {r"\b0x[0-9a-f]+": "<address>", r"repeated \d+ more times": "repeated"},
    )


@pytest.mark.parametrize("name", PROGRAMS)
def test_as_from_a_folder(name: str, application: Make) -> None:
    """Same output and status as `python folder/__main__.py`."""
    it = application(PROGRAMS[name])
    arguments = ["a", "--b", "ü", "", "-c", "--"]
    found = it.bundled(*arguments, stdin="typed\n").named(names_of(it))
    assert str(found) == str(it.plain(*arguments, stdin="typed\n").named(names_of(it)))


@pytest.mark.parametrize(
    ("variables", "program"),
    [
        ({"PYTHONOPTIMIZE": "1"}, "assert"),
        ({"PYTHONOPTIMIZE": "2"}, "docstring"),
        ({"PYTHONWARNINGS": "error"}, "warning"),
        ({"PYTHONWARNINGS": "ignore"}, "warning"),
        ({"PYTHONUTF8": "0", "LC_ALL": "C"}, "encodings"),
        ({"PYTHONIOENCODING": "latin-1"}, "exit with text"),
        ({"PYTHONNODEBUGRANGES": "1"}, "exception in a package"),
        ({"PYTHONUNBUFFERED": "1"}, "encodings"),
        ({"PYTHONDONTWRITEBYTECODE": "1", "PYTHONSAFEPATH": "1"}, "flags"),
        ({"PYTHONDEVMODE": "1"}, "flags"),
        ({"PYTHONHASHSEED": "0"}, "flags"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else value,
)
def test_variables_of_python(variables: dict[str, str], program: str, application: Make) -> None:
    """The variables that Python reads mean what they mean to Python."""
    it = application(PROGRAMS[program])
    found = it.bundled(**variables).named(names_of(it))
    assert str(found) == str(it.plain(**variables).named(names_of(it)))


def test_arguments_are_exact(application: Make) -> None:
    """`sys.argv` is the bundle's path as given and what follows, options and all."""
    it = application("import sys; print(sys.argv)")
    found = it.bundled("--help", "--version", "-q", "--with", "x").succeeded()
    assert found.stdout == f"{[str(it.bundle), '--help', '--version', '-q', '--with', 'x']}\n"


def test_arguments_that_are_not_utf8(application: Make, run: Runner, mmport: Path) -> None:
    """Bytes that are no text come back as they were."""
    it = application("import os, sys; print(os.fsencode(sys.argv[1]))")
    finished = subprocess.run(
        [mmport, "run", it.bundle, b"\xff\xfe"], env=run.environment, capture_output=True
    )
    assert finished.stdout == b"b'\\xff\\xfe'\n", finished.stderr


def test_python_path_comes_first(application: Make, run: Runner) -> None:
    """`PYTHONPATH` is honoured, before the bundle."""
    folder = write_files(run.cwd / "path", {"both.py": "x = 'path'\n", "extra.py": "x = 1\n"})
    it = application(
        {"__main__.py": "import both, extra; print(both.x, extra.x)", "both.py": "x = 'bundle'\n"}
    )
    assert it.bundled(PYTHONPATH=str(folder)).succeeded().stdout == "path 1\n"
    assert "No module named 'extra'" in it.bundled().stderr


def test_working_directory_is_not_on_the_path(application: Make, run: Runner) -> None:
    """A module that lies in the working directory is not imported."""
    write_files(run.cwd, {"surprise.py": "print('surprise')\n"})
    found = application("import surprise").bundled()
    assert found.status == 1
    assert "No module named 'surprise'" in found.stderr


def test_no_packages_of_the_base_python(application: Make) -> None:
    """What is installed in the Python that is embedded is not there."""
    it = application("import sys; print([p for p in sys.path if 'packages' in p])")
    assert it.bundled().succeeded().stdout == "[]\n"


@pytest.fixture
def waiting(application: Make) -> Application:
    """Return an application that says when it is ready and then waits."""
    return application(
        {
            "__main__.py": "import module\nmodule.wait()\n",
            # All in one line: the signal may come anywhere in it.
            "module.py": "import signal\n\n\ndef wait():\n"
            "    while True: print('ready', flush=True); signal.pause()\n",
        }
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_the_process(waiting: Application, number: signal.Signals) -> None:
    """The process dies of the signal, after the same words."""
    environment = {**waiting.run.environment, "PYTHONNODEBUGRANGES": "1"}
    outcomes = []
    for command in (
        [waiting.mmport, "run", waiting.bundle],
        [waiting.python, waiting.folder / "__main__.py"],
    ):
        with subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(number)
            stdout, stderr = process.communicate(timeout=60)
        outcomes.append(Outcome(process.returncode, stdout, stderr).named(names_of(waiting)))
    assert str(outcomes[0]) == str(outcomes[1])
    assert outcomes[0].status == -number


def run_with_closed_stdout(command: list[Path | str], environment: Mapping[str, str]) -> Outcome:
    """Run a command whose standard output is a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        finished = subprocess.run(
            command, stdout=writing, stderr=subprocess.PIPE, text=True, env=dict(environment)
        )
    finally:
        os.close(writing)
    return Outcome(finished.returncode, "", finished.stderr)


@pytest.mark.parametrize(
    "program",
    ["print('x')", "for i in range(100000): print('line', i)", "import sys; sys.exit(3)"],
    ids=["little", "much", "none"],
)
def test_closed_pipe(program: str, application: Make) -> None:
    """A reader that has gone is met as Python meets it."""
    it = application(program)
    plain: list[Path | str] = [it.python, it.folder / "__main__.py"]
    found = run_with_closed_stdout([it.mmport, "run", it.bundle], it.run.environment)
    expected = run_with_closed_stdout(plain, it.run.environment)
    assert found.named(names_of(it)) == expected.named(names_of(it))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_stdout(application: Make) -> None:
    """Output that cannot be written is met as Python meets it."""
    it = application("print('x')")
    outcomes = []
    for command in ([it.mmport, "run", it.bundle], [it.python, it.folder / "__main__.py"]):
        with open("/dev/full", "w") as full:
            finished = subprocess.run(
                command, stdout=full, stderr=subprocess.PIPE, text=True, env=it.run.environment
            )
        outcomes.append((finished.returncode, finished.stderr))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0] == 120


def test_standard_streams_that_are_closed(application: Make) -> None:
    """A process without standard streams works as Python does."""
    it = application("import sys; sys.exit(repr((sys.stdin, sys.stdout)))")
    for name in "bundled", "plain":
        command = [it.mmport, "run", it.bundle] if name == "bundled" else [it.python, it.folder]
        words = " ".join(map(str, command))
        found = it.run("sh", "-c", f"{words} <&- >&-")
        assert (found.status, found.stderr) == (1, "(None, None)\n")


PURE = {
    "__main__.py": "import sys, module\nprint(module.x, sys.argv[1:])\n",
    "module.py": "x = 1\n",
}
WITH_FILES = {
    **{"package/__init__.py": "", "package/data.txt": "text of the file\n"},
    "app.py": "import package, pathlib, sys\n\n\ndef main():\n"
    "    print(pathlib.Path(package.__file__).with_name('data.txt').read_text(), sys.argv[1:])\n"
    "    return 4\n",
}


def test_pure_bundle_under_plain_python(application: Make) -> None:
    """A bundle of Python files only is a zip application like any other."""
    it = application(PURE)
    found = it.run(it.python, it.bundle, "a")
    assert found == Outcome(0, "1 ['a']\n", "")


@pytest.fixture
def with_files(build: Build, run: Runner) -> Path:
    """Return a bundle with a package that holds a data file."""
    return build("--source", write_files(run.cwd / "with-files", WITH_FILES), "-e", "app:main")


def test_files_are_there(with_files: Path, run: Runner, mmport: Path) -> None:
    """Programs find real files beside `__file__`."""
    assert run(mmport, "run", with_files, "a") == Outcome(4, "text of the file\n ['a']\n", "")


def test_bundle_with_files_under_plain_python(
    with_files: Path, run: Runner, plain_python: Path
) -> None:
    """It says what runs it instead."""
    found = run(plain_python, with_files)
    assert (found.status, found.stdout) == (126, "")
    assert str(with_files) in found.stderr
    assert f"mmport run {with_files}" in found.stderr
    assert "package" in found.stderr
    assert "Traceback" not in found.stderr


def test_bundle_with_files_where_mmport_is_installed(with_files: Path, run: Runner) -> None:
    """Plain Python hands over to the mmport package where it has it."""
    found = run(sys.executable, with_files, "a")
    assert found == Outcome(4, "text of the file\n ['a']\n", "")


def test_bundle_is_executable(application: Make) -> None:
    """`./app.pyz` finds mmport on PATH, in the native binary's folder here."""
    it = application(PURE)
    found = it.run("./app.pyz", "a", "--b", cwd=it.bundle.parent)
    assert found == Outcome(0, "1 ['a', '--b']\n", "")


def test_relative_paths_and_links(application: Make) -> None:
    """Neither the place mmport is started from nor a link to it or to the bundle matters."""
    it = application({**PURE, "__main__.py": "import sys, module; print(sys.argv[0], module.x)"})
    links = it.run.cwd / "links"
    links.mkdir()
    (links / "mmport-link").symlink_to(it.mmport)
    (links / "app").symlink_to(it.bundle)
    for command, argument, folder in [
        (it.mmport, "app.pyz", it.bundle.parent),
        (it.mmport, "./app.pyz", it.bundle.parent),
        (it.mmport, f"../{it.bundle.parent.name}/app.pyz", it.bundle.parent),
        (links / "mmport-link", "app", links),
        (links / "mmport-link", str(links / "app"), Path("/")),
        ("./mmport-link", str(it.bundle), links),
    ]:
        found = it.run(command, "run", argument, cwd=folder)
        assert found == Outcome(0, f"{argument} 1\n", ""), argument


CHILDREN = {
    "worker.py": "def double(x):\n    return 2 * x\n",
    "pool.py": "import concurrent.futures, multiprocessing, sys, worker\n\n\n"
    "def main():\n"
    "    for method in sys.argv[1:]:\n"
    "        context = multiprocessing.get_context(method)\n"
    "        with context.Pool(2) as pool:\n"
    "            print(method, pool.map(worker.double, range(5)))\n"
    "        executor = concurrent.futures.ProcessPoolExecutor(2, mp_context=context)\n"
    "        with executor:\n"
    "            print(list(executor.map(worker.double, range(3))))\n",
}


@pytest.mark.parametrize("command", ["native", "pip"])
def test_process_pools(
    command: str, build: Build, run: Runner, mmport: Path, pip_mmport: Path
) -> None:
    """Child processes of `multiprocessing` import from the bundle, however they are started."""
    bundle = build("--source", write_files(run.cwd / "pool", CHILDREN), "-e", "pool:main")
    program = mmport if command == "native" else pip_mmport
    found = run(program, "run", bundle, "spawn", "forkserver")
    expected = "".join(f"{m} [0, 2, 4, 6, 8]\n[0, 2, 4]\n" for m in ("spawn", "forkserver"))
    assert found == Outcome(0, expected, "")


@pytest.mark.parametrize("command", ["native", "pip"])
def test_child_pythons(
    command: str, build: Build, run: Runner, mmport: Path, pip_mmport: Path, base_python: Path
) -> None:
    """`sys.executable` has the bundle's packages; other Pythons know nothing of it."""
    files = {
        "inner.py": "x = 1\n",
        "outer.py": "import subprocess, sys\n\n\ndef main():\n"
        "    code = 'import sys, inner; print(inner.x, sys.argv)'\n"
        "    for python in sys.executable, *sys.argv[1:]:\n"
        "        done = subprocess.run([python, '-c', code, 'a'], capture_output=True, text=True)\n"
        "        last = done.stderr.rpartition(':')[2].strip()\n"
        "        print(done.returncode, done.stdout.strip(), last, flush=True)\n"
        "    subprocess.run([sys.executable, '-m', 'inner'], check=True)\n"
        "    nested = 'import subprocess, sys; print(subprocess.run([sys.executable, \"-c\", '\n"
        "    nested += '\"import inner\"]).returncode)'\n"
        "    subprocess.run([sys.executable, '-c', nested], check=True)\n",
    }
    bundle = build("--source", write_files(run.cwd / "children", files), "-e", "outer:main")
    program = mmport if command == "native" else pip_mmport
    found = run(program, "run", bundle, base_python)
    expected = "0 1 ['-c', 'a'] \n1  No module named 'inner'\n0\n"
    assert (found.status, found.stderr) == (0, "")
    assert found.stdout == expected


def test_environment_is_not_changed(application: Make) -> None:
    """The program sees the variables that mmport was given, no others."""
    it = application("import json, os; print(json.dumps(dict(os.environ), sort_keys=True))")
    assert it.bundled() == it.plain()


def test_prefix_is_the_bundles_own(application: Make, root: Path) -> None:
    """`sys.prefix` and `sys.executable` are where a virtual environment has them."""
    it = application(
        "import sys; assert sys.prefix != sys.base_prefix; print(sys.executable, sys.prefix)"
    )
    executable, prefix = map(Path, it.bundled().succeeded().stdout.split())
    assert executable.parent.parent == prefix
    assert prefix.is_relative_to(root)


@pytest.mark.parametrize("optimize", ["", "1"])
def test_module_entry_point(
    optimize: str, build: Build, run: Runner, mmport: Path, plain_python: Path
) -> None:
    """`-m package` runs the package's `__main__` as `python -m` does."""
    files = {
        "package/__init__.py": "print('init', __name__)\n",
        "package/__main__.py": "import sys\nfrom . import sibling\n"
        "print(__name__, __package__, __spec__.name, sibling.x, sys.argv[1:], __debug__)\n",
        "package/sibling.py": "x = 1\n",
    }
    folder = write_files(run.cwd / "tree", files)
    bundle = build("--source", folder, "-m", "package")
    found = run(mmport, "run", bundle, "a", PYTHONOPTIMIZE=optimize)
    expected = run(plain_python, "-m", "package", "a", cwd=folder, PYTHONOPTIMIZE=optimize)
    assert str(found) == str(expected)


RELOADED = """\
import subprocess
import sys

print(sys.argv, flush=True)
if "again" not in sys.argv:
    for words in sys.orig_argv[1:], sys.argv:  # as werkzeug and django start themselves again
        subprocess.run([sys.executable, *words, "again"], check=True)
"""


def test_a_program_starts_itself_again(application: Make) -> None:
    """`sys.executable` with the script and its arguments is the program."""
    it = application(RELOADED)
    found = it.bundled("a").named(names_of(it)).succeeded()
    again = "['<application>', 'a', 'again']\n"
    assert found.stdout == "['<application>', 'a']\n" + again + again


HOOKS = """\
import sys, threading
print(sys.excepthook is sys.__excepthook__, sys.unraisablehook is sys.__unraisablehook__)
print(threading.excepthook is threading.__excepthook__)
sys.stderr = None
sys.excepthook(ValueError, ValueError("nowhere to go"), None)
"""


def test_default_hooks_are_known_as_such(application: Make) -> None:
    """A program that looks for hooks of others finds none, and nothing is written to nowhere."""
    it = application(HOOKS)
    assert it.bundled() == it.plain()
    assert it.bundled().stdout == "True True\nTrue\n"


STANDARD_LIBRARY = """\
import importlib, inspect, os, sys, sysconfig
print(os.__file__, sys._stdlib_dir if hasattr(sys, "_stdlib_dir") else None)
print(inspect.getsourcefile(os), len(inspect.getsource(os)) > 1000, sysconfig.get_path("stdlib"))
print(sys.base_prefix, sys.prefix == sys.exec_prefix != sys.base_prefix)
"""


def test_the_standard_library_is_where_it_is(application: Make) -> None:
    """Frozen modules know their files, as virtualenv and tox need it."""
    it = application(STANDARD_LIBRARY)
    assert it.bundled() == it.plain().succeeded()


FROM_FILE_TO_NAME = {
    "__main__.py": "import os, sys, package.module\n"
    "file = package.module.__file__\n"
    "print([os.path.relpath(file, p) for p in sys.path[1:] if file.startswith(p + os.sep)])\n",
    "package/__init__.py": "",
    "package/module.py": "",
    "package/data.txt": "x",
}


def test_files_lead_back_to_names(application: Make) -> None:
    """A module of a materialized package is below an entry of `sys.path`, as pylint needs it."""
    it = application(FROM_FILE_TO_NAME)
    assert it.bundled().stdout == "['package/module.py']\n"


def test_a_missing_entry_point_loses_no_output(
    build: Build, mmport: Path, run: Runner, tmp_path: Path
) -> None:
    """What was printed before is flushed, and exit handlers run."""
    source = write_files(
        tmp_path / "source",
        {"app.py": "import atexit\nprint('imported')\natexit.register(print, 'at exit')\n"},
    )
    found = run(mmport, "run", build("--source", source, "-e", "app:no_such_function"))
    assert (found.status, found.stdout) == (127, "imported\nat exit\n"), str(found)


def test_a_standard_error_that_is_full(mmport: Path, run: Runner) -> None:
    """The status tells what the message cannot."""
    found = run("sh", "-c", f"'{mmport}' inspect no-such-bundle 2>/dev/full")
    assert found == Outcome(125, "", "")

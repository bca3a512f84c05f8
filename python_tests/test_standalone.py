"""Standalone executables: a program, its packages and Python in one file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from zipfile import ZipFile

import pytest
from conftest import PROJECT, Build
from empty_root import run_in_empty_root
from mounts import in_mounts
from support import Outcome, Runner, Word, write_files

VERSION = "{}.{}".format(*sys.version_info)

# Prints what the program sees of itself and of Python.
LOOK = """
import json, os, sys
import ctypes, email, lzma, sqlite3, ssl, zlib
print(json.dumps({
    "argv": sys.argv, "executable": sys.executable, "prefix": sys.prefix, "path": sys.path,
    "base_prefix": sys.base_prefix, "file": __file__, "os": os.__file__, "json": json.__file__,
    "_ssl": sys.modules["_ssl"].__file__, "ctypes": ctypes.__file__, "root": os.listdir("/"),
    "version": sys.version, "environ": dict(os.environ),
    "works": [
        ssl.OPENSSL_VERSION.split()[0], sqlite3.connect(":memory:").execute("select 7").fetchone(),
        lzma.decompress(lzma.compress(b"x")).decode(), ctypes.CDLL(None).getpid() == os.getpid(),
    ],
}))
"""

CHILDREN = """
import concurrent.futures, multiprocessing, os, subprocess, sys
from work import double

def main():
    if "again" not in sys.argv:
        for arguments in ["-m", "work"], ["script.py"]:
            print(subprocess.run([sys.executable, *arguments], capture_output=True, text=True))
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, sys.argv[0], "again"])
    command = [sys.executable, "-c", "import json, sys, work; print(work.double(4), json.__file__)"]
    print(subprocess.run(command, capture_output=True, text=True))
    for method in "fork", "spawn", "forkserver":
        context = multiprocessing.get_context(method)
        with context.Pool(2) as pool:
            print(method, pool.map(double, range(3)))
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
            print(method, list(pool.map(double, range(3))))

if __name__ == "__main__":
    main()
"""

DEEP = """
import json, traceback
try:
    json.loads("{")
except ValueError:
    traceback.print_exc()
import inspect, linecache, pkgutil, sysconfig
print(inspect.getsource(json.loads).splitlines()[0])
print(linecache.getline(json.__file__, 1).strip())
print("decoder" in [module.name for module in pkgutil.iter_modules(json.__path__)])
print(sysconfig.get_path("stdlib") == __import__("os").path.dirname(__import__("os").__file__))
"""

EVERYTHING = """
import importlib, sys, warnings
warnings.simplefilter("ignore")
failed = {}
for name in sorted(sys.stdlib_module_names - {"antigravity", "this", "test"}):
    try:
        importlib.import_module(name)
    except ImportError as error:
        failed[name] = str(error)
import json
print(json.dumps(failed))
"""

SUBINTERPRETER = """
import _json, sys
interpreters = __import__("_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters")
interpreter = interpreters.create()
code = "import json, _json, _struct; print(json.__name__, _json.__file__, flush=True)"
error = interpreters.run_string(interpreter, code)
print(error, _json.__file__)
"""

VENV = """
import subprocess, sys
subprocess.run([sys.executable, "-m", "venv", sys.argv[1]], check=True)
python = sys.argv[1] + "/bin/python"
for code in "import pip, json, sys; print(json.__file__, sys.prefix)", "import work":
    print(subprocess.run([python, "-c", code], capture_output=True, text=True), flush=True)
subprocess.run([python, "-m", "pip", "--version"], check=True)
"""


@pytest.fixture
def executable(build: Build, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes a standalone executable of a program."""

    def executable(main: str, *arguments: Word, **modules: str) -> Path:
        files = {f"{name}.py": text for name, text in {"__main__": main, **modules}.items()}
        source = write_files(tmp_path / "source", files)
        return build("--standalone", "--source", source, *arguments, name="app")

    return executable


def look(outcome: Outcome) -> dict[str, object]:
    """Return what a program has printed as JSON."""
    return json.loads(outcome.succeeded().stdout)


def test_without_python(executable: Callable[..., Path], run: Runner) -> None:
    """It runs where only the C library is, with modules and extension modules from the file."""
    app = executable(LOOK)
    found = look(run_in_empty_root(run, app, "one", "two"))
    assert found["argv"] == [str(app), "one", "two"]
    assert found["root"]
    assert not {"usr", "bin", "etc"} & set(found["root"])
    assert found["works"] == ["OpenSSL", [7], "x", True]
    library = f"{app}/.python/lib/python{VERSION}"
    assert found["base_prefix"] == f"{app}/.python"
    assert found["path"][:2] == [library, f"{library}/lib-dynload"]
    assert found["os"] == f"{library}/os.py"
    assert found["json"] == f"{library}/json/__init__.py"
    assert found["ctypes"] == f"{library}/ctypes/__init__.py"
    assert found["_ssl"].startswith(str(run.cwd / "cache" / "trees-v2"))
    assert found["file"] == f"{app}/__main__.py"
    assert found["executable"] == f"{found['prefix']}/bin/python"
    assert "MMPORT_STANDALONE" not in found["environ"]


def test_child_processes(executable: Callable[..., Path], run: Runner) -> None:
    """`sys.executable` is a Python with the bundle: for programs, pools, and the next self."""
    work = "def double(x):\n    return 2 * x\n\nif __name__ == '__main__':\n    print('module')\n"
    app = executable(CHILDREN, work=work)
    write_files(run.cwd / "work", {"script.py": "import work; print(work.double(8))"})
    lines = run_in_empty_root(run, app).succeeded().stdout.splitlines()
    assert "stdout='module\\n'" in lines.pop(0)
    assert "stdout='16\\n'" in lines.pop(0)
    assert f"stdout='8 {app}/.python/lib/python{VERSION}/json/__init__.py\\n'" in lines[0]
    expected = [f"{method} [0, 2, 4]" for method in ("fork", "spawn", "forkserver") for _ in "ab"]
    assert lines[1:] == expected


def test_looking_into_the_standard_library(executable: Callable[..., Path], run: Runner) -> None:
    """Sources are shown in tracebacks, and by what looks for them."""
    app = executable(DEEP)
    outcome = run_in_empty_root(run, app).succeeded()
    assert f'File "{app}/.python/lib/python{VERSION}/json/decoder.py", line' in outcome.stderr
    assert "obj, end = self.raw_decode(s, idx=_w(s, 0).end())" in outcome.stderr
    lines = outcome.stdout.splitlines()
    assert lines[0].startswith("def loads(s, *")
    assert lines[1:] == [
        'r"""JSON (JavaScript Object Notation) <https://json.org> is a subset of',
        *["True"] * 2,
    ]


def test_the_whole_standard_library(
    executable: Callable[..., Path], run: Runner, base_python: Path
) -> None:
    """Every module is imported that plain Python imports, but those for a display."""
    plain = look(run(base_python, "-I", "-c", EVERYTHING))
    found = look(run_in_empty_root(run, executable(EVERYTHING)))
    more = {name: text for name, text in found.items() if name not in plain}
    assert all("libtcl" in text or "libtk" in text for text in more.values()), more
    assert set(plain) <= set(found)


def test_interpreter(executable: Callable[..., Path], run: Runner) -> None:
    """It can be asked to be a Python, and passes Python's options on."""
    app = executable("print('program')", work="here = 1")
    code = "import sys, work, site; print(work.here, sys.flags.optimize, sys.flags.isolated)"
    outcome = run_in_empty_root(run, app, "-IOO", "-c", code, MMPORT_INTERPRETER="1")
    assert outcome.succeeded().stdout == "1 2 1\n"
    outcome = run_in_empty_root(run, app, "-V", MMPORT_INTERPRETER="1")
    assert outcome.succeeded().stdout.startswith(f"Python {VERSION}.")


@pytest.mark.parametrize(
    ("main", "status", "shows"),
    [
        ("import sys; sys.exit(7)", 7, ""),
        ("raise ValueError('told')", 1, "ValueError: told"),
        ("import os; os.abort()", -6, ""),
        ("import signal; signal.raise_signal(signal.SIGTERM)", -15, ""),
        ("import no_such_module", 1, "ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
def test_ends(
    main: str, status: int, shows: str, executable: Callable[..., Path], run: Runner
) -> None:
    """The process ends as the program does."""
    outcome = run(executable(main))
    assert (outcome.status, shows in outcome.stderr) == (status, True), outcome


def test_environment_variables(executable: Callable[..., Path], run: Runner) -> None:
    """A Python of the machine's does not get in the way, and none of ours in that of children."""
    main = "import os, sys; print(sys.path, sys.flags.optimize, flush=True); os.system(sys.argv[1])"
    (run.cwd / "here").mkdir()
    command = f"{sys.executable} -c 'import sys, json; print(json.__file__, sys.prefix)'"
    app = executable(main)
    outcome = run(app, command, PYTHONHOME="/nowhere", PYTHONPATH="here", PYTHONOPTIMIZE="1")
    first = outcome.stdout.splitlines()[0]
    assert first.startswith(f"['{run.cwd}/here', '{app}/.python/"), outcome
    assert first.endswith(" 1")
    child = run(app, command).succeeded().stdout.splitlines()[1]
    assert ".python" not in child
    assert child.endswith(sys.prefix)


def test_subinterpreter(executable: Callable[..., Path], run: Runner) -> None:
    """Other interpreters of the process import the standard library and its extension modules."""
    outcome = run_in_empty_root(run, executable(SUBINTERPRETER)).succeeded()
    inside, outside = outcome.stdout.splitlines()
    assert inside == outside.replace("None ", "json "), outcome


def test_virtual_environment(executable: Callable[..., Path], run: Runner) -> None:
    """One that is made from inside has the standard library and pip, not the bundle's packages."""
    app = executable(VENV, work="")
    venv = run.cwd / "work" / "venv"
    outcome = run_in_empty_root(run, app, venv).succeeded()
    first, second, pip = outcome.stdout.splitlines()
    assert f"{app}/.python/lib/python{VERSION}/json/__init__.py {venv}" in first
    assert "ModuleNotFoundError: No module named" in second
    assert pip.startswith("pip ")
    assert str(venv) in pip


def test_replaced_while_it_runs(executable: Callable[..., Path], run: Runner) -> None:
    """Modules come from the file that was started; a child of another one is told."""
    main = """
import os, subprocess, sys
os.replace(sys.argv[1], sys.argv[0])
import json, _json
print(json.__name__)
child = subprocess.run([sys.executable, "-c", "pass"], capture_output=True, text=True)
print(child.returncode, child.stderr)
"""
    app = Path(shutil.copy(executable(main), run.cwd / "app"))
    other = run.cwd / "other"
    other.write_bytes(b"#!/bin/sh\n")
    outcome = run(app, other).succeeded()
    assert outcome.stdout.startswith("json\n125 mmport: error: failed to ")
    app = Path(shutil.copy(executable(main), run.cwd / "app"))
    with ZipFile(other, "w") as archive:
        archive.writestr("__main__.py", "")
    outcome = run(app, other).succeeded()
    assert "found another file" in outcome.stdout
    assert "next: start the program again" in outcome.stdout


def test_links_are_scripts(build: Build, run: Runner, tmp_path: Path) -> None:
    """A link with the name of a script runs that script."""
    files = {
        "tools.py": "import sys\ndef one(): print('one', sys.argv)\n"
        "def two(): print('two', sys.argv)\n",
        "tools-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tools\nVersion: 1.0\n",
        "tools-1.0.dist-info/entry_points.txt": "[console_scripts]\none=tools:one\ntwo=tools:two\n",
        "tools-1.0.dist-info/RECORD": "tools.py,,\n",
    }
    app = build(
        "--standalone", "--source", write_files(tmp_path / "s", files), "-c", "one", name="one"
    )
    (tmp_path / "two").symlink_to(app)
    assert run(app, "a").succeeded().stdout == f"one ['{app}', 'a']\n"
    assert run(tmp_path / "two").succeeded().stdout == f"two ['{tmp_path}/two']\n"
    on_path = {"PATH": f"{app.parent}:{os.environ['PATH']}"}
    assert run("sh", "-c", "one", **on_path).succeeded().stdout == f"one ['{app}']\n"


class TestRuntime:
    """The files that are brought out before Python starts."""

    def test_is_shared_and_mended(self, executable: Callable[..., Path], run: Runner) -> None:
        """It is written once; what is damaged is replaced."""
        app, root = executable("print('ran')"), run.cwd / "root"
        variables = {"MMPORT_ROOT": str(root)}
        run(app, **variables).succeeded()
        (runtime,) = (root / "runtimes-v1").iterdir()
        before = {path: path.stat().st_ino for path in runtime.rglob("*") if path.name != "in-use"}
        assert any(path.name.startswith("libpython") or path.name == "mmport" for path in before)
        run(app, **variables).succeeded()
        assert {path: path.stat().st_ino for path in before} == before
        program = runtime / "bin" / "mmport"
        program.unlink()
        program.write_bytes(b"cut")
        assert run(app, **variables).succeeded().stdout == "ran\n"
        assert program.stat().st_size > len(b"cut")

    def test_many_at_once(self, executable: Callable[..., Path], run: Runner) -> None:
        """Any number of first starts come to the same."""
        app = executable("print('ran')")
        environment = {**run.environment, "MMPORT_ROOT": str(run.cwd / "root")}
        started = [
            subprocess.Popen([app], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(16)
        ]
        assert [process.communicate() for process in started] == [(b"ran\n", b"")] * 16
        left = [path.name for path in (run.cwd / "root" / "runtimes-v1").iterdir()]
        assert len(left) == 1, left

    def test_next_place(self, executable: Callable[..., Path], run: Runner) -> None:
        """Where the cache takes no programs, another directory does."""
        app, cache = executable("import sys; print(sys.executable)"), run.cwd / "cache"
        variables = {
            "XDG_CACHE_HOME": str(cache),
            "TMPDIR": str(run.cwd / "tmp"),
            "MMPORT_ROOT": "",
        }
        (run.cwd / "tmp").mkdir()
        outcome = in_mounts(run, "noexec", cache, app, **variables)
        assert outcome.succeeded().stdout.startswith("/")
        assert outcome.stderr == ""
        outcome = in_mounts(run, "ro", cache, app, **variables)
        assert outcome.succeeded().stdout.startswith(f"{run.cwd}/tmp/mmport-")

    def test_nowhere(self, executable: Callable[..., Path], run: Runner) -> None:
        """Where no directory takes it, the error says what was tried and what to do."""
        app = executable("pass")
        outcome = run(app, MMPORT_ROOT="/proc/nowhere")
        assert outcome.status == 125
        assert f"failed to start `{app}`" in outcome.stderr
        assert "/proc/nowhere: " in outcome.stderr
        assert "next: set MMPORT_ROOT" in outcome.stderr

    def test_damaged_file(self, executable: Callable[..., Path], run: Runner) -> None:
        """A file that was cut is told."""
        app = executable("pass")
        cut = run.cwd / "cut"
        data = app.read_bytes()
        for length in (400_000, len(data) - 1000):
            cut.write_bytes(data[:length])
            cut.chmod(0o755)
            outcome = run(cut, MMPORT_ROOT=str(run.cwd / "root"))
            assert outcome.status == 125, outcome
            assert str(cut) in outcome.stderr
            assert "next: " in outcome.stderr

    def test_cache_commands(
        self, executable: Callable[..., Path], mmport: Path, run: Runner
    ) -> None:
        """The cache tells of runtimes, and drops those of executables that are gone."""
        app = shutil.copy(executable("print('ran')"), run.cwd / "app")
        variables = {"MMPORT_ROOT": str(run.cwd / "root")}
        run(app, **variables).succeeded()
        (root,) = look(run(mmport, "cache", "--json", **variables))
        (runtime,) = root["runtimes"]
        assert runtime["bundle"] == str(app)
        assert not runtime["in_use"]
        run(mmport, "cache", "prune", **variables).succeeded()
        assert Path(runtime["path"]).is_dir()
        Path(app).unlink()
        run(mmport, "cache", "prune", **variables).succeeded()
        assert not Path(runtime["path"]).exists()


class TestBuild:
    """What `mmport build --standalone` puts in, and what it says."""

    def test_minimal(self, executable: Callable[..., Path], run: Runner) -> None:
        """A minimal standard library has what a run has imported, and no more than it needs."""
        main = (
            "import sys\nprint('main')\n"
            "if sys.argv[1:] == ['x']:\n    import importlib\n    importlib.import_module('wave')\n"
            "    print(sys.modules['wave'].__file__)\nelse:\n    import turtledemo\n"
        )
        small = executable(main, "--stdlib", "minimal", "--trace", "x")
        assert run_in_empty_root(run, small, "x").succeeded().stdout.endswith("/wave.py\n")
        outcome = run_in_empty_root(run, small)
        assert "ModuleNotFoundError: No module named 'turtledemo'" in outcome.stderr
        whole = executable(main)
        assert small.stat().st_size < whole.stat().st_size - 8_000_000

    def test_modules_that_are_asked_for(self, executable: Callable[..., Path], run: Runner) -> None:
        """Further modules can be named."""
        app = executable(
            "import sqlite3; print(sqlite3.connect(':memory:'))", "--stdlib", "minimal",
            "--stdlib-module", "sqlite3",
        )  # fmt: skip
        assert run_in_empty_root(run, app).succeeded().stdout.startswith("<sqlite3.Connection")

    @pytest.mark.parametrize(
        ("arguments", "status", "shows"),
        [
            (
                ["--stdlib", "minimal", "--stdlib-module", "nothing"],
                2,
                "`nothing` along: it is not in",
            ),
            (["--stdlib", "minimal", "--trace", "fail"], 125, "it ended with exit status: 1"),
            (["--stdlib-module", "json", "--shebang", "x"], 2, "cannot be used with"),
        ],
    )
    def test_mistakes(
        self, arguments: list[str], status: int, shows: str, mmport: Path, run: Runner
    ) -> None:
        """What cannot be built is told, and nothing is written."""
        source = write_files(
            run.cwd / "s", {"__main__.py": "import sys; sys.exit(len(sys.argv) > 1)"}
        )
        outcome = run(
            mmport, "build", "--standalone", "--source", source, *arguments, "-o", run.cwd / "app"
        )
        assert (outcome.status, shows in outcome.stderr) == (status, True), outcome
        assert not (run.cwd / "app").exists()

    def test_pip_package(self, pip_mmport: Path, run: Runner) -> None:
        """The Python package says what to use instead."""
        source = write_files(run.cwd / "s", {"__main__.py": ""})
        outcome = run(pip_mmport, "build", "--standalone", "--source", source, "-o", "app")
        assert outcome.status == 2
        assert "embeds no Python" in outcome.stderr
        assert "next: use the `mmport` command" in outcome.stderr

    def test_licences(self, executable: Callable[..., Path], mmport: Path, run: Runner) -> None:
        """`inspect` lists what is inside with its licences."""
        app = executable("pass")
        text = run(mmport, "inspect", app).succeeded().stdout
        assert "standalone: brings Python" in text
        for line in ("CPython 3", "libssl.so.3: Apache-2.0", "mmport 0.1.0: MIT OR Apache-2.0"):
            assert f"  {line}" in text
        assert "  in mmport: memmap2 v" in text
        found = look(run(mmport, "inspect", "--json", app))
        components: list[Mapping[str, str]] = found["built_for"]["standalone"]["components"]
        assert {"name": "libz.so.1", "license": "Zlib"} in components

    def test_crates(self) -> None:
        """The list of the crates in mmport, with their licences, is that of `Cargo.lock`."""
        options = ["-e", "normal,no-proc-macro", "--prefix", "none", "-f", "{p}\t{l}"]
        target = ["--target", "x86_64-unknown-linux-gnu"]
        command = ["cargo", "tree", "--locked", "--offline", *target, *options]
        tree = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
        lines = {line.removesuffix(" (*)") for line in tree.stdout.splitlines()}
        crates = sorted(line for line in lines if not line.startswith("mmport "))
        listed = PROJECT / "src" / "build" / "standalone" / "crates.txt"
        assert listed.read_text().splitlines() == crates

    def test_same_bytes(self, mmport: Path, run: Runner) -> None:
        """The same inputs give the same file."""
        source = write_files(run.cwd / "s", {"__main__.py": "pass"})
        for name in ("one", "two"):
            command = [mmport, "build", "-q", "--standalone", "--source", source, "-o", name]
            run(*command).succeeded()
        assert (run.cwd / "one").read_bytes() == (run.cwd / "two").read_bytes()

    def test_bundles_stay_bundles(
        self, executable: Callable[..., Path], mmport: Path, run: Runner
    ) -> None:
        """mmport runs it as any bundle, and so does plain Python."""
        app = executable("import os; print(os.__file__)")
        for command in ([mmport, "run"], [sys.executable, "-I"]):
            assert run(*command, app).succeeded().stdout.strip() == os.__file__

"""What `site` does at start: `.pth` files, editable installations, `sitecustomize`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from cases import Case, Command, Comparison, each
from conftest import Build
from support import (
    INSTALLATION,
    Outcome,
    Runner,
    Word,
    names_in_bundle,
    names_in_venv,
    run_program,
    write_files,
)
from wheels import write_wheel

Files = Mapping[str, "str | bytes"]

# `site` itself stands in its tracebacks; its source lines only where they are known.
FRAME_OF_SITE = re.compile(r'    File "[^"]*\bsite\b[^"]*", line \d+, in addpackage\n(      .*\n)*')


@dataclass(frozen=True)
class Own:
    """A virtual environment of one test's own, and its bundle."""

    place: Path
    run: Runner
    mmport: Path
    root: Path

    @property
    def python(self) -> Path:
        """Return its Python."""
        return self.place / "bin" / "python"

    @property
    def packages(self) -> Path:
        """Return its directory of packages."""
        [found] = self.place.glob("lib/python3.*/site-packages")
        return found

    def install(self, *arguments: Word) -> None:
        """Call pip for it."""
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", self.place]
        command = [*pip, "install", "-q", *arguments]
        variables = self.run.environment
        run_program(
            command, environment=variables, cwd=self.run.cwd, timeout=INSTALLATION
        ).succeeded()

    def build(self, *arguments: Word) -> Outcome:
        """Build `app.pyz` of it; what is said about the build goes to standard error."""
        command = [self.mmport, "build", "--venv", self.place, *arguments, "-o", "app.pyz"]
        return run_program(
            command, environment=self.run.environment, cwd=self.run.cwd, timeout=INSTALLATION
        ).succeeded()

    def in_venv(self, *arguments: Word, **variables: str) -> Outcome:
        """Run its Python, with common names for places."""
        found = self.run(self.python, *arguments, **variables)
        return found.named(names_in_venv(self.place, "python"))

    def in_bundle(self, *arguments: Word, **variables: str) -> Outcome:
        """Run the bundle's Python, with common names for places."""
        bundle = self.run.cwd / "app.pyz"
        found = self.run(self.mmport, "run", bundle, *arguments, **variables)
        return found.named(names_in_bundle(bundle, self.root))


@pytest.fixture
def own(base_python: Path, run: Runner, mmport: Path, root: Path, tmp_path: Path) -> Own:
    """Return a virtual environment without distributions."""
    place = tmp_path / "own-venv"
    subprocess.run([base_python, "-m", "venv", "--without-pip", place], check=True)
    return Own(place, run, mmport, root)


# A virtual environment executes its `.pth` files twice, so what is noted once counts.
NOTE = "import sys; sys.__dict__.setdefault('notes', {}).update({(%s,): None})"
SHOW = "import sys\nfor note in sys.notes:\n    print(note)\n"

LINES: dict[str, Files] = {
    "order of files": {
        "b.pth": NOTE % "'b'" + "\n",
        "a.pth": NOTE % "'a'" + "\n",
        "B.pth": NOTE % "'B'",
        "a.b.pth": NOTE % "'a.b'",
        "c.pth.txt": NOTE % "'no'",
        "package/c.pth": NOTE % "'no'",
    },
    "comments and blanks": {"a.pth": f"# {NOTE % 1}\n\n \t\n{NOTE % 2}\n#\n{NOTE % 3}\n"},
    "kinds of lines": {
        "a.pth": f"import\tsys\n {NOTE % 1}\nimportlib\nfrom sys import path\n{NOTE % 2}\r\n"
        f"{NOTE % 3}",
    },
    "modules of the environment": {
        "a.pth": "import helper; helper.note()\n",
        "helper.py": "import sys\n\n\ndef note():\n    sys.notes = {__file__: None}\n",
    },
    "names of the frame": {
        "a.pth": NOTE
        % "sys._getframe(1).f_locals['sitedir'] + '/', sys._getframe(1).f_locals['name']"
    },
    "names of earlier lines": {
        "a.pth": "import sys; value = 1\n" + NOTE % "'value' in locals() or 'value' in globals()"
    },
    "names of site": {"a.pth": NOTE % "__name__, os.__name__, builtins.__name__"},
    "moment": {"a.pth": NOTE % "('json' in sys.modules, '__main__' in sys.modules, *sys.argv)"},
    "path so far": {"a.pth": NOTE % "(sys.path[0][-4:], sys.path[-1].rstrip('/') != sys.path[0])"},
    "text beyond ASCII": {"a.pth": NOTE % "'\u00e9'"},
    "sitecustomize": {
        "a.pth": NOTE % "'sitecustomize' in sys.modules",
        "sitecustomize.py": "import sys\nsys.__dict__.setdefault('notes', {})[__file__] = None\n",
    },
    "sitecustomize alone": {"sitecustomize.py": "import sys\nsys.notes = {__name__: None}\n"},
    "finder of one's own": {
        "a.pth": "import hook; hook.install()",
        "hook.py": "import sys, types, importlib.machinery as m\n\n\nclass Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'virtual':\n            return m.ModuleSpec(name, self)\n\n"
        "    def create_module(self, spec):\n        return None\n\n"
        "    def exec_module(self, module):\n        module.value = 5\n\n\n"
        "def install():\n    import sys\n    sys.meta_path.insert(0, Finder())\n"
        "    import virtual\n    sys.notes = {virtual.value: None}\n",
    },
}


@pytest.mark.parametrize("name", LINES)
def test_lines(name: str, own: Own) -> None:
    """Lines are executed as `site` does, before the program."""
    write_files(own.packages, LINES[name])
    (own.run.cwd / "show.py").write_text(SHOW)
    own.build()
    expected = own.in_venv("show.py", "argument").succeeded()
    assert own.in_bundle("show.py", "argument") == expected


ERRORS = {
    "exception": "import no_such_module_of_ours\n",
    "exception in a module": "import raising\n",
    "syntax": "import sys; if\n",
    "third line": f"#\n{NOTE % 1}\nimport sys; 1 / 0\n",
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str, own: Own) -> None:
    """An error is printed as `site` prints it, and ends its file but no other."""
    files = {
        "a.pth": f"{NOTE % 0}\n{ERRORS[name]}{NOTE % 9}\n",
        "b.pth": NOTE % "'b'",
        "raising.py": "def f():\n    raise ValueError('no')\n\n\nf()\n",
    }
    write_files(own.packages, files)
    (own.run.cwd / "show.py").write_text(SHOW)
    own.build()
    expected, found = own.in_venv("show.py").succeeded(), own.in_bundle("show.py")
    assert (found.status, found.stdout) == (0, expected.stdout)
    printed = FRAME_OF_SITE.sub("", expected.stderr)
    assert printed == found.stderr * 2, f"{printed}\n---\n{found.stderr}"


SHOW_PATH = """
import sys
print(sys.path)
import inner_module, deep_module
for module in inner_module, deep_module:
    print(module.__file__, module.__spec__.origin)
import package_inside
print(package_inside.DATA, package_inside.text())
"""
FOLDERS: Files = {
    "a.pth": "inner/deep\n./inner\ninner/../inner\n.\nno/such\n{packages}/absolute\n",
    "b.pth": "inner\nother\n",
    "inner/inner_module.py": "",
    "inner/deep/deep_module.py": "",
    "inner/deep/inner_module.py": "",
    "absolute/package_inside/__init__.py": "import os, pathlib\n"
    "DATA = os.path.join(os.path.dirname(__file__), 'data.txt')\n\n\n"
    "def text():\n    return pathlib.Path(DATA).read_text()\n",
    "absolute/package_inside/data.txt": "data",
    "other/other_module.py": "",
}


def path_below_packages(outcome: Outcome) -> list[str]:
    """Return which folders of the packages are on the path, from the first line of output."""
    entries = re.findall(r"'(<packages>[^']*)'", outcome.stdout.splitlines()[0])
    return [entry for entry in entries if entry.rstrip("/") != "<packages>"]


def test_folders(own: Own) -> None:
    """Folders inside come on `sys.path`, in the same order, and their modules are imported."""
    files = {k: str(v).replace("{packages}", str(own.packages)) for k, v in FOLDERS.items()}
    write_files(own.packages, files)
    (own.run.cwd / "show.py").write_text(SHOW_PATH)
    assert "no/such" in own.build().stderr
    expected, found = own.in_venv("show.py").succeeded(), own.in_bundle("show.py").succeeded()
    assert path_below_packages(found) == path_below_packages(expected) != []
    assert found.stdout.splitlines()[1:] == expected.stdout.splitlines()[1:]
    assert str(own.place).encode() not in (own.run.cwd / "app.pyz").read_bytes()


def test_what_is_no_folder(own: Own) -> None:
    """An archive that a line puts on the path is reported."""
    write_files(own.packages, {"a.pth": "old.egg\n", "old.egg": "a zip, say"})
    said = own.build().stderr
    assert "old.egg`, which is no folder and was left out" in said
    assert own.in_bundle("-c", "print(1)") == Outcome(0, "1\n", "")


# What setuptools wrote for `namespace_packages` in its simplest form: the module is made before
# anything imports it, and every distribution adds its portion.
PORTION = (
    "import sys, types, os; p = os.path.join(sys._getframe(1).f_locals['sitedir'], 'space'); "
    "m = sys.modules.setdefault('space', types.ModuleType('space')); "
    "mp = m.__dict__.setdefault('__path__', []); (p not in mp) and mp.append(p)\n"
)


def test_namespace_package_of_old(own: Own) -> None:
    """A namespace package that `.pth` files make is there before the first import."""
    files = {
        "one-nspkg.pth": PORTION,
        "two-nspkg.pth": PORTION,
        "space/one/__init__.py": "",
        "space/two.py": "",
    }
    write_files(own.packages, files)
    (own.run.cwd / "show.py").write_text(
        "import sys\nprint('space' in sys.modules)\nimport space.one, space.two\n"
        "print(space.__path__, space.__spec__, space.one.__file__, space.two.__file__)\n"
    )
    own.build()
    assert own.in_bundle("show.py") == own.in_venv("show.py").succeeded()


def test_where_they_are_run(own: Own, pip_mmport: Path) -> None:
    """In children and pools as in the process itself, but not under `-S`; the same hosted."""
    noting = "import sys; sys.noted = True\n"
    write_files(own.packages, {"a.pth": noting})
    source = write_files(
        own.run.cwd / "source",
        {
            "app.py": "import multiprocessing, subprocess, sys\n"
            "from concurrent.futures import ProcessPoolExecutor\n\n\n"
            "def noted(_):\n    return hasattr(sys, 'noted')\n\n\n"
            "def main():\n    print(noted(0), flush=True)\n"
            "    code = 'import sys; print(hasattr(sys, \"noted\"))'\n"
            "    for options in [], ['-I'], ['-S']:\n"
            "        subprocess.run([sys.executable, *options, '-c', code], check=True)\n"
            "    context = multiprocessing.get_context('spawn')\n"
            "    with ProcessPoolExecutor(1, mp_context=context) as pool:\n"
            "        print(list(pool.map(noted, [0])))\n",
        },
    )
    own.build("--source", source, "-e", "app:main")
    expected = Outcome(0, "True\nTrue\nTrue\nFalse\n[True]\n", "")
    assert own.in_bundle() == expected
    plain = "import sys; sys.path.insert(0, 'source'); import app; app.main()"
    assert own.in_venv("-c", plain).stdout.splitlines()[:4] == expected.stdout.splitlines()[:4]
    assert own.run(pip_mmport, "run", "app.pyz") == expected


def test_install(own: Own) -> None:
    """`install` only serves modules; `install_as_site_packages` does what `site` does."""
    write_files(own.packages, {"a.pth": "import sys; sys.noted = True\n"})
    own.build()
    for function in "install", "install_as_site_packages":
        code = (
            f"import sys, mmport; mmport.{function}('app.pyz'); print(hasattr(sys, 'noted'), "
            "sum(p.endswith('app.pyz/') for p in sys.path))"
        )
        found = own.run(sys.executable, "-c", code)
        assert found == Outcome(0, f"{function != 'install'} 1\n", "")


def test_nothing_for_folders_of_modules(build: Build, run: Runner, mmport: Path) -> None:
    """The folder of a program's own modules is no place where `site` looks."""
    files = {"a.pth": "import no_such_module\n", "sitecustomize.py": "1 / 0\n", "app.py": ""}
    bundle = build("--source", write_files(run.cwd / "source", files), "-m", "app")
    assert run(mmport, "run", bundle) == Outcome(0, "", "")
    with zipfile.ZipFile(bundle) as archive:
        assert "site" not in json.loads(archive.read("mmport.json"))
        assert "a.pth" in archive.namelist()


def test_inspect(own: Own) -> None:
    """What is done at start can be seen."""
    files = {"b.pth": "import sys\n", "a.pth": "import os\n", "c.pth": "#\n"}
    write_files(own.packages, {**files, ".d.pth": "import sys", "sitecustomize.py": ""})
    write_files(own.packages, {"latin.pth": b"import sys # \xe9\n"})
    said = own.build().stderr
    assert "`.d.pth` is hidden" in said
    assert "`latin.pth` is not in UTF-8" in said
    text = own.run(own.mmport, "inspect", "app.pyz").succeeded().stdout
    assert "executed at start: a.pth, b.pth\n" in text
    assert "imported at start: sitecustomize\n" in text
    found = json.loads(own.run(own.mmport, "inspect", "--json", "app.pyz").stdout)
    assert found["built_for"]["site"] == {"path_files": ["a.pth", "b.pth"], "customize": True}


def distribution(name: str, path_file: str, *more: str, editable: bool = True) -> Files:
    """Return the metadata that an installer writes for a project, as a rule an editable one."""
    rows = [path_file, *more, f"{name}-1.dist-info/METADATA", f"{name}-1.dist-info/RECORD"]
    origin = {"url": "file:///nowhere", "dir_info": {"editable": editable}}
    return {
        f"{name}-1.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n",
        f"{name}-1.dist-info/RECORD": "".join(f"{row},,\n" for row in rows),
        f"{name}-1.dist-info/direct_url.json": json.dumps(origin),
    }


def entries(bundle: Path) -> set[str]:
    """Return the modules and `.pth` files in a bundle."""
    with zipfile.ZipFile(bundle) as archive:
        names = archive.namelist()
    return {n for n in names if ".dist-info/" not in n and not n.endswith((".pyc", "mmport.json"))}


def test_hook_that_maps_modules(own: Own) -> None:
    """Modules that a hook lists are taken from where they are; the hook is not executed."""
    project = write_files(
        own.run.cwd / "project",
        {
            "code/__init__.py": "from .inner import value\n",
            "code/inner.py": "value = 1\n",
            "code/data.txt": "",
            "code/__pycache__/inner.cpython-30.pyc": "",
            "single.py": "",
            "portion/part/__init__.py": "",
            "elsewhere/leaf.py": "",
            "mapped.py": "",
            "tests/__init__.py": "",
        },
    )
    mapping = {
        "thing": f"{project}/code",
        "single": f"{project}/single",
        "space.part": f"{project}/portion/part",
        "deep.down.leaf": f"{project}/elsewhere/leaf.py",
    }
    hook = (
        "from __future__ import annotations\n"
        f"MAPPING: dict[str, str] = {mapping!r}\n"
        "NAMESPACES: dict[str, list[str]] = {'space': ['/no/such/place']}\n"
        "sys.F.map_module('mapped', '%s/mapped.py')\n"
        "install({'redirected.deep': '%s/elsewhere/leaf.py'}, {}, None)\n"
        "1 / 0\n"
    ) % (project, project)
    files = {
        "__editable__.thing-1.pth": "import _thing_finder; _thing_finder.install()",
        "_thing_finder.py": hook,
        **distribution("thing", "__editable__.thing-1.pth", "_thing_finder.py"),
    }
    write_files(own.packages, files)
    assert "warning" not in own.build().stderr
    assert entries(own.run.cwd / "app.pyz") == {
        *("thing/__init__.py", "thing/inner.py", "thing/data.txt", "single.py"),
        *("space/part/__init__.py", "deep/down/leaf.py", "mapped.py", "redirected/deep.py"),
    }
    code = (
        "import thing, single, space.part, deep.down.leaf, importlib.metadata as m\n"
        "print(thing.value, sorted(map(str, m.files('thing')))[:1], m.version('thing'))\n"
        "print(m.distribution('thing').locate_file('single.py').is_file())"
    )
    found = own.in_bundle("-c", code)
    assert found == Outcome(0, "1 ['deep/down/leaf.py'] 1\nTrue\n", "")
    assert str(project).encode() not in (own.run.cwd / "app.pyz").read_bytes()


def test_folders_of_projects(own: Own) -> None:
    """Folders outside are taken as they shadow each other on the path."""
    write_files(
        own.run.cwd,
        {
            "one/src/first/__init__.py": "name = 'one'\n",
            "one/src/both.py": "name = 'one'\n",
            "one/src/space/a.py": "",
            "one/src/notes.txt": "",
            "one/src/venv/pyvenv.cfg": "",
            "one/src/venv/module.py": "",
            "two/both.py": "name = 'two'\n",
            "two/second.py": "",
            "two/space/b.py": "",
            "two/tests/__init__.py": "",
            "two/pyproject.toml": "",
            "two/docs/index.rst": "",
            "old/setup.py": "",
            "old/old.py": "",
            "old/old.egg-info/PKG-INFO": "Metadata-Version: 2.1\nName: old\nVersion: 3\n",
        },
    )
    cwd = own.run.cwd
    files = {
        "one.pth": f"{cwd}/one/src\n",
        "two.pth": f"{cwd}/two\n",
        "easy-install.pth": f"{cwd}/old\n",
        "old.egg-link": f"{cwd}/old\n.",
        "second.py": "name = 'packages'\n",
        **distribution("one", "one.pth"),
        **distribution("two", "two.pth"),
        "two-1.dist-info/top_level.txt": "both\nsecond\nspace\n",
    }
    write_files(own.packages, files)
    said = own.build().stderr
    assert f"the project in `{cwd}/old`" in said
    assert "--project" in said
    assert entries(cwd / "app.pyz") == {
        *("first/__init__.py", "both.py", "space/a.py", "space/b.py", "second.py"),
        *("old.py", "setup.py", "old.egg-info/PKG-INFO"),
    }
    code = "import both, second, first, space.a, space.b, importlib.metadata as m\n"
    code += "print(both.name, second.name, first.name, m.version('old'))"
    expected = own.in_venv("-c", code).succeeded()
    assert own.in_bundle("-c", code) == expected
    assert str(cwd).encode() not in (cwd / "app.pyz").read_bytes()


PLAIN_PROJECT = {
    "pyproject.toml": "[project]\nname = 'thing'\nversion = '1'\ndescription = 'A thing'\n"
    "[build-system]\nrequires = ['flit_core>=3.11,<4']\nbuild-backend = 'flit_core.buildapi'\n",
    "thing.py": "'''A thing.'''\nvalue = 'built'\n",
}


def test_hook_that_says_nothing(own: Own) -> None:
    """A hook that rebuilds on import, say, is left out with a next step, and that step helps."""
    files = {
        "thing-editable.pth": "import _thing_loader",
        "_thing_loader.py": "raise SystemExit('executed')\n",
        **distribution("thing", "thing-editable.pth", "_thing_loader.py"),
    }
    write_files(own.packages, files)
    said = own.build().stderr
    assert "`thing` is installed as an editable project" in said
    assert "--project" in said
    assert entries(own.run.cwd / "app.pyz") == set()
    assert own.in_bundle("-c", "print(1)") == Outcome(0, "1\n", "")
    project = write_files(own.run.cwd / "project", PLAIN_PROJECT)
    assert "warning" not in own.build("--project", project).stderr
    found = own.in_bundle("-c", "import thing; print(thing.value)")
    assert found == Outcome(0, "built\n", "")


def rows(bundle: Path) -> set[str]:
    """Return what the `RECORD` of `thing` says about files that are no metadata."""
    with zipfile.ZipFile(bundle) as archive:
        text = archive.read("thing-1.dist-info/RECORD").decode()
    return {row for row in text.splitlines() if ".dist-info" not in row and row[0] != "."}


def setuptools(name: str, more: str = "") -> str:
    """Return the `pyproject.toml` of a project that setuptools builds."""
    return (
        "[build-system]\nrequires = ['setuptools==80.10.2']\n"
        "build-backend = 'setuptools.build_meta'\n"
        f"[project]\nname = '{name}'\nversion = '1'\n{more}"
    )


def backend(name: str, requirement: str, module: str, more: str = "") -> str:
    """Return the `pyproject.toml` of a project that another backend builds."""
    return (
        f"[build-system]\nrequires = ['{requirement}']\nbuild-backend = '{module}'\n"
        f"[project]\nname = '{name}'\nversion = '1'\ndescription = 'd'\n{more}"
    )


PROJECTS: dict[str, Files] = {
    "setuptools-flat": {
        "pyproject.toml": setuptools("thing", "[tool.setuptools]\npackages = ['thing']\n"),
        "thing/__init__.py": "",
        "thing/inner.py": "",
        "tests/__init__.py": "",
    },
    "setuptools-src": {
        "pyproject.toml": setuptools(
            "thing", "[tool.setuptools.package-data]\nthing = ['*.json']\n"
        ),
        "src/thing/__init__.py": "",
        "src/thing/data.json": "{}",
        "src/thing/deep/inner.py": "",
    },
    "setuptools-namespace": {
        "pyproject.toml": setuptools(
            "thing",
            "[tool.setuptools]\npackages = ['thing', 'thing.part']\n"
            "[tool.setuptools.package-dir]\nthing = 'lib/odd'\n",
        ),
        "lib/odd/part/__init__.py": "",
    },
    "setuptools-modules": {
        "pyproject.toml": setuptools("thing", "[tool.setuptools]\npy-modules = ['thing', 'two']\n"),
        "thing.py": "",
        "two.py": "",
        "other.py": "",
    },
    "hatchling": {
        "pyproject.toml": backend("thing", "hatchling", "hatchling.build"),
        "src/thing/__init__.py": "",
    },
    "hatchling-editables": {
        "pyproject.toml": backend(
            "thing",
            "hatchling",
            "hatchling.build",
            "[tool.hatch.build.targets.wheel]\npackages = ['thing']\ndev-mode-exact = true\n",
        ),
        "thing/__init__.py": "",
        "thing/deep/__init__.py": "",
        "tests/__init__.py": "",
    },
    "pdm-editables": {
        "pyproject.toml": backend(
            "thing",
            "pdm-backend",
            "pdm.backend",
            "[tool.pdm.build]\neditable-backend='editables'\n",
        ),
        "thing/__init__.py": "",
        "thing/inner.py": "",
    },
    "scikit-build-core": {
        "pyproject.toml": backend("thing", "scikit-build-core", "scikit_build_core.build"),
        "CMakeLists.txt": "cmake_minimum_required(VERSION 3.15)\nproject(thing NONE)\n"
        'file(WRITE ${CMAKE_BINARY_DIR}/made.py "value = 1")\n'
        "install(FILES ${CMAKE_BINARY_DIR}/made.py DESTINATION thing)\n",
        "src/thing/__init__.py": "",
        "src/thing/data.txt": "",
    },
    "flit": {
        "pyproject.toml": backend("thing", "flit_core>=3.11,<4", "flit_core.buildapi"),
        "thing.py": "'''A thing.'''\n",
    },
}


MODES = [
    *((name, ()) for name in PROJECTS),
    ("setuptools-flat", ("-C", "editable_mode=strict")),
    ("setuptools-src", ("-C", "editable_mode=compat")),
]


@pytest.mark.full
@pytest.mark.parametrize(("name", "options"), MODES, ids=[" ".join([n, *o]) for n, o in MODES])
def test_editable_projects(name: str, options: tuple[str, ...], own: Own) -> None:
    """The bundle of an editable installation holds what that of an installed copy does."""
    project = write_files(own.run.cwd / "project", PROJECTS[name])
    own.install("-e", project, *options)
    own.build()
    editable, copy = own.run.cwd / "app.pyz", own.run.cwd / "copy.pyz"
    command = [own.mmport, "build", "-q", "--project", project, "-o", copy]
    run_program(
        command, environment=own.run.environment, cwd=own.run.cwd, timeout=INSTALLATION
    ).succeeded()
    # What the backends add only there: the library of their hooks, and notes to tools.
    found = {entry for entry in entries(editable) if not entry.startswith(("editables", "."))}
    assert found == entries(copy)
    assert rows(editable) == rows(copy)
    modules = sorted(
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in found
        if name.endswith(".py")
    )
    code = "".join(f"import {module}; print({module}.__name__)\n" for module in modules)
    assert own.in_bundle("-c", code) == own.in_venv("-c", code).succeeded()


def test_a_distribution_leads_nowhere_outside(own: Own, tmp_path: Path) -> None:
    """What comes from elsewhere takes no file of this machine, whatever it says of itself."""
    secret = write_files(tmp_path / "secret", {"key": "secret", "private.py": "KEY = 1\n"})
    modules = {
        "evil.py": "VALUE = 1\n",
        "evil.pth": f"{secret}\nimport _evil_finder\n",
        "_evil_finder.py": f"MAPPING = { ({'leak': str(secret / 'key'), '/up': str(secret)}) }\n",
    }
    origin = {"url": secret.as_uri(), "dir_info": {"editable": True}}
    folder = write_files(tmp_path / "modules", modules)
    wheel = write_wheel(tmp_path, "evil", folder, {"direct_url.json": json.dumps(origin)})
    app = own.run.cwd / "app.pyz"
    said = own.run(own.mmport, "build", wheel, "-o", app).succeeded().stderr
    assert f"`evil.pth` refers to `{secret}`, outside" in said
    taken = {name for name in zipfile.ZipFile(app).namelist() if not name.endswith(".pyc")}
    assert {name for name in taken if "/" not in name} == {*modules, "mmport.json"}
    assert not any(name.startswith("/") or "private" in name for name in taken)


@pytest.mark.full
def test_editable_line_of_a_requirements_file(own: Own) -> None:
    """What an installer leaves in its place because of `-e` is taken too."""
    project = write_files(own.run.cwd / "project", PROJECTS["setuptools-flat"])
    (own.run.cwd / "requirements.txt").write_text(f"-e {project}\n")
    command = [own.mmport, "build", "-r", "requirements.txt", "-o", "app.pyz"]
    environment = own.run.environment
    run_program(command, environment=environment, cwd=own.run.cwd, timeout=INSTALLATION).succeeded()
    assert entries(own.run.cwd / "app.pyz") == {"thing/__init__.py", "thing/inner.py"}


DISTUTILS = """
import sys
print("_distutils_hack" in sys.modules)
import distutils, distutils.core
print(distutils.__file__, distutils.core.__file__)
import setuptools
print(sys.modules["distutils"] is setuptools._distutils)
"""
NAMESPACES = """
import sys
print(sorted(n for n in sys.modules if n in ("google", "paste", "ruamel", "zope")))
import paste.util, zope, zope.event
for m in paste, zope:
    print(m.__name__, type(m.__path__).__name__, list(m.__path__), m.__spec__.loader.__class__)
    print(m.__spec__.name, m.__spec__.origin, getattr(m, "__file__", "no file"), m.__package__)
for m in paste.util, zope.event:
    print(m.__name__, m.__file__)
"""
# One virtual environment stands for all quick cases.
SMALL = ("Paste==3.5.2", "setuptools==80.10.2", "zope.event==4.6")
LARGE = (*SMALL, "protobuf==3.20.3", "ruamel.yaml==0.17.21", "six==1.17.0")


def script(
    name: str, text: str, shows: str, requirements: tuple[str, ...] = SMALL, **variables: str
) -> Case:
    """Return the case of a script with requirements."""
    return Case(
        name=name,
        requirements=requirements,
        files={"script.py": text},
        commands=(Command(("script.py",), shows=shows),),
        quick=requirements is SMALL,
        variables=variables,
    )


CASES = [
    script("distutils", DISTUTILS, shows="setuptools/_distutils/__init__.py"),
    script(
        "distutils of the standard library",
        "import importlib.util as u\nprint('setuptools' in str(u.find_spec('distutils')))\n",
        shows="False",
        SETUPTOOLS_USE_DISTUTILS="stdlib",
    ),
    script("namespaces", NAMESPACES, shows="zope.event <packages>"),
    script(
        "more namespaces",
        NAMESPACES + "import google.protobuf.descriptor, ruamel.yaml\n"
        "print(google.__path__, ruamel.__path__, ruamel.yaml.__file__, google.protobuf.__file__)\n",
        shows="<packages>/ruamel",
        requirements=LARGE,
    ),
]


@each(CASES)
def test_applications(case: Case, comparison: Comparison) -> None:
    """Distributions of the index whose `.pth` files do something."""
    comparison(case)


@pytest.mark.full
def test_coverage_of_children(own: Own) -> None:
    """`coverage` is started in child processes by its `.pth` file."""
    own.install("coverage==7.10.7", "pytest-cov==5.0.0", "pytest", "future-fstrings==1.2.0")
    write_files(
        own.run.cwd,
        {
            "coverage.rc": "[run]\nparallel = true\ndata_file = data/c\n",
            "show.py": "import codecs, os, subprocess, sys\n"
            "print(codecs.lookup('future_fstrings').name, flush=True)\n"
            "if sys.argv[1:]:\n    subprocess.run([sys.executable, 'show.py'], check=True)\n",
        },
    )
    (own.run.cwd / "data").mkdir()
    own.build()
    counts = []
    for way in own.in_venv, own.in_bundle:
        outcome = way("show.py", "parent", COV_CORE_SOURCE="", COVERAGE_PROCESS_START="coverage.rc")
        files = list((own.run.cwd / "data").iterdir())
        counts.append((outcome, len(files)))
        for file in files:
            file.unlink()
    assert counts[0] == counts[1]


def test_a_patch_of_importlib_takes_effect(own: Own) -> None:
    """What a `.pth` file changes about loading holds for the standard library, too."""
    patch = "from importlib.machinery import SourceFileLoader as loader\n"
    patch += "former = loader.get_code\ndef get_code(self, name):\n"
    patch += (
        "    print('code of', name)\n    return former(self, name)\nloader.get_code = get_code\n"
    )
    write_files(own.packages, {"patch.py": patch, "a.pth": "import patch\n"})
    own.build()
    arguments = ["-c", "import colorsys"]
    for _ in range(2):
        assert "code of colorsys\n" in own.in_bundle(*arguments).succeeded().stdout
    assert "code of colorsys\n" in own.in_venv(*arguments).succeeded().stdout

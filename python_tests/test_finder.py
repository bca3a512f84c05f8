"""The finder and its loader against CPython's own, on one tree of modules.

Each file in `probes` is a program that runs twice: with the tree as a folder on `sys.path`, and
with a bundle of it. What it prints must be the same but for the place.
"""

from __future__ import annotations

import py_compile
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Build
from support import Names, Outcome, Runner, names_in_bundle, write_files

TREE: dict[str, str | bytes] = {
    "plain.py": '"""What it is for."""\nimport sys\nvalue = 1\nself = sys.modules.get(__name__)\n',
    "empty.py": "",
    "latin.py": b"# -*- coding: latin-1 -*-\ntext = '\xe4'\n",
    "bom.py": b"\xef\xbb\xbftext = '\xc3\xa4'\n",
    "crlf.py": b"text = '''a\r\nb'''\r\n\r\ndef f():\r\n    return 1\r\n",
    "ünïcode.py": "value = __name__\n",
    "annotated.py": "x: int = 1\ny: str\n",
    "future.py": "from __future__ import annotations\nx: undefined = 1\n",
    "sourceless_to_be.py": "def f():\n    raise ValueError('without source')\n",
    "pkg/__init__.py": "from .first import name\nfrom . import second as renamed\n",
    "pkg/first.py": "name = __package__\n",
    "pkg/second.py": "from . import first\nfrom .sub.deep import leaf\n",
    "pkg/sub/__init__.py": "",
    "pkg/sub/deep/__init__.py": "",
    "pkg/sub/deep/leaf.py": "from ...first import name\n",
    "pkg/__main__.py": "import sys\nprint('main', __name__, __package__, sys.argv[1:])\n",
    "runs/__init__.py": "",
    "runs/__main__.py": "import sys\nfrom . import helper\nprint(helper.x, __spec__.name)\n",
    "runs/helper.py": "x = 'helped'\n",
    "space/one.py": "value = 'one'\n",
    "space/inner/two.py": "value = 'two'\n",
    "space/text.txt": "of a namespace\n",
    "space/inner/more.bin": bytes(range(256)),
    "space/inner/folder/deep.txt": "deep\n",
    # Kept by zstd, as everything is that is named as a library.
    "space/inner/data.so": b"no library " * 1000,
    "shadow.py": "value = 'module'\n",
    "shadow/__init__.py": "value = 'package'\n",
    "spaceshadow.py": "value = 'module'\n",
    "spaceshadow/inner.py": "",
    "circle/__init__.py": "",
    "circle/a.py": "from circle.b import y\nx = 1\n",
    "circle/b.py": "from circle.a import x\ny = 1\n",
    "circle_attribute.py": "import circle_other\nx = 1\n",
    "circle_other.py": "import circle_attribute\ncircle_attribute.x\n",
    "fails.py": "import empty\nvalue = 1\nraise LookupError('fails')\n",
    "failing/__init__.py": "from . import good\nfrom . import bad\n",
    "failing/good.py": "",
    "failing/bad.py": "1 / 0\n",
    "bad_syntax.py": "def f(:\n",
    "bad_indent.py": "if True:\nx = 1\n",
    "bad_encoding.py": b"# coding: utf-8\nx = '\xff'\n",
    "bad_cookie.py": "# coding: no-such-coding\n",
    "bad_null.py": b"x = 1\0\n",
    "beyond.py": "from .. import x\n",
    "replaces.py": "import sys, types\nsys.modules[__name__] = types.SimpleNamespace(real=True)\n",
    "removes.py": "import sys\ndel sys.modules[__name__]\n",
    "dynamic.py": "def __getattr__(name):\n    return name.upper()\n",
    "extended/__init__.py": "import pkgutil\n__path__ = pkgutil.extend_path(__path__, __name__)\n",
    "extended/own.py": "",
    "moved/__init__.py": "import os\n__path__.append(os.path.join(__path__[0], 'elsewhere'))\n",
    "moved/elsewhere/found.py": "value = __file__\n",
    "data/__init__.py": "",
    "data/reader.py": "",
    "data/text.txt": "a text\n",
    "data/sub/more.bin": bytes(range(256)),
    "data/code/__init__.py": "",
    "reload_me.py": "counter = globals().get('counter', 0) + 1\n",
    "source.py": "# A comment.\nclass C:\n    '''Doc.'''\n\n    def method(self):\n"
    "        return [\n            1\n        ]\n\n\ndef f(x=1): return lambda: x\n",
    "doctested.py": "'''\n>>> 1 + 1\n3\n'''\n",
    "slow.py": "import threading\nevent = threading.Event()\nvalue = 1\n",
}

PROBES = Path(__file__).parent / "probes"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tree, with one module of which only the bytecode is left."""
    folder = write_files(tmp_path_factory.mktemp("finder") / "tree", TREE)
    source = folder / "only_bytecode.py"
    source.write_text("def f():\n    raise ValueError('x')\nvalue = __file__\n")
    py_compile.compile(str(source), str(source) + "c", dfile="only_bytecode.py", doraise=True)
    source.unlink()
    return folder


Both = Callable[..., tuple[Outcome, Outcome]]


@pytest.fixture
def both(
    tree: Path, build: Build, mmport: Path, plain_python: Path, run: Runner, root: Path
) -> Both:
    """Return a function that runs Python with the bundle and with the folder on `sys.path`."""
    bundle = build("--source", tree, name="tree.pyz")

    def both(*arguments: str, stdin: str = "") -> tuple[Outcome, Outcome]:
        found = run(mmport, "run", bundle, *arguments, stdin=stdin)
        # As site-packages are: behind the standard library.
        pth = plain_python.parent.parent / "lib"
        [site_packages] = pth.glob("python3.*/site-packages")
        path_file = site_packages / "tree.pth"
        path_file.write_text(f"{tree}\n")
        try:
            expected = run(plain_python, *arguments, stdin=stdin)
        finally:
            path_file.unlink()
        in_bundle = names_in_bundle(bundle, root)
        return (
            found.named(Names({bundle: "<packages>"}, in_bundle.patterns)),
            expected.named(
                Names(
                    {
                        tree: "<packages>",
                        plain_python: "<python>",
                        plain_python.parent.parent: "<prefix>",
                    }
                )
            ),
        )

    return both


@pytest.mark.parametrize(
    "probe",
    sorted(PROBES.glob("probe_*.py")),
    ids=lambda path: path.stem.removeprefix("probe_"),
)
def test_as_the_file_finder(probe: Path, both: Both) -> None:
    """A program sees the same in a bundle as in a folder."""
    found, expected = both(str(probe))
    assert expected.status == 0, str(expected)
    assert str(found) == str(expected)


@pytest.mark.parametrize(
    "arguments",
    [
        ("-m", "pkg", "a"),
        ("-m", "runs"),
        ("-m", "plain"),
        ("-m", "runs.helper"),
        ("-m", "space"),
        ("-m", "none"),
        ("-m", "pkg.none"),
        ("-m", "fails"),
        ("-m", "bad_syntax"),
        ("-m", "only_bytecode"),
        ("-c", "import fails"),
        ("-c", "import only_bytecode as m; print(m.value, m.__cached__); m.f()"),
        ("-O", "-c", "import plain; print(plain.__file__)"),
        ("-W", "error", "-c", "import plain, pkg.second, latin"),
        ("-m", "inspect", "source:C"),
        ("-m", "doctest", "-h"),
        ("-I", "-c", "import plain; print(plain.value)"),
        ("-S", "-c", "import plain"),
        ("-s", "-E", "-c", "import plain; print(plain.value)"),
        ("-c", "raise KeyboardInterrupt"),
        ("-", "x"),
        ("-V",),
    ],
    ids=" ".join,
)
def test_as_python(arguments: tuple[str, ...], both: Both) -> None:
    """A bundle without entry point is Python with these packages."""
    found, expected = both(*arguments, stdin="import sys, plain; print(sys.argv, plain.value)\n")
    # Frames inside a loader are its own affair, and not shown where `import` meets an error.
    frames = re.compile(r'  File "<frozen importlib\.\w+>", line \d+, in \w+\n')
    assert frames.sub("", str(found)) == frames.sub("", str(expected))


@pytest.mark.parametrize(
    ("position", "value"),
    [("sys.path.insert(0, folder)", "folder"), ("sys.path.append(folder)", 1)],
)
def test_order_on_the_path(position: str, value: object, both: Both, run: Runner) -> None:
    """A folder before the bundle shadows it; one behind it does not."""
    folder = write_files(run.cwd / "other", {"plain.py": "value = 'folder'\n"})
    code = f"import sys; folder = {str(folder)!r}; {position}; import plain; print(plain.value)"
    for outcome in both("-c", code):
        assert outcome == Outcome(0, f"{value}\n", "")


@pytest.mark.parametrize("first", ["module", "package", "namespace portion"])
def test_what_shadows_what(first: str, both: Both, run: Runner) -> None:
    """Portions of namespace packages never shadow; modules and packages do, in path order."""
    files = {
        "module": {"space.py": "kind = 'module'\n", "pkg.py": "kind = 'module'\n"},
        "package": {"space/__init__.py": "kind = 'p'\n", "pkg/__init__.py": "kind = 'p'\n"},
        "namespace portion": {"space/extra.py": "", "pkg/extra.py": "", "plain/extra.py": ""},
    }[first]
    folder = write_files(run.cwd / "other", files)
    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r})\nimport space, pkg, plain\n"
        "for m in space, pkg, plain:\n"
        "    print(getattr(m, '__file__', None), list(getattr(m, '__path__', [])),\n"
        "          getattr(m, 'kind', None))\n"
    )
    found, expected = both("-c", code)
    assert str(found) == str(expected)
    assert found.status == 0, str(found)

"""Extension modules that cannot be loaded: the loader's words, and who asked for what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from compiler import SUFFIX, compile_library, compile_module
from conftest import Application
from support import Outcome

ApplicationOf = Callable[..., Application]
Failure = Callable[[bytes], tuple[Outcome, Outcome, Path]]

PROGRAM = f"""\
import os, pkg
try:
    import pkg.native
except ImportError as error:
    file = os.path.join(os.path.dirname(pkg.__file__), "native{SUFFIX}")
    print(type(error).__name__, error.name, error.path == file)
    print(str(error).replace(os.path.dirname(pkg.__file__), "<pkg>"))
"""

METADATA = {
    "thing-1.5.dist-info/METADATA": "Metadata-Version: 2.1\nName: Thing\nVersion: 1.5\n",
    "thing-1.5.dist-info/RECORD": f"pkg/__init__.py,,\npkg/native{SUFFIX},,\n",
}


@pytest.fixture
def failure(application: ApplicationOf) -> Failure:
    """Return a function that imports a library as `pkg.native`: bundled, plain, the bundle."""

    def failure(library: bytes) -> tuple[Outcome, Outcome, Path]:
        files = {
            "__main__.py": PROGRAM,
            "pkg/__init__.py": "",
            f"pkg/native{SUFFIX}": library,
            **METADATA,
        }
        app = application(files)
        return app.bundled().succeeded(), app.plain().succeeded(), app.bundle

    return failure


def words(outcome: Outcome) -> tuple[str, str]:
    """Return what the exception is, and what it says."""
    kind, _, text = outcome.stdout.partition("\n")
    return kind, text.strip()


def test_a_missing_library(failure: Failure, tmp_path: Path) -> None:
    """The loader's words come first; then who asked, and where it was looked for."""
    absent = tmp_path / "libabsent.so.3"
    compile_library("int absent(void) { return 1; }", absent, "-Wl,-soname,libabsent.so.3")
    library = compile_module(
        tmp_path,
        "native",
        "absent()",
        "int absent(void);",
        str(absent),
        "-Wl,-rpath,$ORIGIN/../pkg.libs:/nowhere",
    )
    bundled, plain, bundle = failure(library)
    kind, text = words(bundled)
    expected_kind, expected = words(plain)
    assert kind == expected_kind == "ImportError native True"
    assert expected.startswith("libabsent.so.3: cannot open shared object file")
    assert text == (
        f"{expected} (asked for by `pkg/native{SUFFIX}` of Thing 1.5 in bundle `{bundle}`; "
        "looked for in `pkg.libs` of the bundle, `/nowhere`, the system's library folders)"
    )


def test_an_undefined_symbol(failure: Failure, tmp_path: Path) -> None:
    """The symbol and the file, as CPython has them, and the distribution."""
    library = compile_module(tmp_path, "native", "undefined()", "int undefined(void);")
    bundled, plain, bundle = failure(library)
    kind, text = words(bundled)
    expected_kind, expected = words(plain)
    assert kind == expected_kind == "ImportError native True"
    assert "undefined symbol: undefined" in expected
    assert text == (
        f"{expected} (asked for by `pkg/native{SUFFIX}` of Thing 1.5 in bundle `{bundle}`)"
    )


def test_another_architecture(failure: Failure, tmp_path: Path) -> None:
    """The loader only says that there is no such file; mmport says what is wrong with it."""
    library = bytearray(compile_module(tmp_path, "native"))
    ours = int.from_bytes(library[18:20], "little")
    aarch64, x86_64 = 183, 62
    library[18:20] = (x86_64 if ours == aarch64 else aarch64).to_bytes(2, "little")
    bundled, plain, _ = failure(bytes(library))
    kind, text = words(bundled)
    expected_kind, expected = words(plain)
    assert kind == expected_kind == "ImportError native True"
    assert text.startswith(expected)
    assert "expected a library for" in text
    assert "found one for" in text


def test_another_c_library(failure: Failure, tmp_path: Path) -> None:
    """A wheel for Alpine that was forced in."""
    musl = tmp_path / "libc.musl-x86_64.so.1"
    compile_library("int musl(void) { return 1; }", musl, f"-Wl,-soname,{musl.name}")
    library = compile_module(tmp_path, "native", "musl()", "int musl(void);", str(musl))
    bundled, _, _ = failure(library)
    assert "it was built for the C library musl" in words(bundled)[1]


def test_no_library_at_all(
    failure: Failure,
) -> None:
    """An empty file, and a text."""
    for content in b"", b"not a library\n" * 100:
        bundled, plain, _ = failure(content)
        kind, text = words(bundled)
        expected_kind, expected = words(plain)
        assert kind == expected_kind == "ImportError native True"
        assert text.startswith(expected)


def test_a_module_that_fails_by_itself(application: ApplicationOf, tmp_path: Path) -> None:
    """What its own initialization raises is left alone."""
    source = """\
#include <Python.h>
PyMODINIT_FUNC PyInit_native(void) {
    PyErr_SetString(PyExc_ImportError, "my own words");
    return NULL;
}
"""
    library = compile_library(source, tmp_path / "native.so")
    files = {"__main__.py": PROGRAM, "pkg/__init__.py": "", f"pkg/native{SUFFIX}": library}
    app = application(files)
    outcome = app.bundled()
    assert outcome == app.plain()
    assert "my own words\n" in outcome.stdout

"""Small extension modules and shared libraries, made by the C compiler of the machine."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

SUFFIX = str(sysconfig.get_config_var("EXT_SUFFIX"))

MODULE = """\
#include <Python.h>
{declarations}
static PyObject *answer(PyObject *self, PyObject *unused) {{ return PyLong_FromLong({answer}); }}
static PyMethodDef methods[] = {{{{"answer", answer, METH_NOARGS, NULL}}, {{NULL}}}};
static PyModuleDef_Slot slots[] = {{{{0, NULL}}}};
static struct PyModuleDef module = {{PyModuleDef_HEAD_INIT, "{name}", NULL, 0, methods, slots}};
PyMODINIT_FUNC PyInit_{name}(void) {{ return PyModuleDef_Init(&module); }}
"""


def compile_library(source: str, output: Path, *options: str) -> bytes:
    """Compile C to a shared library at `output`; return its content."""
    output.parent.mkdir(parents=True, exist_ok=True)
    code = output.with_suffix(".c")
    code.write_text(source)
    include = f"-I{sysconfig.get_path('include')}"
    command = ["cc", "-shared", "-fPIC", "-O1", include, "-o", output, code, *options]
    subprocess.run(command, check=True)
    return output.read_bytes()


def compile_module(
    folder: Path, name: str, answer: str = "42", declarations: str = "", *options: str
) -> bytes:
    """Compile an extension module whose function `answer` returns a number."""
    source = MODULE.format(name=name, answer=answer, declarations=declarations)
    return compile_library(source, folder / f"{name}{SUFFIX}", *options)


def package_with_needs(folder: Path, answer: str = "7") -> dict[str, bytes]:
    """Return a package whose module needs a library in a folder beside the package."""
    library = folder / "pkg.libs" / "libneeded.so.1"
    needed = compile_library(
        f"int needed(void) {{ return {answer}; }}", library, "-Wl,-soname,libneeded.so.1"
    )
    module = compile_module(
        folder / "pkg",
        "native",
        "6 * needed()",
        "int needed(void);",
        str(library),
        "-Wl,-rpath,$ORIGIN/../pkg.libs",
    )
    return {
        "pkg/__init__.py": b"",
        f"pkg/native{SUFFIX}": module,
        "pkg/data.txt": b"data",
        "pkg.libs/libneeded.so.1": needed,
    }

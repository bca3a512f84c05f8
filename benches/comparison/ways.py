"""All ways to start a case: mmport's, the virtual environment's and those of other tools."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .cases import ABLE, NOTHING, Case
from .freezing import PYINSTALLER, pyinstaller
from .measurement import (
    EMBEDDED,
    IDLE,
    INTERPRETER,
    MMPORT,
    PLAIN,
    ZIP,
    Way,
    environment_of,
    standard_input_of,
)
from .packing import (
    CODE_DATA_SHARE,
    PEX,
    SHIV,
    Packing,
    PackingError,
    code_data_share,
    no_bytecode,
    pex,
    shiv,
    zipapp,
)
from .preparation import ComparisonError

NOWHERE = "/proc/none"
"""Where nothing can be written, by nobody: extension modules are opened from memory then."""
OWN_DIRECTORY = ("HOME", "TMPDIR", "SHIV_ROOT", "PEX_ROOT", "MMPORT_ROOT")
"""Variables that name where a process may leave files: one directory for each way."""

MODES = ("warm", "first", "cold", "concurrent", "calls", "memory", "abilities")
"""What is measured; `modes.py` and `abilities.py` say how."""


@dataclass(frozen=True)
class Product:
    """What was made of a case for a way, and how that is started."""

    command: list[str | Path]
    made: Path | None
    """The file or directory that is given to others; none, if it is not one."""
    variables: dict[str, str] = field(default_factory=dict)
    takes_script: bool = True
    """Whether the case's arguments count from the first: a frozen script takes those after it."""
    fresh: Path | None = None
    """An environment that has no bytecode before a first start."""


@dataclass(frozen=True)
class Kind:
    """One of the ways, before it is a case's."""

    key: str
    """What the command line calls it."""
    title: str
    make: Callable[[Packing], Product]
    peer: bool = False
    """Whether another tool makes it; it may then fail where ours may not."""
    default: bool = False
    modes: tuple[str, ...] = MODES
    """Those in which it says something that other ways do not."""
    tool: str = ""
    """What has to be installed to make it."""

    def suits(self, case: Case) -> bool:
        """Whether there is such a way for the case."""
        return self.key not in ("idle", "embedded") or case.application == NOTHING


def environment(packing: Packing) -> Product:
    """The virtual environment."""
    prepared = packing.prepared
    return Product([prepared.program], prepared.environment)


def environment_without_bytecode(packing: Packing) -> Product:
    """The virtual environment, as an installer that does not compile leaves it."""
    program = no_bytecode(packing)
    return Product([program], program.parent.parent, fresh=program.parent.parent)


def python_with_bundle(packing: Packing) -> Product:
    """The same bundle, by Python alone."""
    if packing.case.application.script is None:
        raise PackingError("the bundle acts as Python and has no entry point")
    bundle = packing.prepared.bundle
    return Product([packing.preparation.empty_environment(), bundle], bundle)


def mmport_run(packing: Packing) -> Product:
    """The bundle, by the native command."""
    bundle = packing.prepared.bundle
    return Product([packing.preparation.mmport, "run", bundle], bundle)


def mmport_from_memory(packing: Packing) -> Product:
    """The bundle, where nothing can be written."""
    return Product(mmport_run(packing).command, None, {"MMPORT_ROOT": NOWHERE})


def mmport_ordered(packing: Packing) -> Product:
    """A bundle in the order of what the case imports."""
    bundle = bundled(packing, "ordered", "--order-from", words(packing.case))
    return Product([packing.preparation.mmport, "run", bundle], bundle)


def mmport_standalone(packing: Packing) -> Product:
    """An executable with its own Python."""
    executable = bundled(packing, "standalone", "--standalone")
    return Product([executable], executable)


def mmport_minimal(packing: Packing) -> Product:
    """The same, with what the case imports of the standard library."""
    options = ["--standalone", "--stdlib", "minimal", f"--trace={words(packing.case)}"]
    if packing.case.application == ABLE:
        options += [f"--trace={argument}" for argument in ("native", "data", "spawn")]
    executable = bundled(packing, "minimal", *options)
    return Product([executable], executable)


def bundled(packing: Packing, way: str, *options: str) -> Path:
    """A bundle of another kind, for this case alone."""
    case, preparation = packing.case, packing.preparation
    product = packing.directory(way) / case.name / packing.name
    directory = preparation.working_directory(case)
    try:
        return preparation.bundle(case.application, product, options, directory)
    except ComparisonError as error:
        raise PackingError(str(error).splitlines()[1]) from None


def words(case: Case) -> str:
    """The case's arguments as one."""
    return " ".join(case.arguments)


def zip_by_python(packing: Packing) -> Product:
    """A plain zip: an application, or where to find what a script imports."""
    product = zipapp(packing)
    python: list[str | Path] = [packing.preparation.empty_environment()]
    if packing.case.application.script is None:
        return Product(python, product, {"PYTHONPATH": str(product)})
    return Product([*python, product], product)


def shiv_by_python(packing: Packing) -> Product:
    """What shiv makes, started by the same Python."""
    product = shiv(packing)
    return Product([packing.preparation.empty_environment(), product], product)


def pex_by_python(way: str) -> Callable[[Packing], Product]:
    """What PEX makes: by the same Python, or by itself where a shell starts it."""

    def make(packing: Packing) -> Product:
        product = pex(packing, way)
        python = packing.preparation.python
        if way == "pex-boot":
            path = os.pathsep.join([str(python.parent), os.environ.get("PATH", os.defpath)])
            return Product([product], product, {"PATH": path})
        # It leaves a virtual environment for what that was made from, which takes as long again.
        return Product([python, product], product)

    return make


def frozen(way: str) -> Callable[[Packing], Product]:
    """What PyInstaller makes."""

    def make(packing: Packing) -> Product:
        product = pyinstaller(packing, way)
        made = product.parent if way == "onedir" else product
        takes_script = packing.case.application.script is not None
        return Product([product], made, takes_script=takes_script)

    return make


def shared_code(packing: Packing) -> Product:
    """An environment whose modules come from an archive of code-data-share."""
    variables = environment_of(packing.case) | {"HOME": str(packing.preparation.directory)}
    program, archive = code_data_share(packing, variables)
    return Product([program], None, {"PYCDSMODE": "SHARE", "PYCDSARCHIVE": str(archive)})


def idle(packing: Packing) -> Product:
    """Python itself, doing nothing."""
    return Product([packing.preparation.python, *IDLE], None)


def embedded(packing: Packing) -> Product:
    """mmport's Python, doing nothing."""
    return Product([packing.preparation.mmport, "python", *IDLE], None)


KINDS = [
    Kind("venv", PLAIN, environment, default=True),
    Kind(
        "no-pyc",
        "virtual environment, no .pyc",
        environment_without_bytecode,
        modes=("first", "concurrent"),
    ),
    Kind("python", ZIP, python_with_bundle, peer=True, default=True),
    Kind("mmport", MMPORT, mmport_run, default=True),
    Kind(
        "unwritable",
        "mmport run, nothing writable",
        mmport_from_memory,
        peer=True,
        modes=("first",),
    ),
    Kind("ordered", "mmport run, ordered", mmport_ordered, modes=("cold",)),
    Kind("standalone", "mmport, standalone", mmport_standalone),
    Kind("minimal", "mmport, standalone, minimal", mmport_minimal),
    Kind("idle", INTERPRETER, idle, default=True, modes=("warm", "cold", "calls", "memory")),
    Kind("embedded", EMBEDDED, embedded, default=True, modes=("warm", "cold", "calls", "memory")),
    Kind("zipapp", "zipapp", zip_by_python, peer=True),
    Kind("shiv", "shiv", shiv_by_python, peer=True, tool=SHIV),
    Kind("pex", "PEX", pex_by_python("pex"), peer=True, tool=PEX),
    Kind("pex-venv", "PEX --venv", pex_by_python("pex-venv"), peer=True, tool=PEX),
    Kind("pex-boot", "PEX --venv --sh-boot", pex_by_python("pex-boot"), peer=True, tool=PEX),
    Kind("onedir", "PyInstaller, directory", frozen("onedir"), peer=True, tool=PYINSTALLER),
    Kind("onefile", "PyInstaller, one file", frozen("onefile"), peer=True, tool=PYINSTALLER),
    Kind("cds", "code-data-share", shared_code, peer=True, tool=CODE_DATA_SHARE),
]
"""In the order in which they take turns and are shown; the first is what all are compared with."""


def made(kind: Kind, packing: Packing, directory: Path) -> tuple[Way, Product]:
    """A case's way, with files that it keeps in a directory of its own."""
    product = kind.make(packing)
    case = packing.case
    own = packing.preparation.directory / "kept" / kind.key
    own.mkdir(parents=True, exist_ok=True)
    variables = environment_of(case) | dict.fromkeys(OWN_DIRECTORY, str(own)) | product.variables
    arguments = () if kind.key in ("idle", "embedded") else case.arguments
    command = [*product.command, *(arguments if product.takes_script else arguments[1:])]
    standard_input = standard_input_of(case, directory)
    return Way(kind.title, [str(word) for word in command], variables, standard_input), product


def in_directory(way: Way, directory: Path) -> Way:
    """A way that leaves its files in another directory."""
    own = {
        name: value if (value := way.environment[name]) == NOWHERE else str(directory)
        for name in OWN_DIRECTORY
    }
    return Way(way.name, way.command, way.environment | own, way.standard_input)

"""Applications packed by other tools, from the versions that the bundles hold."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

from .cases import Case
from .preparation import (
    PIP,
    ComparisonError,
    Preparation,
    Prepared,
    Stamp,
    checked_output,
    progress,
    remove_tree,
)

SHIV = "shiv==1.0.8"
PEX = "pex==2.105.2"
CODE_DATA_SHARE = "code-data-share==0.1.0"

PEX_OPTIONS = {
    "pex": [],
    "pex-venv": ["--venv"],
    "pex-boot": ["--venv", "--sh-boot", "--compile"],
}
"""By way: as it comes, and quicker and quicker."""

ENTRY = """\
import importlib.metadata
import sys

(script,) = importlib.metadata.entry_points(group="console_scripts", name=sys.argv[1])
print(script.value)
"""


class PackingError(Exception):
    """A tool does not pack an application; the message is the first that it says about that."""


@dataclass(frozen=True)
class Packing:
    """A case to be packed, and where the products are kept."""

    case: Case
    prepared: Prepared
    preparation: Preparation

    @property
    def name(self) -> str:
        """What products are called: programs print it."""
        return self.prepared.bundle.name

    def directory(self, way: str) -> Path:
        """Where the product of a way is kept."""
        return self.preparation.directory / self.case.application.name / way

    def stamp(self, product: Path, *tools: str, **made_from: object) -> Stamp:
        """What a product is made from, its content included."""
        application = self.case.application
        packages = [*tools, PIP, *self.prepared.versions]
        made_from |= {"packages": packages, "source": application.source}
        return Stamp(product, python=str(self.preparation.python), **made_from)

    def entry(self) -> tuple[str, str]:
        """Module and function of the application's console script."""
        script = str(self.case.application.script)
        python = self.prepared.environment / "bin" / "python"
        module, function = checked_output([python, "-c", ENTRY, script]).strip().split(":")
        return module, function

    def starter(self) -> str:
        """Code that does what the console script does."""
        module, function = self.entry()
        return f"import sys\n\nfrom {module} import {function}\n\nsys.exit({function}())\n"

    def start_packing(self, way: str) -> Path:
        """The empty directory for a product of a way."""
        progress(f"packing {self.case.application.name} with {way}")
        directory = self.directory(way)
        remove_tree(directory)
        directory.mkdir(parents=True)
        return directory


def zipapp(packing: Packing) -> Path:
    """A zip that plain Python runs: files stored, with their bytecode beside the sources."""
    product = packing.directory("zipapp") / packing.name
    stamp = packing.stamp(product)
    if stamp.is_current():
        return product
    directory = packing.start_packing("zipapp")
    content = directory / "content"
    preparation = packing.preparation
    options = ["--quiet", "--no-deps", "--no-compile", "--target", str(content)]
    environment = packing.prepared.environment
    content.mkdir()
    preparation.pip(environment, "install", *options, *packing.prepared.requirements)
    if packing.case.application.script:
        (content / "__main__.py").write_text(packing.starter())
    # Beside the sources is where zipimport looks. What cannot be compiled, as some files for other
    # versions, is packed as it is.
    compile_all = [preparation.python, "-m", "compileall", "-q", "-b", content]
    checked_or_reason(["sh", "-c", '"$@" || true', "sh", *compile_all])
    with zipfile.ZipFile(product, "w") as archive:
        for path in sorted(content.rglob("*")):
            archive.write(path, path.relative_to(content))
    stamp.write()
    return product


def shiv(packing: Packing) -> Path:
    """What shiv makes, as it comes.

    With `--compile-pyc` it would compile every module at the first start, not those alone that
    are imported, and the next starts would gain nothing.
    """
    product = packing.directory("shiv") / packing.name
    stamp = packing.stamp(product, SHIV)
    if not stamp.is_current():
        program = packers(packing.preparation) / "bin" / "shiv"
        packing.start_packing("shiv")
        checked_or_reason([program, "--quiet", *arguments(packing, product)])
        stamp.write()
    return product


def pex(packing: Packing, way: str) -> Path:
    """What PEX makes."""
    product = packing.directory(way) / packing.name
    options = PEX_OPTIONS[way]
    stamp = packing.stamp(product, PEX, options=options)
    if not stamp.is_current():
        program = packers(packing.preparation) / "bin" / "pex"
        packing.start_packing(way)
        target = arguments(packing, product)
        checked_or_reason([program, "--disable-cache", *options, *target])
        stamp.write()
    return product


def code_data_share(packing: Packing, variables: dict[str, str]) -> tuple[Path, Path]:
    """An environment with code-data-share, and the archive of what the case imports."""
    environment = packing.directory("cds") / "venv"
    stamp = packing.stamp(environment, CODE_DATA_SHARE)
    program = environment / "bin" / packing.prepared.program.name
    preparation = packing.preparation
    if not stamp.is_current():
        packing.start_packing("cds")
        preparation.virtual_environment(environment)
        content = [*packing.prepared.requirements, CODE_DATA_SHARE]
        try:
            preparation.pip(environment, "install", "--quiet", "--no-deps", *content)
        except ComparisonError as error:
            raise PackingError(first_line(str(error))) from None
        stamp.write()
    case = packing.case
    archive = environment.parent / f"{case.name}.archive"
    stamp = packing.stamp(archive, CODE_DATA_SHARE, arguments=case.arguments, files=case.files)
    if not stamp.is_current():
        directory = preparation.working_directory(case)
        names = archive.with_suffix(".modules")
        names.unlink(missing_ok=True)
        trace = {**variables, "PYCDSMODE": "TRACE", "PYCDSLIST": str(names)}
        checked_or_reason([program, *case.arguments], trace, directory)
        dump = f"import cds.dump; cds.dump.run_dump({str(names)!r}, {str(archive)!r})"
        # Modules of the application, as the trace lists them, may lie in its working directory.
        beside = {**variables, "PYTHONPATH": str(directory)}
        checked_or_reason([environment / "bin" / "python", "-c", dump], beside, directory)
        stamp.write()
    return program, archive


def no_bytecode(packing: Packing) -> Path:
    """The program of an environment whose packages were installed without bytecode."""
    environment = packing.directory("no-bytecode") / "venv"
    stamp = packing.stamp(environment)
    if not stamp.is_current():
        packing.start_packing("no-bytecode")
        packing.preparation.virtual_environment(environment)
        options = ["--quiet", "--no-deps", "--no-compile"]
        packing.preparation.pip(environment, "install", *options, *packing.prepared.requirements)
        stamp.write()
    return environment / "bin" / packing.prepared.program.name


def arguments(packing: Packing, product: Path) -> list[str | Path]:
    """What shiv and PEX are called with."""
    script = packing.case.application.script
    entry = ["-c", script] if script else []
    python = str(packing.preparation.empty_environment())
    return [*entry, *packing.prepared.requirements, "--python", python, "-o", str(product)]


def packers(preparation: Preparation) -> Path:
    """A virtual environment with shiv and PEX; shiv runs the pip beside it."""
    return tools(preparation, "packers", SHIV, PEX, PIP)


def tools(preparation: Preparation, name: str, *packages: str) -> Path:
    """A virtual environment with packages that pack others."""
    environment = preparation.directory / name
    stamp = Stamp(environment, python=str(preparation.python), packages=packages)
    if not stamp.is_current():
        progress(f"installing {', '.join(packages)}")
        preparation.virtual_environment(environment)
        preparation.pip(environment, "install", "--quiet", *packages)
        stamp.write()
    return environment


def checked_or_reason(
    command: list[str | Path],
    variables: dict[str, str] | None = None,
    directory: Path | None = None,
) -> None:
    """Run a packing tool; what it says first, if it fails."""
    try:
        checked_output(command, variables, directory)
    except ComparisonError as error:
        raise PackingError(first_line(str(error))) from None


def first_line(message: str) -> str:
    """The first line of what a tool says about its failure, without the command."""
    lines = [line.strip() for line in message.splitlines()[1:] if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    line = (errors or lines or message.splitlines())[0]
    return line.replace(os.sep.join([str(Path.cwd()), ""]), "")

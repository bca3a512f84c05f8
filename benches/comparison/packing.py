"""Applications packed by shiv and PEX too, from the versions that the bundles hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .cases import Application
from .preparation import PIP, Preparation, Prepared, Stamp, checked_output, progress

PACKERS = {
    "shiv==1.0.8": ["--quiet"],
    "pex==2.105.2": ["--venv", "--sh-boot", "--compile", "--disable-cache"],
}
"""With the options for quick starts. With `--compile-pyc`, shiv would compile every module at the
first start, not those alone that are imported, and the next starts would gain nothing."""


@dataclass(frozen=True)
class Products:
    """An application, packed in all ways from one set of versions."""

    environment: Path
    """A virtual environment without bytecode."""
    program: Path
    shiv: Path
    pex: Path
    bundle: Path

    @classmethod
    def of(cls, application: Application, preparation: Preparation) -> Products:
        """Make what is not there yet."""
        prepared = preparation.application(application)
        directory = preparation.directory / application.name
        environment = directory / "no-bytecode" / "venv"
        stamp = Stamp(environment, pip=PIP, versions=prepared.versions)
        if not stamp.is_current():
            progress(f"installing {application.name} without bytecode")
            environment.parent.mkdir(exist_ok=True)
            frozen = str(directory / "requirements.txt")
            preparation.virtual_environment(environment)
            preparation.pip(environment, "install", "--quiet", "--no-compile", "-r", frozen)
            stamp.write()
        program = environment / "bin" / prepared.program.name
        shiv, pex = (archive(packer, application, prepared, preparation) for packer in PACKERS)
        return cls(environment, program, shiv, pex, prepared.bundle)


def archive(
    packer: str, application: Application, prepared: Prepared, preparation: Preparation
) -> Path:
    """Pack an application, under the name of its bundle: programs print what they are called."""
    directory = preparation.directory / application.name
    tool = packer.split("==")[0]
    product = directory / tool / prepared.bundle.name
    options = PACKERS[packer]
    stamp = Stamp(product, packer=packer, options=options, pip=PIP, versions=prepared.versions)
    if not stamp.is_current():
        program = packers(preparation) / "bin" / tool
        progress(f"packing {application.name} with {packer}")
        product.parent.mkdir(exist_ok=True)
        entry = ["-c", application.script] if application.script else []
        content = ["-r", str(directory / "requirements.txt")]
        target = ["--python", str(preparation.empty_environment()), "-o", str(product)]
        checked_output([program, *options, *entry, *content, *target])
        stamp.write()
    return product


def packers(preparation: Preparation) -> Path:
    """A virtual environment with shiv and PEX; shiv runs the pip beside it."""
    environment = preparation.directory / "packers"
    stamp = Stamp(environment, python=str(preparation.python), packages=[*PACKERS, PIP])
    if not stamp.is_current():
        progress(f"installing {' and '.join(PACKERS)}")
        preparation.virtual_environment(environment)
        preparation.pip(environment, "install", "--quiet", *PACKERS, PIP)
        stamp.write()
    return environment

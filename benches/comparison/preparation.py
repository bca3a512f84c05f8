"""Environments and bundles, made from the same pinned versions and kept in a cache directory."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from .cases import NOTHING, Application, Case

PIP = "pip==25.3"
"""Installs everything, and writes the console scripts that are compared with."""


class ComparisonError(Exception):
    """The comparison cannot go on; the message says why."""


class Stamp:
    """A note beside a product about what it was made from."""

    def __init__(self, product: Path, **made_from: object) -> None:
        """Describe what ``product`` is, or will be, made from."""
        self.product = product
        self.note = product.with_name(f"{product.name}.made-from.json")
        self.text = json.dumps(made_from, sort_keys=True)

    def is_current(self) -> bool:
        """Whether the product is there and was made from just this."""
        return self.product.exists() and self.note.exists() and self.note.read_text() == self.text

    def write(self) -> None:
        """Note that the product was made."""
        self.note.write_text(self.text)


@dataclass(frozen=True)
class Prepared:
    """An application, ready to run both ways."""

    program: Path
    """The console script of the virtual environment, or its Python."""
    bundle: Path
    versions: list[str]
    """``name==version`` of everything that is installed."""


def clean_environment() -> dict[str, str]:
    """This process's environment without what steers Python or mmport."""
    steering = ("PYTHON", "MMPORT", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(steering)}


def checked_output(command: list[str | Path]) -> str:
    """Run a command of the preparation; its standard output."""
    process = subprocess.run(
        command, env=clean_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if process.returncode:
        words = " ".join(str(word) for word in command)
        raise ComparisonError(f"{words}: exit status {process.returncode}\n{process.stderr}")
    return process.stdout


def remove_tree(directory: Path) -> None:
    """Remove a directory that may hold read-only directories."""
    if not directory.exists():
        return
    for parent, _, _ in os.walk(directory):
        os.chmod(parent, stat.S_IRWXU)
    shutil.rmtree(directory)


class Preparation:
    """Makes what is not in the cache directory yet."""

    def __init__(self, cache: Path, mmport: Path, python: Path) -> None:
        """Prepare for the interpreter ``python``, with the command ``mmport``."""
        self.mmport = mmport
        self.python = python
        version = checked_output(
            [python, "-c", "import platform; print(platform.python_version())"]
        )
        self.version = version.strip()
        self.directory = cache / self.version
        self.directory.mkdir(parents=True, exist_ok=True)

    def application(self, application: Application) -> Prepared:
        """The environment and the bundle of an application, from one resolved set of versions."""
        directory = self.directory / application.name
        environment = directory / "venv"
        frozen = directory / "requirements.txt"
        bundle = directory / "bundle" / (application.script or application.name)
        requirements = list(application.requirements)
        stamp = Stamp(frozen, python=str(self.python), requirements=requirements, pip=PIP)
        if not stamp.is_current():
            progress(f"installing {application.name}")
            remove_tree(directory)
            directory.mkdir(parents=True)
            if application == NOTHING:
                requirements = [str(write_nothing(directory))]
            self.virtual_environment(environment)
            self.pip(environment, "install", "--quiet", *requirements)
            listing = self.pip(environment, "freeze", "--all").splitlines()
            frozen.write_text("".join(f"{line}\n" for line in listing if "==" in line))
            stamp.write()
        status = self.mmport.stat()
        stamp = Stamp(bundle, size=status.st_size, modified=status.st_mtime_ns)
        if not stamp.is_current():
            progress(f"bundling {application.name}")
            bundle.parent.mkdir(exist_ok=True)
            content = ["-r", frozen]
            entry = ["-c", application.script] if application.script else []
            if application == NOTHING:
                content, entry = ["--source", directory / "source"], ["-e", "nothing:main"]
            target = ["--python", self.python, "-o", bundle]
            checked_output([self.mmport, "build", "--quiet", *content, *entry, *target])
            stamp.write()
        return Prepared(
            program=environment / "bin" / (application.script or "python"),
            bundle=bundle,
            versions=frozen.read_text().split(),
        )

    def empty_environment(self) -> Path:
        """The Python of an environment without packages.

        It stands for the base interpreter, whose own ``.pth`` files would be measured too.
        """
        environment = self.directory / "empty"
        if not (environment / "bin" / "python").exists():
            self.virtual_environment(environment)
        return environment / "bin" / "python"

    def working_directory(self, case: Case) -> Path:
        """The working directory of a case, with its files, as if it had never run."""
        directory = self.directory / "work" / case.name
        remove_tree(directory)
        directory.mkdir(parents=True)
        for name, text in case.files.items():
            (directory / name).parent.mkdir(exist_ok=True)
            (directory / name).write_text(text)
        return directory

    def virtual_environment(self, directory: Path) -> None:
        """Make an environment without pip and setuptools, whose ``.pth`` file costs time."""
        remove_tree(directory)
        checked_output([self.python, "-m", "venv", "--without-pip", directory])

    def pip(self, environment: Path, *arguments: str) -> str:
        """Run the pinned pip for an environment; its standard output."""
        tools = self.directory / "tools" / "bin" / "python"
        stamp = Stamp(tools, python=str(self.python), pip=PIP)
        if not stamp.is_current():
            progress(f"installing {PIP}")
            checked_output([self.python, "-m", "venv", "--clear", tools.parent.parent])
            checked_output([tools, "-m", "pip", "install", "--quiet", PIP])
            stamp.write()
        options = ["--disable-pip-version-check", "--python", environment / "bin" / "python"]
        return checked_output([tools, "-m", "pip", *options, *arguments])


def write_nothing(directory: Path) -> Path:
    """Write the application that does nothing, as a source folder and as a wheel; the wheel."""
    source = directory / "source"
    source.mkdir()
    code = "def main():\n    return 0\n"
    (source / "nothing.py").write_text(code)
    information = "nothing-1.0.dist-info"
    files = {
        "nothing.py": code,
        f"{information}/METADATA": "Metadata-Version: 2.1\nName: nothing\nVersion: 1.0\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{information}/entry_points.txt": "[console_scripts]\nnothing = nothing:main\n",
    }
    record = [f"{name},," for name in [*files, f"{information}/RECORD"]]
    files[f"{information}/RECORD"] = "".join(f"{line}\n" for line in record)
    wheel = directory / "nothing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel


def progress(text: str) -> None:
    """Say what is being done."""
    print(text, file=sys.stderr, flush=True)

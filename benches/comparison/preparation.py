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

from .cases import Application, Case

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
    """An application, ready to run both ways, and what other tools pack it from."""

    environment: Path
    program: Path
    """The console script of the virtual environment, or its Python."""
    bundle: Path
    frozen: Path
    """The requirements of all that is installed, with their versions."""
    wheel: Path | None
    """Of an application of our own."""

    @property
    def versions(self) -> list[str]:
        """``name==version`` of everything that is installed."""
        return self.frozen.read_text().split()

    @property
    def requirements(self) -> list[str]:
        """Arguments of an installer, and of tools that call one."""
        return ["-r", str(self.frozen), *([str(self.wheel)] if self.wheel else [])]


def clean_environment() -> dict[str, str]:
    """This process's environment without what steers Python or mmport."""
    steering = ("PYTHON", "MMPORT", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(steering)}


def checked_output(
    command: list[str | Path],
    variables: dict[str, str] | None = None,
    directory: Path | None = None,
) -> str:
    """Run a command of the preparation; its standard output."""
    process = subprocess.run(
        command,
        env=clean_environment() | (variables or {}),
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
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
        made_from = {"requirements": requirements, "source": application.source, "pip": PIP}
        stamp = Stamp(frozen, python=str(self.python), **made_from)
        if not stamp.is_current():
            progress(f"installing {application.name}")
            remove_tree(directory)
            directory.mkdir(parents=True)
            if application.source is not None:
                requirements = [str(write_wheel(application, directory))]
            self.virtual_environment(environment)
            self.pip(environment, "install", "--quiet", *requirements)
            listing = self.pip(environment, "freeze", "--all").splitlines()
            frozen.write_text("".join(f"{line}\n" for line in listing if "==" in line))
            stamp.write()
        return Prepared(
            environment=environment,
            program=environment / "bin" / (application.script or "python"),
            bundle=self.bundle(application, bundle),
            frozen=frozen,
            wheel=next(directory.glob("*.whl"), None),
        )

    def bundle(
        self,
        application: Application,
        product: Path,
        options: tuple[str, ...] = (),
        directory: Path | None = None,
    ) -> Path:
        """Bundle an application that is installed; programs it starts do so in ``directory``."""
        status = self.mmport.stat()
        made_from = {"size": status.st_size, "modified": status.st_mtime_ns, "options": options}
        stamp = Stamp(product, **made_from)
        if not stamp.is_current():
            progress(" ".join(["bundling", application.name, *options]))
            product.parent.mkdir(parents=True, exist_ok=True)
            installed = self.directory / application.name
            content: list[str | Path] = ["-r", installed / "requirements.txt"]
            entry = ["-c", application.script] if application.script else []
            if application.source is not None:
                content += ["--source", installed / "source"]
                entry = ["-e", f"{application.name}:main"]
            target = ["--python", self.python, "-o", product]
            build = [self.mmport, "build", "--quiet", *content, *entry, *target, *options]
            checked_output(build, directory=directory)
            stamp.write()
        return product

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


def write_wheel(application: Application, directory: Path) -> Path:
    """Write an application of our own, as a source folder and as a wheel; the wheel."""
    name = application.name
    source = directory / "source"
    source.mkdir()
    code = str(application.source)
    (source / f"{name}.py").write_text(code)
    information = f"{name}-1.0.dist-info"
    needs = "".join(f"Requires-Dist: {one}\n" for one in application.requirements)
    script = f"[console_scripts]\n{application.script} = {name}:main\n"
    files = {
        f"{name}.py": code,
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{information}/entry_points.txt": script,
    }
    record = [f"{name},," for name in [*files, f"{information}/RECORD"]]
    files[f"{information}/RECORD"] = "".join(f"{line}\n" for line in record)
    wheel = directory / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


def progress(text: str) -> None:
    """Say what is being done."""
    print(text, file=sys.stderr, flush=True)

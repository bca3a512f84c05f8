"""The two worlds, a virtual environment and a bundle of it, and observing a distribution in one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
OBSERVE = HERE / "inside" / "observe.py"

# Addresses of objects, which are those of a process.
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")


class NotMade(Exception):
    """An environment or a bundle could not be made; the message is the tool's own."""


def call(*command: str | Path, **variables: str) -> str:
    """Run a command that has to succeed, and return what it prints."""
    words = [str(word) for word in command]
    finished = subprocess.run(
        words, env={**os.environ, **variables}, stdin=subprocess.DEVNULL, capture_output=True
    )
    if finished.returncode != 0:
        raise NotMade(finished.stderr.decode(errors="replace").strip() or f"{words[0]} failed")
    return finished.stdout.decode()


@dataclass(frozen=True)
class World:
    """One way to import: a command that runs a Python file, and how its places are called."""

    name: str
    command: tuple[str, ...]
    patterns: tuple[tuple[str, str], ...]
    variables: tuple[tuple[str, str], ...] = ()

    def named(self, text: str) -> str:
        """Replace this world's places by the names that both worlds have for them."""
        for pattern, name in self.patterns:
            text = re.sub(pattern, name, text)
        return _ADDRESS.sub("<address>", text)

    def observe(
        self, distribution: str | None, modules: list[str], place: Path, limit: float
    ) -> list[dict[str, Any]]:
        """Observe modules, each in the process of those before it as long as that lives.

        A module that ends the process, or takes longer than the limit, has a record that says so.
        """
        records: list[dict[str, Any]] = []
        asked, begin = distribution, 0
        while True:
            job = {"distribution": asked, "modules": modules, "begin": begin}
            lines, ending = self._run(job, place, limit)
            records += [line for line in lines if not line.keys() & {"begins", "complete"}]
            begun = [line["begins"] for line in lines if "begins" in line]
            if lines and "complete" in lines[-1]:
                return records
            if begun:
                if "begins" in lines[-1]:
                    records.append({"module": modules[begun[-1]], "ended": ending})
                else:
                    # Another thread ended the process after the module's import.
                    records[-1]["ended"] = ending
                begin = begun[-1] + 1
            elif asked is not None:
                # Already the metadata ended it.
                records.append({"ended": ending})
            else:
                left = modules[begin:]
                return [*records, *({"module": name, "ended": ending} for name in left)]
            asked = None

    def _run(
        self, job: dict[str, Any], place: Path, limit: float
    ) -> tuple[list[dict[str, Any]], str]:
        with tempfile.TemporaryDirectory(dir=place) as folder:
            task, output, home = (Path(folder) / name for name in ("job.json", "output", "home"))
            home.mkdir()
            task.write_text(json.dumps(job))
            output.touch()
            process = subprocess.Popen(
                [*self.command, OBSERVE, task, output],
                cwd=home,
                env={**_environment(home), **dict(self.variables)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            ending = _wait(process, output, limit)
            text = output.read_text().replace(str(home), "<home>").replace(folder, "<folder>")
            # A process that was killed may have left half a line.
            whole = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
            return [json.loads(self.named(line)) for line in whole], ending


def _environment(home: Path) -> dict[str, str]:
    """Return the environment of both worlds; nothing of the user's, so that results repeat."""
    return {
        "HOME": str(home),
        "PATH": os.defpath,
        "LC_ALL": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "TERM": "dumb",
        "BROWSER": "true",
    }


def _wait(process: subprocess.Popen[bytes], output: Path, limit: float) -> str:
    """Wait for a process as long as it makes progress; return how it ended."""
    size = -1
    while True:
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            if output.stat().st_size != size:
                size = output.stat().st_size
                continue
            os.killpg(process.pid, 9)
            process.wait()
            return "time limit"
        # What it started may go on otherwise.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        return f"status {status}"


def install(python: Path, place: Path, requirements: Iterable[str], constraints: Path) -> Path:
    """Make a virtual environment with requirements, from wheels only."""
    call(python, "-m", "venv", "--without-pip", place)
    options: list[str | Path] = ["--quiet", "--only-binary", ":all:", "-c", constraints]
    if uv := shutil.which("uv"):
        # As pip does: neither world compiles while it imports.
        options += ["--compile-bytecode", "--python", place / "bin/python"]
        call(uv, "pip", "install", *options, *requirements)
    else:
        call(python, "-m", "pip", "--python", place, "install", *options, *requirements)
    return place


def of_venv(venv: Path) -> World:
    """Return the world of a virtual environment."""
    packages = rf"{re.escape(str(venv))}/lib/python3\.\d+/site-packages"
    return World(
        "venv",
        (str(venv / "bin" / "python"),),
        ((packages, "<packages>"), (re.escape(str(venv)), "<prefix>")),
    )


def of_bundle(mmport: Path, bundle: Path, root: Path) -> World:
    """Return the world of a bundle."""
    below = re.escape(str(root))
    return World(
        "bundle",
        (str(mmport), "run", str(bundle)),
        (
            (re.escape(str(bundle)), "<packages>"),
            (rf"{below}/trees-v\d+/[0-9a-f]{{32}}/site-packages", "<packages>"),
            # The process's own file, as the C library calls it.
            (re.escape(str(mmport)), "<prefix>/bin/python"),
            (rf"{below}/environments-v\d+/[0-9a-f]{{32}}", "<prefix>"),
        ),
        (("MMPORT_ROOT", str(root)),),
    )

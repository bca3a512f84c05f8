"""Programs of the package index, and what they do from a bundle as from a virtual environment."""

from __future__ import annotations

import difflib
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from empty_root import in_empty_root
from support import Names, Runner, Word, files_below, names_in_bundle, names_in_venv, write_files

if TYPE_CHECKING:
    from conftest import Build, VenvOf


@dataclass(frozen=True)
class Command:
    """One call of the application: what follows its name, and what must come of it."""

    arguments: tuple[str, ...]
    shows: str
    status: int = 0
    stdin: str = ""


@dataclass(frozen=True)
class Case:
    """An application, and what is done with it in one working directory."""

    name: str
    requirements: tuple[str, ...]
    commands: tuple[Command, ...]
    # The console script; without one the bundle acts as Python.
    script: str | None = None
    # Further options for `mmport build`.
    build: tuple[str, ...] = ()
    # Files to prepare, and globs of files that the commands must create.
    files: Mapping[str, str] = field(default_factory=dict)
    creates: tuple[str, ...] = ()
    # Globs of created files of which only the names are compared: times or random values in them.
    names_only: tuple[str, ...] = ()
    # Patterns of output and created files that differ from one call to the next in any case.
    changing: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    # Part of the quick subset.
    quick: bool = False
    # Why it needs more of a machine than the C library; empty where it does not.
    needs: str = ""


def mask(text: str, changing: tuple[str, ...]) -> str:
    """Blank what changes from one call to the next."""
    for pattern in changing:
        text = re.sub(pattern, "<changes>", text)
    return text


@dataclass(frozen=True)
class Session:
    """Runs the commands of a case one way, in the one working directory of both ways."""

    case: Case
    command: tuple[Path | str, ...]
    names: Names
    run: Runner
    # Makes a command of one that runs it elsewhere.
    wrap: Callable[[list[Word]], list[Word]] = list

    def observations(self) -> dict[str, str | bytes | None]:
        """Return what each command and the created files came to, with common names."""
        work, home = self.run.cwd / "work", self.run.cwd / "home"
        for folder in work, home:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        write_files(work, self.case.files)
        seen: dict[str, str | bytes | None] = {}
        for command in self.case.commands:
            outcome = self.run(
                *self.wrap([*self.command, *command.arguments]),
                stdin=command.stdin,
                cwd=work,
                HOME=str(home),
                **self.case.variables,
            ).named(self.names)
            title = " ".join(command.arguments)
            assert outcome.status == command.status, f"{title}: {outcome}"
            assert command.shows in outcome.stdout + outcome.stderr, f"{title}: {outcome}"
            seen[title] = mask(str(outcome), self.case.changing)
        files = files_below(work)
        for pattern in self.case.creates:
            assert any(fnmatch(name, pattern) for name in files), f"no {pattern} in {list(files)}"
        for name, content in files.items():
            if any(fnmatch(name, pattern) for pattern in self.case.names_only):
                seen[f"file {name}"] = None
            elif b"\0" in content:
                seen[f"file {name}"] = content
            else:
                text = content.decode("utf-8", "backslashreplace")
                seen[f"file {name}"] = mask(self.names(text), self.case.changing)
        return seen


def differences(title: str, found: str | bytes | None, expected: str | bytes | None) -> str:
    """Return in which lines the two ways differ, whole."""
    before, after = (
        it.splitlines() if isinstance(it, str) else [repr(it)[:1000]] for it in (expected, found)
    )
    lines = difflib.unified_diff(before, after, "virtual environment", "bundle", lineterm="")
    return "\n".join([title, *lines])


def each(cases: Sequence[Case]) -> pytest.MarkDecorator:
    """Give each of the cases to a test; those that are not `quick` are marked `full`."""
    parameters = [
        pytest.param(case, id=case.name, marks=() if case.quick else (pytest.mark.full,))
        for case in cases
    ]
    return pytest.mark.parametrize("case", parameters)


@dataclass(frozen=True)
class Comparison:
    """Does what a case says both ways."""

    mmport: Path
    root: Path
    build: Build
    venv_of: VenvOf
    run: Runner

    def __call__(self, case: Case) -> None:
        """Demand the same output, status and files, from the same distributions."""
        venv = self.venv_of(case.requirements)
        program = case.script or "python"
        entry = ["--script", case.script] if case.script else []
        bundle = self.build("-r", venv.lock, *entry, *case.build, name=program)
        names = names_in_bundle(bundle, self.root)
        in_bundle = Session(case, (self.mmport, "run", bundle), names, self.run)
        names = names_in_venv(venv.place, program)
        in_venv = Session(case, (venv.place / "bin" / program,), names, self.run)
        demand_same(in_bundle, in_venv)

    def in_empty_root(self, case: Case) -> None:
        """Demand the same of a standalone executable where nothing but the C library is."""
        # There are no descriptions of terminals and no locales either.
        absent = {"TERM": "none", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "1"}
        case = replace(case, variables={**case.variables, **absent})
        venv = self.venv_of(case.requirements)
        program = case.script or "python"
        entry = ["--script", case.script] if case.script else []
        app = self.build("--standalone", "-r", venv.lock, *entry, *case.build, name=program)
        base = Path(os.__file__).parent
        standalone = Session(
            case,
            (app,),
            names_in_bundle(app, self.root).also(
                {
                    rf"{re.escape(str(self.root))}/trees-v2/[0-9a-f]{{32}}/site-packages"
                    rf"/\.python/lib/python3\.\d+": "<library>",
                    rf"{re.escape(str(app))}/\.python/lib/python3\.\d+": "<library>",
                }
            ),
            self.run,
            lambda command: in_empty_root(
                self.run.cwd / "root", [app.parent, self.root, self.run.cwd], *command
            ),
        )
        names = names_in_venv(venv.place, program).also({re.escape(str(base)): "<library>"})
        in_venv = Session(case, (venv.place / "bin" / program,), names, self.run)
        demand_same(standalone, in_venv)


def demand_same(this: Session, that: Session) -> None:
    """Demand the same of two ways to run a case."""
    expected = that.observations()
    found = this.observations()
    assert list(found) == list(expected), "not the same files"
    for title in expected:
        assert found[title] == expected[title], differences(title, found[title], expected[title])

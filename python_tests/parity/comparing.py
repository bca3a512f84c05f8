"""Comparing environments, distribution by distribution, module by module."""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import Distribution, distributions
from pathlib import Path, PurePosixPath
from typing import Any

from compare import Difference, allowance, differences
from result import Result
from worlds import NotMade, World, call, install, of_bundle, of_venv

Records = list[dict[str, Any]]


def canonical(name: str) -> str:
    """Return a distribution's name as all its spellings have it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def modules_of(distribution: Distribution) -> list[str]:
    """Return the names of all modules of a distribution, with the packages above them."""
    found = set()
    for file in distribution.files or []:
        name = _module(PurePosixPath(file))
        while name:
            found.add(name)
            name = name.rpartition(".")[0]
    return sorted(found)


def _module(file: PurePosixPath) -> str:
    suffix = next((s for s in (".py", *EXTENSION_SUFFIXES) if file.name.endswith(s)), None)
    parts = [*file.parts[:-1], file.name.removesuffix(suffix or "")]
    if suffix is None or not all(re.fullmatch(r"\w+", part) for part in parts):
        return ""
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@dataclass
class Comparing:
    """The whole comparison; its methods may run in several threads."""

    mmport: Path
    python: Path
    constraints: Path
    place: Path
    time_limit: float
    result: Result
    lock: threading.Lock = field(default_factory=threading.Lock)
    claimed: set[str] = field(default_factory=set)

    def requirements(self, requirements: list[str]) -> None:
        """Compare distributions that share an environment; those that cannot go apart."""
        place = Path(tempfile.mkdtemp(dir=self.place))
        try:
            install(self.python, place / "venv", requirements, self.constraints)
            self.environment(place / "venv", None, place)
        except NotMade as error:
            if len(requirements) == 1:
                with self.lock:
                    self.result.not_made[requirements[0]] = str(error)
                return
            half = len(requirements) // 2
            self.requirements(requirements[:half])
            self.requirements(requirements[half:])
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def environment(self, venv: Path, bundle: Path | None, place: Path) -> None:
        """Compare a virtual environment with a bundle, by default one that is made of it."""
        if bundle is None:
            bundle = place / "packages"
            call(self.mmport, "build", "--quiet", "--venv", venv, "-o", bundle)
        worlds = (of_venv(venv), of_bundle(self.mmport, bundle, place / "root"))
        [packages] = venv.glob("lib/python3.*/site-packages")
        for distribution in distributions(path=[str(packages)]):
            name = canonical(distribution.metadata["Name"])
            with self.lock:
                if name in self.claimed:
                    continue
                self.claimed.add(name)
            self._distribution(name, distribution, *worlds, place)

    def _distribution(
        self, name: str, distribution: Distribution, venv: World, bundle: World, place: Path
    ) -> None:
        modules = modules_of(distribution)
        expected, found = (
            world.observe(name, modules, place, self.time_limit) for world in (venv, bundle)
        )
        differing = list(_differences(name, expected, found))
        varying: list[Difference] = []
        if any(not allowance(item) for item in differing):
            # What is not even the same in one world twice says nothing about the other one.
            again = venv.observe(name, modules, place, self.time_limit)
            unstable = {(d.module, d.field) for d in _differences(name, expected, again)}
            varying = [
                item
                for item in differing
                if (item.module, item.field) in unstable and not allowance(item)
            ]
        with self.lock:
            left = self.result.add(name, distribution.version, expected, differing, varying)
            for item in left:
                print(item)
            count = f"{len(modules)} modules, {len(left)} differences"
            print(f"{name} {distribution.version}: {count}", flush=True)


def _differences(name: str, expected: Records, found: Records) -> Iterator[Difference]:
    by_module = {record.get("module", ""): record for record in found}
    for record in expected:
        yield from differences(name, record, by_module.get(record.get("module", ""), {}))

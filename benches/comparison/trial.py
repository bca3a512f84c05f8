"""One case in all the ways that were asked for: made, tried once, and what was measured of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .cases import Case
from .measurement import PLAIN, DiffersError, Outcome, Way, checked, run
from .packing import Packing, PackingError
from .preparation import Preparation, progress
from .ways import KINDS, Kind, Product, made

Sample = dict[str, float]
"""Figures of one start, or of some at once, by name."""


@dataclass
class Measurement:
    """What was measured of one case."""

    case: str
    title: str
    versions: list[str]
    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)
    """By series and way; those at the same index belong to the same round."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Why a way is not measured, by way."""
    abilities: dict[str, dict[str, str]] = field(default_factory=dict)
    """What ways can do, by way and ability."""


class Trial:
    """A case, its ways, and what they have to do."""

    def __init__(self, case: Case, kinds: list[Kind], preparation: Preparation) -> None:
        """Make what is not made yet."""
        self.case = case
        self.preparation = preparation
        self.packing = Packing(case, preparation.application(case.application), preparation)
        versions = self.packing.prepared.versions
        self.measurement = Measurement(case.name, case.title, versions)
        self.kinds: dict[str, Kind] = {}
        self.ways: dict[str, Way] = {}
        self.products: dict[str, Product] = {}
        directory = preparation.directory / "work" / case.name
        for kind in [kind for kind in KINDS if kind in kinds and kind.suits(case)]:
            try:
                way, product = made(kind, self.packing, directory)
            except PackingError as error:
                self.leave_out(kind.title, str(error))
                continue
            self.kinds[kind.title] = kind
            self.ways[kind.title] = way
            self.products[kind.title] = product

    @contextmanager
    def prepared(self) -> Iterator[None]:
        """In a working directory as if the case had never run, with ways that have run once."""
        directory = self.preparation.working_directory(self.case)
        before = Path.cwd()
        os.chdir(directory)
        try:
            self.expected = run(self.ways[PLAIN])
            for way in list(self.ways.values()):
                self.attempt(way, lambda way=way: self.start(way))
            yield
        finally:
            os.chdir(before)

    def start(self, way: Way) -> Outcome:
        """Start a way, which has to do what is expected."""
        return checked(self.case, way, self.expected)

    def attempt(self, way: Way, start: Callable[[], Sample | Outcome]) -> Sample | Outcome | None:
        """Start a way; if another tool's does something else, leave it out from then on."""
        try:
            return start()
        except DiffersError as error:
            if not self.kinds[way.name].peer:
                raise
            self.leave_out(way.name, self.reason(error.outcome))
            for samples in self.measurement.samples.values():
                samples.pop(way.name, None)
            return None

    def leave_out(self, name: str, why: str) -> None:
        """Do without a way."""
        self.measurement.left_out[name] = why.replace(f"{self.preparation.directory}/", "")
        self.ways.pop(name, None)

    def reason(self, outcome: Outcome) -> str:
        """Why a way does not run: the last that mmport says, or else the last error."""
        lines = outcome.errors.decode(errors="replace").strip().splitlines()
        said = [line.removeprefix("mmport: ") for line in lines if line.startswith("mmport: ")]
        errors = [line for line in lines if "Error" in line or "error:" in line]
        other = f"exit status {outcome.status}, and other output"
        line = (said or errors or lines or [other])[-1].rstrip(".")
        bundle = self.packing.prepared.bundle
        # What the message names is a path of this machine, and then what mmport would do.
        line = line.removeprefix(f"{bundle}: ").split("; run it with")[0]
        return line.replace(str(bundle), bundle.name)

    def ways_in(self, mode: str) -> list[Way]:
        """The ways that say something in a mode."""
        return [way for way in self.ways.values() if mode in self.kinds[way.name].modes]

    def in_rounds(
        self,
        series: str,
        ways: list[Way],
        rounds: int,
        start: Callable[[Way], Sample],
        warm_up: int = 1,
    ) -> None:
        """Start ways in turn in each round, after some to warm up, and keep the samples."""
        progress(f"measuring {self.case.name}, {series}: {rounds} rounds of {len(ways)} ways")
        samples = self.measurement.samples[series] = {way.name: [] for way in ways}
        for number in range(-warm_up, rounds):
            for way in ways:
                if way.name not in samples:
                    continue
                sample = self.attempt(way, lambda way=way: start(way))
                if number >= 0 and isinstance(sample, dict):
                    samples[way.name].append(sample)

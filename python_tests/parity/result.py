"""What a comparison found, over all distributions, and how it is shown."""

from __future__ import annotations

import collections
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compare import Difference, allowance


@dataclass
class Result:
    """Counts and differences; every count is of the virtual environment's world."""

    python: str
    distributions: dict[str, str] = field(default_factory=dict)
    modules: int = 0
    imported: int = 0
    raised: int = 0
    ended: int = 0
    values: int = 0
    found: list[Difference] = field(default_factory=list)
    allowed: collections.Counter[str] = field(default_factory=collections.Counter)
    varying: list[Difference] = field(default_factory=list)
    not_made: dict[str, str] = field(default_factory=dict)

    def add(
        self,
        name: str,
        version: str,
        records: list[dict[str, Any]],
        differing: list[Difference],
        varying: list[Difference],
    ) -> list[Difference]:
        """Add a distribution; return the differences in it that nothing allows or explains."""
        found = [item for item in differing if not allowance(item) and item not in varying]
        modules = [record for record in records if "module" in record]
        self.distributions[name] = version
        self.modules += len(modules)
        self.ended += sum("ended" in record for record in modules)
        self.imported += sum(record.get("import") == "succeeded" for record in modules)
        self.raised += sum(isinstance(record.get("import"), dict) for record in modules)
        self.values += sum(1 for record in records for _ in _leaves(record))
        self.found += found
        self.varying += varying
        self.allowed.update(allowed.name for item in differing if (allowed := allowance(item)))
        return found

    def __str__(self) -> str:
        """Return the summary."""
        endings = f"{self.raised} raised an error, {self.ended} ended the process or hung"
        lines = [
            f"CPython {self.python}: {len(self.distributions)} distributions, {self.modules} "
            f"modules ({self.imported} imported, {endings}), {self.values} values",
            f"  {len(self.found)} differences",
        ]
        lines += [f"  allowed: {count} {name}" for name, count in self.allowed.most_common()]
        lines += [f"  not the same in one world twice: {item}" for item in self.varying]
        lines += [f"  not made: {name}: {reason}" for name, reason in self.not_made.items()]
        return "\n".join(lines)

    def write(self, output: Path) -> None:
        """Write everything as JSON."""
        record = {
            **vars(self),
            "found": [vars(item) for item in self.found],
            "varying": [vars(item) for item in self.varying],
        }
        output.write_text(json.dumps(record, indent=1) + "\n")


def _leaves(record: Any) -> Iterator[Any]:
    if isinstance(record, dict):
        for value in record.values():
            yield from _leaves(value)
    else:
        yield record

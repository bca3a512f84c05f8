"""What differs between two worlds, and which of it may."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]
Field = tuple[str, ...]

# An empty module's text, where the file system has it.
LINE_END = "1 bytes 01ba4719c80b6fe9"

# In place of a value that the other world has.
ABSENT = "(absent)"


@dataclass(frozen=True)
class Difference:
    """One field of one module, or of a distribution's metadata, that is not the same in both."""

    distribution: str
    module: str
    field: Field
    venv: Any
    bundle: Any

    def __str__(self) -> str:
        where = f"{self.distribution}: {self.module or 'metadata'}: {'/'.join(self.field)}"
        venv, bundle = self.venv, self.bundle
        if isinstance(venv, list) and isinstance(bundle, list):
            where += " (what only one has)"
            venv, bundle = (
                [item for item in venv if item not in self.bundle],
                [item for item in bundle if item not in self.venv],
            )
        return f"{where}\n    venv:   {venv!r}\n    bundle: {bundle!r}"


@dataclass(frozen=True)
class Allowed:
    """A difference that is meant; README lists each under what differs from a venv."""

    name: str
    reason: str
    applies: Callable[[Difference], bool]


def _loader(found: Difference) -> bool:
    field = found.field in {("spec", "loader"), ("attributes", "__loader__")}
    return field and found.bundle == "BundleImporter"


def _cached(found: Difference) -> bool:
    field = found.field in {("spec", "cached"), ("attributes", "__cached__")}
    return field and str(found.venv).endswith(".pyc") and str(found.bundle).endswith(".pyc")


def _no_pycache(found: Difference) -> bool:
    below = found.field[0] == "resources" and found.field[-1].endswith("__pycache__/")
    return below and found.bundle == ABSENT


def _empty(found: Difference) -> bool:
    error = found.bundle.get("text") if isinstance(found.bundle, dict) else None
    source = found.field == ("inspected",) and found.venv == LINE_END
    return source and error == "could not get source code"


def _installed_files(found: Difference) -> bool:
    if found.field[:1] != ("files",):
        return False
    row = found.field[1]
    if re.fullmatch(r"[^/]+\.dist-info/RECORD", row):
        return found.field[2:] == ("content",)
    left_out = r"<prefix>/bin/.*|(.*/)?__pycache__/.*|[^/]+\.dist-info/direct_url\.json"
    return found.bundle == ABSENT and re.fullmatch(left_out, row) is not None


def _changed(found: Difference) -> bool:
    return found.field == ("inspected after changes",)


def _bytecode_listed(found: Difference) -> bool:
    listed = found.venv == ABSENT and found.field[0] == "files"
    return listed and found.field[1].endswith(".pyc")


ALLOWED = [
    Allowed("loader", "mmport serves the module, and says so", _loader),
    Allowed("bytecode's place", "`__cached__` names the bytecode's entry in the bundle", _cached),
    Allowed("no __pycache__", "bytecode lies in the bundle, not beside the module", _no_pycache),
    Allowed("source of an empty module", "CPython 3.13 reads a line end from files", _empty),
    Allowed("source of a changed module", "`inspect` asks the loader, not `__file__`", _changed),
    Allowed("bytecode listed", "the bundle's own bytecode is a file of it", _bytecode_listed),
    Allowed(
        "scripts and RECORD", "there are no scripts; RECORD lists what there is", _installed_files
    ),
]


def differences(distribution: str, venv: Record, bundle: Record) -> Iterator[Difference]:
    """Yield what differs in two records of the same module or distribution."""
    module = str(venv.get("module", ""))
    venv, bundle = _with_prefix(venv, True), _with_prefix(bundle, False)
    for field, left, right in _unequal(venv, bundle, ()):
        yield Difference(distribution, module, field, left, right)


def _with_prefix(record: Record, in_venv: bool) -> Record:
    """Name what a distribution installs below `sys.prefix` (`share`, `bin`) as what it is.

    `RECORD` says `../../../share/x` in a virtual environment. In a bundle, where such directories
    lie beside the packages, it says `share/x`.
    """
    if "files" not in record or "raised" in record["files"]:
        return record
    files = {}
    for row, content in record["files"].items():
        if in_venv:
            row = re.sub(r"^(\.\./){3}", "<prefix>/", row)
        elif re.match(r"(share|etc|include|man)/", row):
            row = f"<prefix>/{row}"
        files[row] = content
    return {**record, "files": files}


def _unequal(venv: Any, bundle: Any, field: Field) -> Iterator[tuple[Field, Any, Any]]:
    # An error has no parts that could be compared with those of a value.
    both = isinstance(venv, dict) and isinstance(bundle, dict)
    if both and ("raised" in venv) == ("raised" in bundle):
        for key in sorted({*venv, *bundle}):
            left, right = venv.get(key, ABSENT), bundle.get(key, ABSENT)
            yield from _unequal(left, right, (*field, key))
    elif venv != bundle:
        yield field, venv, bundle


def allowance(found: Difference) -> Allowed | None:
    """Return what allows a difference, if anything does."""
    return next((allowed for allowed in ALLOWED if allowed.applies(found)), None)

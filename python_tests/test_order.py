"""What shadows what: every kind of thing, in a folder, a zip and the bundle, in every order."""

from __future__ import annotations

import itertools
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from conftest import Application
from support import Names, write_files

KINDS = ("nothing", "module", "package", "portion")
PLACES = ("folder", "zip", "own")
# One name for each way in which the three places can have it; the package below them has them too.
NAMES = {"_".join(kinds): kinds for kinds in itertools.product(KINDS, repeat=len(PLACES))}

PROGRAM = """\
import importlib, itertools, os, sys
places = {"folder": sys.argv[1], "zip": sys.argv[2]}
[places["own"]] = [p for p in sys.path if p.rstrip("/") == os.path.dirname(__file__)]
rest = [p for p in sys.path if p not in places.values()]
names = sys.argv[3].split(",")

def shown(module):
    if module is None:
        return "nothing"
    file, path = getattr(module, "__file__", None), getattr(module, "__path__", None)
    # zipimport shows the bytecode's file where there is some; there is none in this zip.
    return f"{getattr(module, 'VALUE', None)} {file} {path and list(path)}"

def attempt(name):
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None

for order in itertools.permutations(places):
    sys.path[:] = [*rest, *(places[place] for place in order)]
    for name in names:
        print(*order, name, shown(attempt(name)), shown(attempt(name + ".inner")), sep="|")
    for name in [name for name in sys.modules if name.partition(".")[0] in names]:
        del sys.modules[name]
"""


def tree(place: str) -> Mapping[str, str]:
    """Return the files of a place."""
    value = f"VALUE = {place!r}\n"
    files = {}
    for name, kinds in NAMES.items():
        kind = kinds[PLACES.index(place)]
        if kind == "module":
            files[f"{name}.py"] = value
        if kind == "package":
            files[f"{name}/__init__.py"] = value
        if kind in {"package", "portion"}:
            files[f"{name}/inner.py"] = value
            files[f"{name}/only_{place}.py"] = value
    return files


def test_every_order(application: Callable[..., Application], tmp_path: Path) -> None:
    """Where a bundle stands on `sys.path` decides, as for a folder."""
    it = application({"__main__.py": PROGRAM, **tree("own")})
    folder = write_files(tmp_path / "folder", tree("folder"))
    archive = tmp_path / "other.zip"
    with zipfile.ZipFile(archive, "w") as target:
        files = tree("zip")
        # zipimport finds portions only by entries of their own.
        folders = {f"{name.partition('/')[0]}/": "" for name in files if "/" in name}
        for name, text in {**folders, **files}.items():
            target.writestr(name, text)
    arguments = (folder, archive, ",".join(NAMES))
    found = it.bundled(*arguments).named(Names({it.bundle: "<own>"}))
    expected = it.plain(*arguments).named(Names({it.folder: "<own>"}))
    assert str(found) == str(expected)
    assert found.succeeded().stdout.count("\n") == 6 * len(NAMES)
    # All three places are the first at times, and portions join.
    assert all(f"|{place} " in found.stdout for place in PLACES)
    assert f"['{folder}/portion_portion_portion', '{archive}/portion" in found.stdout

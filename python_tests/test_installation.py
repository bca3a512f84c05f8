"""`mmport.install` for all zips, and `mmport.uninstall`."""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

import pytest
from support import Outcome, Runner
from test_zip_importer import make

IMPORTS = """
import sys, zipimport, importlib.resources, pkgutil, inspect
import mmport
archive = sys.argv[1]
if sys.argv[2] == "mmport":
    sys.path_importer_cache[archive] = zipimport.zipimporter(archive)
    mmport.install()
    mmport.install()
    assert archive not in sys.path_importer_cache
sys.path.insert(0, archive)
import plain, pkg.inner, current, space.inner
for module in plain, pkg, pkg.inner, current:
    spec = module.__spec__
    print(module.__file__, module.value, spec.origin, spec.cached, spec.parent, module.__loader__)
    print(list(getattr(module, "__path__", [])), isinstance(spec.loader, zipimport.zipimporter))
print(list(space.__path__), inspect.getsource(plain), pkgutil.get_data("pkg", "data.txt"))
print((importlib.resources.files(pkg) / "data.txt").read_bytes())
print([(m.name, m.ispkg) for m in pkgutil.iter_modules([archive])])
hooks = [hook for hook in sys.path_hooks if isinstance(hook, type)]
assert hooks == [mmport.ZipImporter if sys.argv[2] == "mmport" else zipimport.zipimporter]
assert (type(plain.__loader__) is mmport.ZipImporter) == (sys.argv[2] == "mmport")
def fails():
    import wrong
fails()
"""


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_install_for_all_zips(compression: int, run: Runner) -> None:
    """After `mmport.install()`, programs import from zips as before."""
    path = make(run.cwd / "a.zip", compression)
    theirs, ours = (run(sys.executable, "-c", IMPORTS, path, way) for way in ("plain", "mmport"))
    # CPython leaves its own frames above a syntax error in a zip; those of ours it takes out.
    frames = re.compile(r'  File "<frozen [\w.]+>", line \d+, in \w+\n')
    assert str(ours) == frames.sub("", str(theirs))
    assert "SyntaxError" in ours.stderr
    assert ours.stdout.count("\n") > 10


UNINSTALL = """
import sys, zipimport
import mmport
archive, bundle = sys.argv[1:]
mmport.uninstall()
def state():
    kinds = [type(finder) for finder in sys.path_importer_cache.values()]
    return (list(sys.path), list(sys.path_hooks), list(sys.meta_path),
            [kind for kind in kinds if kind in (mmport.ZipImporter, mmport.BundleImporter)])
before = state()
for _ in range(2):
    mmport.install()
    mmport.install(bundle)
    mmport.install(bundle)
    sys.path.insert(0, archive)
    import plain, pkg, helper, package
    assert type(plain.__loader__) is mmport.ZipImporter
    assert type(helper.__loader__) is mmport.BundleImporter
    sys.path.remove(archive)
    assert state() != before
    mmport.uninstall()
    assert state() == before, (state(), before)
    mmport.uninstall()
    assert state() == before
    # What was imported stays usable.
    assert plain.__loader__.get_source("plain") == "value = 'source'\\n"
    assert plain.value == "source" and helper.value == 1
    import pkg.inner
    assert type(pkg.inner.__loader__) is zipimport.zipimporter
    try:
        import other
    except ImportError:
        pass
    else:
        raise AssertionError
    for name in [*sys.modules]:
        if name.split(".")[0] in {"plain", "pkg", "helper", "package"}:
            del sys.modules[name]
# What somebody else has put there stays.
sys.meta_path.append(mmport.BundleFinder())
sys.path_hooks.append(mmport.ZipImporter)
before = state()
mmport.uninstall()
assert state() == before
"""


def test_uninstall(run: Runner) -> None:
    """`mmport.uninstall` takes out what `mmport.install` has put in, and nothing else."""
    path = make(run.cwd / "a.zip")
    bundle = run.cwd / "b.zip"
    with zipfile.ZipFile(bundle, "w") as archive:
        for name, text in {
            "helper.py": "value = 1",
            "package/__init__.py": "",
            "other.py": "",
        }.items():
            archive.writestr(name, text)
    assert run(sys.executable, "-c", UNINSTALL, path, bundle) == Outcome(0, "", "")


NAMESPACES = """
import sys, importlib, importlib.readers, importlib.resources as resources
import mmport
mmport.install(sys.argv[1])
for _ in range(2):
    files = resources.files("space")
    print(sorted(child.name for child in files.iterdir()), (files / "data.txt").read_text())
    importlib.reload(sys.modules[type(files).__module__])
mmport.uninstall()
print((resources.files("space") / "data.txt").is_file())
"""


def test_resources_of_namespace_packages(run: Runner) -> None:
    """They are read also where their readers were imported before mmport, or are reloaded."""
    bundle = run.cwd / "b.zip"
    with zipfile.ZipFile(bundle, "w") as archive:
        for name in "space/data.txt", "space/inner/data.txt", "space/one.py", "space/one.pyc":
            archive.writestr(name, name)
    listed = "['data.txt', 'inner', 'one.py'] space/data.txt\n"
    expected = Outcome(0, f"{listed}{listed}True\n", "")
    assert run(sys.executable, "-c", NAMESPACES, bundle) == expected


def test_threads(tmp_path: Path, run: Runner) -> None:
    """Threads that import the same modules, which import one another, all get them."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(100):
            text = f"import m{number // 2}\nvalue = {number}\n"
            archive.writestr(f"m{number}.py", text)
    code = (
        "import importlib, sys, threading, mmport\n"
        "mmport.install(); sys.path.insert(0, sys.argv[1]); seen = []\n"
        "def work(step):\n"
        "    for number in range(100):\n"
        "        number = number * step % 100\n"
        "        seen.append(importlib.import_module(f'm{number}').value == number)\n"
        "threads = [threading.Thread(target=work, args=(step,)) for step in (1, 3, 7, 11, 13)]\n"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]\n"
        "print(seen.count(True), type(sys.modules['m1'].__loader__) is mmport.ZipImporter)"
    )
    assert run(sys.executable, "-c", code, path) == Outcome(0, "500 True\n", "")

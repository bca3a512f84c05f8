"""`mmport.ZipImporter` does what the running Python's `zipimport.zipimporter` does."""

from __future__ import annotations

import copy
import importlib.util
import marshal
import os
import pickle
import struct
import sys
import time
import warnings
import zipfile
import zipimport
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mmport
import pytest
from support import Runner, run_program

OURS: type[Any] = mmport.ZipImporter
THEIRS: type[Any] = zipimport.zipimporter
MODIFIED = (2020, 2, 3, 4, 5, 6)
SECONDS = int(time.mktime((*MODIFIED, -1, -1, -1)))
SOURCE = b"value = 'source'\n"
MAGIC = importlib.util.MAGIC_NUMBER


def pyc(flags: int, first: int, second: int, source: bytes = b"value = 'bytecode'\n") -> bytes:
    """Return bytecode with the given header."""
    code = compile(source, "elsewhere.py", "exec")
    return MAGIC + struct.pack("<III", flags, first & 0xFFFFFFFF, second) + marshal.dumps(code)


def hashed(flags: int, source: bytes) -> bytes:
    """Return bytecode with the hash of a source."""
    return pyc(flags, *struct.unpack("<II", importlib.util.source_hash(source)))


FILES: dict[str, bytes] = {
    "plain.py": SOURCE,
    "crlf.py": b"a = '''x\r\ny\rz'''\r\nb = 1\r",
    "latin.py": b"# coding: latin-1\na = '\xe4'\n",
    "bom.py": b"\xef\xbb\xbfa = 1\n",
    "empty.py": b"",
    "wrong.py": b"def f(:\n",
    "null.py": b"a\0b",
    "pkg/__init__.py": b"value = 'package'\n",
    "pkg/inner.py": b"value = 'inner'\n",
    "pkg/data.txt": b"some data\r\n",
    "space/": b"",
    "space/inner.py": b"",
    "no_entry_of_its_own/inner.py": b"",
    "both.py": b"value = 'module'\n",
    "both/__init__.py": b"value = 'package'\n",
    "current.py": SOURCE,
    "current.pyc": pyc(0, SECONDS, len(SOURCE)),
    "second_off.py": SOURCE,
    "second_off.pyc": pyc(0, SECONDS + 1, len(SOURCE)),
    "stale.py": SOURCE,
    "stale.pyc": pyc(0, SECONDS + 2, len(SOURCE)),
    "longer.py": SOURCE,
    "longer.pyc": pyc(0, SECONDS, len(SOURCE) + 1),
    "unchecked.py": SOURCE,
    "unchecked.pyc": hashed(1, b"other"),
    "checked.py": SOURCE,
    "checked.pyc": hashed(3, SOURCE),
    "changed.py": SOURCE,
    "changed.pyc": hashed(3, b"other"),
    "alone.pyc": pyc(0, 1, 1),
    "package_of_bytecode/__init__.pyc": hashed(1, b""),
    "magic.pyc": b"\xcb\r\r\n" + pyc(0, 1, 1)[4:],
    "quote.pyc": b"'\"\\\x80" + pyc(0, 1, 1)[4:],
    "magic_with_source.py": SOURCE,
    "magic_with_source.pyc": b"\xcb\r\r\n" + pyc(0, 1, 1)[4:],
    "short.pyc": MAGIC + b"\0\0",
    "flags.pyc": pyc(4, 1, 1),
    "cut.pyc": pyc(0, 1, 1)[:40],
    "no_code.pyc": MAGIC + bytes(12) + marshal.dumps("text"),
    "nothing.pyc": b"",
    "\xe4\u20ac.py": SOURCE,
}
NAMES = sorted(
    {
        *(name.split(".")[0].strip("/") for name in FILES if "/" not in name.rstrip("/")),
        *("pkg", "pkg.inner", "missing", "pkg.missing", "plain.missing", "space.inner", "both"),
        *(
            "a.b.plain",
            "",
            ".",
            "pkg.__init__",
            "inner",
            "pkg/inner",
            "\udc80",
            "package_of_bytecode",
        ),
        "no_entry_of_its_own",
    }
)


def make(path: Path, compression: int = zipfile.ZIP_STORED, **attributes: Any) -> Path:
    """Write `FILES` as a zip."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in FILES.items():
            information = zipfile.ZipInfo(name, MODIFIED)
            information.compress_type = compression
            archive.writestr(information, content)
        archive.comment = attributes.get("comment", b"")
    return path


def shown(value: object) -> object:
    """Return what can be compared of an answer."""
    if isinstance(value, (OURS, THEIRS)):
        return "importer", value.archive, value.prefix
    if isinstance(value, importlib.machinery.ModuleSpec):
        names = "name loader origin cached has_location submodule_search_locations parent"
        return "spec", [shown(getattr(value, name)) for name in names.split()]
    if type(value).__name__ == "code":
        return "code", marshal.dumps(value)
    if isinstance(value, (list, tuple)):
        return type(value), [shown(part) for part in value]
    if type(value).__name__ == "ZipReader":
        return "reader", value.zipfile, value.prefix  # type: ignore[attr-defined]
    return type(value), repr(value)


def answer(call: Callable[..., object], *arguments: object, **options: object) -> object:
    """Return what a call came to: its value or its error, and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outcome: object
        try:
            outcome = shown(call(*arguments, **options))
        except Exception as error:
            cause = error.__cause__ and (type(error.__cause__), str(error.__cause__))
            attributes = {key: getattr(error, key, None) for key in ("name", "path", "filename")}
            outcome = type(error), str(error), error.args, attributes, cause
    return outcome, [(w.category, str(w.message), w.filename) for w in caught]


@pytest.fixture(autouse=True)
def _fresh_caches() -> Iterator[None]:
    zipimport._zip_directory_cache.clear()  # type: ignore[attr-defined]
    yield
    zipimport._zip_directory_cache.clear()  # type: ignore[attr-defined]


def both(act: Callable[[type[Any]], object]) -> None:
    """Do the same with either class, each with caches of its own, and compare."""
    outcomes = []
    for kind in (THEIRS, OURS):
        zipimport._zip_directory_cache.clear()  # type: ignore[attr-defined]
        outcomes.append(act(kind))
    assert outcomes[1] == outcomes[0]


def ask(kind: type[Any], path: Path, method: str, name: str) -> object:
    """Make an importer and call a method of it."""
    return getattr(kind(str(path)), method)(name)


def load(importer: Any, name: str, modules: list[Any]) -> None:
    """Load a module into a list."""
    modules.append(importer.load_module(name))


def attributes(kind: type[Any], argument: object) -> object:
    """Return the names of an importer's attributes."""
    return sorted(vars(kind(argument)))


def has(importer: Any, name: str) -> bool:
    """Tell whether an importer finds a module."""
    return importer.find_spec(name) is not None


METHODS = ["find_spec", "get_code", "get_filename", "get_source", "is_package"]
METHODS += ["get_resource_reader", "find_loader", "find_module"]


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("below", ["", "/pkg", "/pkg/", "//pkg//inner/", "/none"])
def test_methods(compression: int, below: str, tmp_path: Path) -> None:
    """Every method gives the same for every module."""
    path = make(tmp_path / "a.zip", compression)

    def act(kind: type[Any]) -> object:
        importer = kind(f"{path}{below}")
        found = [repr(importer), importer.archive, importer.prefix]
        for method in METHODS:
            for name in NAMES:
                if hasattr(importer, method):
                    call = getattr(importer, method)
                    found.append((method, name, answer(call, name)))
        return found

    both(act)


@pytest.mark.parametrize("policy", ["always", "never", "default"])
def test_hash_policy(policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--check-hash-based-pycs` decides, as it is now."""
    path = make(tmp_path / "a.zip")
    monkeypatch.setattr("_imp.check_hash_based_pycs", policy)
    names = ["unchecked", "checked", "changed", "current"]
    both(lambda kind: [answer(ask, kind, path, "get_filename", name) for name in names])


def test_data(tmp_path: Path) -> None:
    """`get_data` takes the same paths, and has the same errors."""
    path = make(tmp_path / "a.zip", zipfile.ZIP_DEFLATED)
    names = ["pkg/data.txt", "plain.py", "space/", "space", "", "/plain.py", "none", "../plain.py"]
    names += [f"{path}/{name}" for name in names] + [f"{path}/pkg//data.txt", str(path), "\udc80"]
    both(lambda kind: [answer(ask, kind, path, "get_data", name) for name in names])


@pytest.mark.parametrize("cached", [False, True])
def test_load_module(cached: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old way of loading leaves the same modules, or none."""
    path = make(tmp_path / "a.zip")

    def act(kind: type[Any]) -> object:
        found = []
        for name in ["plain", "pkg", "pkg.inner", "current", "wrong", "missing", "empty"]:
            modules = {"plain": type(sys)("plain")} if cached else {}
            for key, module in modules.items():
                monkeypatch.setitem(sys.modules, key, module)
            importer = kind(f"{path}/pkg" if name == "pkg.inner" else str(path))
            loaded: list[Any] = []
            found.append(answer(load, importer, name, loaded))
            for module in loaded:
                names = sorted(vars(module).keys() - {"__builtins__"})
                found.append([(key, shown(getattr(module, key))) for key in names])
                found.append(sys.modules[name] is module)
            found.append(name in sys.modules)
            sys.modules.pop(name, None)
        return found

    both(act)


def damaged_archives(whole: bytes) -> Iterator[bytes]:
    """Yield archives with something wrong: cut, or with a byte of the directory changed."""
    for end in [0, 3, 21, 22, len(whole) // 2, len(whole) - 23, len(whole) - 22, len(whole) - 1]:
        yield whole[:end]
    end = len(whole) - 22
    for at in range(end, len(whole)):
        for value in (0, 1, 0xFF):
            yield whole[:at] + bytes([value]) + whole[at + 1 :]
    start = struct.unpack("<I", whole[end + 16 : end + 20])[0]
    for at in range(start, start + 120):
        for value in (0, 1, 8, 0x50, 0xFF):
            yield whole[:at] + bytes([value]) + whole[at + 1 :]
    for at in range(60):
        for value in (0, 0xFF):
            yield whole[:at] + bytes([value]) + whole[at + 1 :]
    yield from [whole + b"x", b"#!/bin/sh\n" + whole, whole + whole, whole + b"PK\x05\x06"]


def test_damaged_archives(tmp_path: Path) -> None:
    """What is no sound zip is refused, or read, in the same way."""
    with zipfile.ZipFile(tmp_path / "small.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("\xe4.py", MODIFIED), SOURCE * 3)
        information = zipfile.ZipInfo("plain.py", MODIFIED)
        information.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(information, SOURCE * 9)
    whole = (tmp_path / "small.zip").read_bytes()
    path = tmp_path / "damaged.zip"
    for number, content in enumerate(damaged_archives(whole)):
        path.write_bytes(content)

        def act(kind: type[Any]) -> object:
            zipimport._zip_directory_cache.clear()  # type: ignore[attr-defined]
            found = [answer(kind, str(path))]
            cache = zipimport._zip_directory_cache  # type: ignore[attr-defined]
            files = cache.get(str(path), {})
            found += [
                list(files.items()),
                [answer(ask, kind, path, "get_data", n) for n in files],
            ]
            return found

        theirs, ours = act(THEIRS), act(OURS)
        assert ours == theirs, f"archive {number}"


@pytest.mark.parametrize("front", [b"", b"#!/bin/sh\n"])
@pytest.mark.parametrize("comment", [b"", b"PK\x05\x06 in a comment", b"x" * 65535])
def test_wide_archives(front: bytes, comment: bytes, tmp_path: Path) -> None:
    """zip64 records and comments are read, or not, as the running Python reads them."""
    path = tmp_path / "wide.zip"
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open(zipfile.ZipInfo("wide.py", MODIFIED), "w", force_zip64=True) as file:
            file.write(SOURCE)
        archive.comment = comment
    whole = path.read_bytes()
    end = whole.rindex(b"PK\x05\x06", 0, len(whole) - len(comment))
    start, size = struct.unpack("<II", whole[end + 12 : end + 20])[::-1]
    # The directory's sizes and offset behind a zip64 extra field, and a zip64 end record.
    header = bytearray(whole[start : start + size])
    extra = struct.pack("<HHQQQ", 1, 24, len(SOURCE), len(SOURCE), 0)
    header[20:28] = b"\xff" * 8
    header[30:32] = struct.pack("<H", len(extra))
    header[42:46] = b"\xff" * 4
    wide = bytes(header) + extra
    end64 = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(wide), start)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, start + len(wide), 1)
    last = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, len(wide), start, len(comment))
    for records in [wide + end64 + locator + last, wide + last, bytes(header) + last]:
        path.write_bytes(front + whole[:start] + records + comment)
        both(
            lambda kind: [
                answer(ask, kind, path, "get_data", "wide.py"),
                answer(ask, kind, path, "find_spec", "wide"),
            ]
        )


def test_constructor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same arguments are taken, and refused with the same errors."""
    path = make(tmp_path / "a.zip")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").write_text("no zip")
    arguments = [
        str(path),
        path,
        os.fsencode(path),
        bytearray(b"a.zip"),
        "a.zip",
        "a.zip/pkg",
        "./a.zip",
    ]
    arguments += [
        "",
        "none",
        "/none/none",
        ".",
        "/",
        "text",
        "text/pkg",
        "a\0b",
        "A" * 5000,
        None,
        3,
    ]
    arguments += ["a.zip/pkg/\udc80", "a.zip/\ud800", "\ud800", "/dev/null", f"{path}/"]
    both(lambda kind: [answer(kind, argument) for argument in arguments])
    both(lambda kind: [answer(attributes, kind, argument) for argument in arguments])
    both(lambda kind: answer(kind, path=str(path)))
    for words, options in [((), {}), ((str(path), 1), {}), ((str(path),), {"spam": 1})]:
        for kind in (THEIRS, OURS):
            with pytest.raises(TypeError):
                kind(*words, **options)


def test_what_the_cache_means(tmp_path: Path) -> None:
    """An archive that changes, with and without its directory in the cache, is seen alike."""
    path = tmp_path / "a.zip"
    cache = zipimport._zip_directory_cache  # type: ignore[attr-defined]

    def write(**files: str) -> None:
        with zipfile.ZipFile(tmp_path / "new", "w") as archive:
            for name, text in files.items():
                archive.writestr(f"{name}.py", text)
        (tmp_path / "new").replace(path)

    def act(kind: type[Any]) -> object:
        found: list[object] = []

        def look(importer: Any) -> None:
            for name in ("first", "second"):
                found.append(answer(has, importer, name))
                found.append(answer(importer.get_source, name))
            files = cache.get(str(path))
            found.append(files if files is None else sorted(files))

        write(first="1")
        importer = kind(str(path))
        look(importer)
        write(first="a longer text, so that offsets differ", second="2")
        for change in [
            lambda: None,
            lambda: kind(str(path)),
            lambda: cache.pop(str(path)),
            cache.clear,
            importer.invalidate_caches,
            lambda: write(second="only"),
            importer.invalidate_caches,
            lambda: path.write_bytes(b"no zip any more"),
            importer.invalidate_caches,
            lambda: path.unlink(),
            importer.invalidate_caches,
            lambda: write(first="back"),
            importer.invalidate_caches,
            lambda: cache[str(path)].clear(),
            lambda: cache[str(path)].update({"second.py": ("x", 0, 1, 1, 0, 0, 0, 0)}),
            lambda: importer.__init__(str(path)),
        ]:
            found.append(answer(change))
            look(importer)
            look(kind(str(path))) if path.exists() and zipfile.is_zipfile(path) else None
        return found

    both(act)


def test_one_cache_for_both(tmp_path: Path) -> None:
    """What one class has read, the other takes from the cache."""
    path = str(make(tmp_path / "a.zip"))
    cache = zipimport._zip_directory_cache  # type: ignore[attr-defined]
    ours = OURS(path)
    files = cache[path]
    theirs = THEIRS(path)
    assert cache[path] is files
    assert theirs.get_source("plain") == ours.get_source("plain") == SOURCE.decode()
    cache.clear()
    THEIRS(path)
    assert list(cache[path].items()) == list(files.items())


def test_subclass(tmp_path: Path) -> None:
    """It can be extended, as the class that it stands in for, and is one of them."""

    class Extended(OURS):
        def __init__(self, path: str, more: int) -> None:
            super().__init__(path)
            self.more = more

        def get_code(self, fullname: str) -> Any:
            return compile(f"value = {self.more}", "x", "exec")

    importer = Extended(str(make(tmp_path / "a.zip")), more=3)
    assert isinstance(importer, THEIRS)
    spec = importer.find_spec("plain")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.value == 3
    # Nothing is left to the Python class but what every object has.
    own = vars(OURS.__mro__[1])
    missing = {name for name in vars(THEIRS) if name not in own}
    assert missing <= {
        "__module__",
        "__dict__",
        "__weakref__",
        "__static_attributes__",
        "__firstlineno__",
    }


def test_copies(tmp_path: Path) -> None:
    """It can be copied and pickled, where the class can be found by its name."""
    path = f"{make(tmp_path / 'a.zip')}/pkg"
    for kind in (THEIRS, OURS):
        importer = kind(path)
        copies = [copy.copy(importer), copy.deepcopy(importer)]
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            copies.append(pickle.loads(pickle.dumps(importer, protocol)))
        for other in copies:
            assert type(other) is kind
            assert vars(other) == vars(importer)
            assert other.get_source("inner") == "value = 'inner'\n"


def test_deprecation_is_not_shown_by_default(run: Runner) -> None:
    """The warnings belong to `zipimport`, as CPython's do."""
    path = make(run.cwd / "a.zip")
    code = "import sys, zipimport, mmport\n{}(sys.argv[1]).load_module('plain')"
    for kind in ("zipimport.zipimporter", "mmport.ZipImporter"):
        for options in ([], ["-W", "error"], ["-W", "default::DeprecationWarning:zipimport"]):
            command = [sys.executable, *options, "-c", code.format(kind), path]
            found = run_program(command, environment=run.environment, cwd=run.cwd)
            assert (found.status == 0) == (options != ["-W", "error"]), str(found)
            assert ("deprecated" in found.stderr) == bool(options), str(found)


def test_code_is_made_once_for_path_and_code(tmp_path: Path) -> None:
    """Asking for the path makes the code, once; nobody gets a code object that another has."""
    path = str(make(tmp_path / "a.zip"))
    importer = OURS(path)
    importer.get_filename("plain")
    codes = [importer.get_code("plain"), importer.get_code("plain")]
    importer.get_filename("plain")
    assert importer.get_code("crlf").co_filename == os.path.join(path, "crlf.py")
    codes.append(importer.get_code("plain"))
    assert len(set(map(id, codes))) == len(codes)
    assert {code.co_filename for code in codes} == {os.path.join(path, "plain.py")}
    # What was made for the path is that of the source as it was.
    importer.get_filename("plain")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("plain.py", b"value = 'another'\n")
    importer.invalidate_caches()
    assert importer.get_code("plain").co_consts[0] == "another"


def test_new_modules_are_compiled_once(run: Runner) -> None:
    """An import asks for a module's path and its code; it is compiled once, and never again."""
    path = make(run.cwd / "a.zip")
    code = """
import sys, mmport
mmport.install()
sys.path.insert(0, sys.argv[1])
sources = []
sys.addaudithook(lambda event, given: event == "compile" and sources.append(given[0]))
import plain
print(sources)
"""
    environment = {
        name: value
        for name, value in run.environment.items()
        if name not in ("PYTHONDONTWRITEBYTECODE", "MMPORT_NO_CACHE")
    }
    environment["MMPORT_ROOT"] = str(run.cwd / "root")
    for expected in [SOURCE], []:
        command = [sys.executable, "-c", code, path]
        found = run_program(command, environment=environment, cwd=run.cwd)
        assert found.stdout == f"{expected}\n", str(found)

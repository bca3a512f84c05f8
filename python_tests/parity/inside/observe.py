"""Import modules of one distribution and write down all that Python shows of them.

    python observe.py JOB OUTPUT

`JOB` is a JSON file: the distribution's name (or none), its modules, and the number of the module
to begin with. `OUTPUT` gets one JSON line before each module and one after it, so that whoever
started this process knows where it ended.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.metadata
import importlib.resources
import importlib.util
import inspect
import json
import linecache
import os
import pkgutil
import sys
import traceback
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

# Imported modules may replace any of these.
OPEN, WRITE, CLOSE, DUMPS = os.open, os.write, os.close, json.dumps
EXIT, PROCESS = os._exit, os.getpid
STANDARD_LIBRARY = os.path.join(os.path.dirname(os.__file__), "")
FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND

# Asking for resources imports these. They are there before, so that what modules import shows.
for _name in ("importlib.readers", "importlib.resources.readers", "importlib.resources.simple"):
    with contextlib.suppress(ImportError):
        importlib.import_module(_name)

Record = dict[str, Any]


def digest(data: bytes | str | None) -> str | None:
    """Return a short hash of data, or `None` for `None`."""
    if data is None:
        return None
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogatepass")
    return f"{len(data)} bytes {hashlib.sha256(data).hexdigest()[:16]}"


def attempt(function: Callable[[], Any]) -> Any:
    """Return what a function returns, or the type and text of what it raises."""
    try:
        return function()
    except BaseException as error:
        return failure(error)


def failure(error: BaseException) -> Record:
    """Return the type and text of an error."""
    kind = type(error)
    return {"raised": f"{kind.__module__}.{kind.__qualname__}", "text": str(attempt_text(error))}


def attempt_text(error: BaseException) -> str:
    """Return an error's text; some cannot say theirs."""
    try:
        return str(error)
    except BaseException as other:
        return f"no text: {type(other).__name__}"


def constant(value: Any) -> str:
    """Return a constant of a code object in an order that does not change."""
    if isinstance(value, frozenset):
        return f"frozenset({sorted(map(constant, value))})"
    if isinstance(value, tuple):
        return f"({', '.join(map(constant, value))})"
    return f"{type(value).__name__}:{value!r}"


def parts(code: types.CodeType) -> Iterator[str]:
    """Yield what a code object and all in it are made of, but for their path."""
    for name in sorted(name for name in dir(code) if name.startswith("co_")):
        value = getattr(code, name)
        if name == "co_consts":
            for item in value:
                if isinstance(item, types.CodeType):
                    yield from parts(item)
                else:
                    yield constant(item)
        elif name not in ("co_filename", "co_lnotab") and not callable(value):
            yield f"{name}={value!r}"


def filenames(code: types.CodeType) -> set[str]:
    """Return the paths that a code object and all in it show."""
    nested = [item for item in code.co_consts if isinstance(item, types.CodeType)]
    return {code.co_filename}.union(*map(filenames, nested))


def code_of(loader: Any, name: str) -> Any:
    """Return what the code object of a module is."""
    code = loader.get_code(name)
    if code is None:
        return None
    return {"paths": sorted(filenames(code)), "content": digest("\0".join(parts(code)))}


def namespace(spec: Any) -> bool:
    """Tell whether a spec is that of a namespace package."""
    return spec.submodule_search_locations is not None and not spec.has_location


def spec_of(name: str) -> tuple[Any, Any]:
    """Return the spec of a module and what it shows."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        return None, None
    locations = spec.submodule_search_locations
    return spec, {
        "name": spec.name,
        "parent": spec.parent,
        "origin": spec.origin,
        "has_location": spec.has_location,
        "namespace": namespace(spec),
        "locations": None if locations is None else list(locations),
        "cached": spec.cached,
        "loader_state": repr(spec.loader_state),
        "loader": type(spec.loader).__name__,
    }


def loader_of(spec: Any) -> Record:
    """Return what the loader of a module says of it."""
    # A module that is there may have put another one, with another name, into its place.
    loader, name = spec.loader, spec.name
    record = {
        "is_package": attempt(lambda: loader.is_package(name)),
        "source": attempt(lambda: digest(loader.get_source(name))),
        "code": attempt(lambda: code_of(loader, name)),
    }
    if spec.has_location:
        record["filename"] = attempt(lambda: loader.get_filename(name))
        record["data"] = attempt(lambda: digest(loader.get_data(spec.origin)))
    return record


def attributes_of(module: types.ModuleType) -> Record:
    """Return what a module shows after its import."""
    values = vars(module)
    record: Record = {
        name: values.get(name, "absent")
        for name in ("__name__", "__package__", "__file__", "__cached__")
        if isinstance(values.get(name), str | None)
    }
    path = values.get("__path__")
    record["__path__"] = None if path is None else attempt(lambda: [str(item) for item in path])
    record["__doc__"] = attempt(lambda: digest(str(values.get("__doc__"))))
    record["repr"] = attempt(lambda: repr(module))
    record["type"] = type(module).__name__
    record["names"] = sorted(map(str, values))
    record["__loader__"] = type(values.get("__loader__")).__name__
    return record


def resources_of(name: str) -> Record:
    """Return what a package holds, without the packages in it, by name."""
    found: Record = {}

    def walk(place: Any, prefix: str) -> None:
        children = {child.name: child for child in place.iterdir()}
        for child_name in sorted(children):
            child = children[child_name]
            if child.is_dir():
                found[f"{prefix}{child_name}/"] = "directory"
                inner = {item.name for item in child.iterdir()}
                # A package in it answers for itself; bytecode that CPython keeps is no resource.
                if child_name != "__pycache__" and "__init__.py" not in inner:
                    walk(child, f"{prefix}{child_name}/")
            elif child.is_file():
                found[f"{prefix}{child_name}"] = attempt(lambda c=child: digest(c.read_bytes()))
            else:
                found[f"{prefix}{child_name}"] = "neither file nor directory"

    walk(importlib.resources.files(name), "")
    return found


def imported(name: str) -> Any:
    """Return a module, or what its import raises and where."""
    try:
        return importlib.import_module(name)
    except BaseException as error:
        shown = [
            f"{frame.filename}:{frame.lineno} {frame.name}: {frame.line}"
            for frame in traceback.extract_tb(error.__traceback__)
            # What the standard library does in between may depend on the threads' order.
            if not frame.filename.startswith((STANDARD_LIBRARY, "<frozen importlib", __file__))
        ]
        return {**failure(error), "frames": shown}


def observe(name: str) -> Record:
    """Import a module and return what there is to see of it."""
    record: Record = {"module": name}
    try:
        spec, record["spec"] = spec_of(name)
    except BaseException as error:
        spec, record["spec"] = None, failure(error)
    if spec is not None:
        record["loader"] = attempt(lambda: loader_of(spec))
    before = set(sys.modules)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        module = imported(name)
    record["warnings"] = [
        [w.category.__name__, str(w.message), w.filename, w.lineno] for w in caught
    ]
    record["imported"] = sorted(set(sys.modules) - before)
    if isinstance(module, dict):
        record["import"] = module
        return record
    record["import"] = "succeeded"
    record["attributes"] = attempt(lambda: attributes_of(module))
    # A module may have changed what it says of itself, or have put something into its place.
    changed = getattr(module, "__loader__", None) is None or getattr(
        spec, "origin", None
    ) != getattr(module, "__file__", None)
    inspected = "inspected after changes" if changed else "inspected"
    record[inspected] = attempt(lambda: digest(inspect.getsource(module)))
    linecache.clearcache()
    if spec is not None and spec.submodule_search_locations is not None:
        record["resources"] = attempt(lambda: resources_of(name))
        record["children"] = attempt(
            lambda: sorted((m.name, m.ispkg) for m in pkgutil.iter_modules(module.__path__))
        )
        if spec.has_location:
            record["get_data"] = attempt(lambda: digest(pkgutil.get_data(name, "__init__.py")))
    return record


def file_of(file: Any) -> Any:
    """Return what a row of a distribution's files says, and what the file holds."""
    hashed = None if file.hash is None else f"{file.hash.mode}={file.hash.value}"
    place = file.locate()
    content = digest(place.read_bytes()) if place.is_file() else "absent"
    return {"hash": hashed, "size": file.size, "content": content}


def distribution_of(name: str) -> Record:
    """Return what the metadata of a distribution says."""
    found = importlib.metadata.distribution(name)
    texts = ["METADATA", "WHEEL", "entry_points.txt", "top_level.txt", "no such file"]
    provided = importlib.metadata.packages_distributions()
    own = found.metadata["Name"]
    return {
        "distribution": name,
        "name": own,
        "version": found.version,
        "metadata": attempt(lambda: sorted(map(list, found.metadata.items()))),
        "requires": attempt(lambda: found.requires),
        "entry points": attempt(
            lambda: sorted([e.group, e.name, e.value] for e in found.entry_points)
        ),
        "texts": {text: attempt(lambda t=text: digest(found.read_text(t))) for text in texts},
        "files": {str(f): attempt(lambda f=f: file_of(f)) for f in found.files or []},
        "packages": sorted(key for key, names in provided.items() if own in names),
        "place": str(found.locate_file("")),
    }


def main() -> None:
    """Do a job."""
    with open(sys.argv[1]) as file:
        job = json.load(file)
    output, process = sys.argv[2], PROCESS()

    def write(record: Record) -> None:
        if PROCESS() != process:
            # A module has forked; only the parent observes.
            EXIT(0)
        line = DUMPS(record, default=repr) + "\n"
        # Opened each time: a module may close any file that is open.
        descriptor = OPEN(output, FLAGS, 0o644)
        WRITE(descriptor, line.encode())
        CLOSE(descriptor)

    # This file's own folder is nobody's; programs see neither it nor these arguments.
    del sys.path[0]
    sys.argv[:] = ["observe"]
    if job["distribution"] is not None:
        write(attempt(lambda: distribution_of(job["distribution"])))
    for number, name in enumerate(job["modules"]):
        if number >= job["begin"]:
            write({"begins": number})
            write(observe(name))
    write({"complete": True})
    # Threads and exit functions of what was imported are not what is compared.
    EXIT(0)


main()

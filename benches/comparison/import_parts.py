"""What the import of a module is made of; run by ``modules.py`` in each way to find modules.

Its argument is the directory of the modules, with their ``.pyc``. It imports all of them, one after
the other, and prints JSON: microseconds of processor time per module for the whole, and for the
parts that can be asked for by themselves: finding the spec, getting the code object, executing it.
``unmarshal`` is what ``marshal.loads`` takes for the same bytes: with the execution, what no finder
can save.
"""

from __future__ import annotations

import importlib.util
import json
import marshal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

PYC_HEADER = 16
"""Length of what a ``.pyc`` has before the code object."""


def per_module(work: Callable[[str], object], names: Iterable[str]) -> float:
    """Microseconds of processor time that some work takes, for each of the names."""
    count = 0
    since = time.process_time_ns()
    for name in names:
        work(name)
        count += 1
    return (time.process_time_ns() - since) / 1000 / count


def main() -> None:
    """Measure, and print the result."""
    # The directory of this file, which would be looked into first.
    del sys.path[0]
    directory = Path(sys.argv[1])
    names = sorted(path.stem for path in directory.glob("*.py"))
    cached = {name: importlib.util.cache_from_source(directory / f"{name}.py") for name in names}
    data = {name: Path(path).read_bytes()[PYC_HEADER:] for name, path in cached.items()}
    parts = {"whole": per_module(__import__, names)}
    specs = {name: sys.modules[name].__spec__ for name in names}
    # Asked as `import` asks: those that come first have nothing.
    finders = [finder.find_spec for finder in sys.meta_path]

    def find(name: str) -> object:
        for find_spec in finders:
            if (spec := find_spec(name, None, None)) is not None:
                return spec
        return None

    parts["find"] = per_module(find, names)
    parts["code"] = per_module(lambda name: specs[name].loader.get_code(name), names)
    parts["unmarshal"] = per_module(lambda name: marshal.loads(data[name]), names)
    codes = {name: marshal.loads(data[name]) for name in names}
    parts["execute"] = per_module(lambda name: exec(codes[name], {"__name__": name}), names)
    json.dump(parts, sys.stdout)


if __name__ == "__main__":
    main()

"""Import every module of distributions from a virtual environment and from a bundle; compare.

    python3 python_tests/parity/run.py --mmport PATH              all of distributions.txt
    python3 python_tests/parity/run.py --mmport PATH attrs rich   these, with what they require
    python3 python_tests/parity/run.py --mmport PATH --limit 50   the first 50
    python3 python_tests/parity/run.py --mmport PATH --venv DIR   what is installed there

Each world is a process of its own for each distribution; it sees the modules in the same order.
Exit status 1 where anything differs that `compare.py` does not allow.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from comparing import Comparing, canonical
from result import Result
from worlds import call

LIST = Path(__file__).resolve().parent / "distributions.txt"

# Which Python mmport is built for.
DESCRIBE = "import platform, sys; print(sys.executable); print(platform.python_version())"


def requirements(names: list[str], limit: int | None) -> list[str]:
    """Return the lines of the list that are asked for; a name outside of it is taken as it is."""
    lines = [line.split("#")[0].strip() for line in LIST.read_text().splitlines()]
    listed = {line.split("==")[0]: line for line in lines if line}
    if names:
        return [listed.get(canonical(name), name) for name in names]
    return list(listed.values())[:limit]


def parse_arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("names", nargs="*", help="distributions; default: the list")
    parser.add_argument("--mmport", type=Path, required=True, help="the native binary")
    parser.add_argument("--python", type=Path, help="default: the one mmport is built for")
    parser.add_argument("--limit", type=int, help="only the first of the list")
    parser.add_argument("--venv", type=Path, help="compare this virtual environment")
    parser.add_argument("--bundle", type=Path, help="with --venv: the bundle to compare it with")
    parser.add_argument("--jobs", type=int, default=2, help="environments at a time")
    parser.add_argument("--group", type=int, default=12, help="distributions in one environment")
    parser.add_argument("--time-limit", type=float, default=60, help="seconds for one module")
    parser.add_argument("--output", type=Path, help="write the result here, as JSON")
    return parser.parse_args()


def main() -> int:
    """Compare; return the exit status."""
    options = parse_arguments()
    mmport = options.mmport.resolve()
    executable, version = call(mmport, "python", "-c", DESCRIBE).splitlines()
    result = Result(version)
    with tempfile.TemporaryDirectory(prefix="parity-") as folder:
        place = Path(folder).resolve()
        python = options.python or Path(executable)
        comparing = Comparing(mmport, python, LIST, place, options.time_limit, result)
        if options.venv:
            bundle = options.bundle and options.bundle.resolve()
            comparing.environment(options.venv.resolve(), bundle, place)
        else:
            wanted = requirements(options.names, options.limit)
            groups = [
                wanted[at : at + options.group] for at in range(0, len(wanted), options.group)
            ]
            with ThreadPoolExecutor(options.jobs) as pool:
                for done in [pool.submit(comparing.requirements, group) for group in groups]:
                    done.result()
    print(f"\n{result}")
    if options.output:
        result.write(options.output)
    return 1 if result.found or result.not_made or not result.modules else 0


if __name__ == "__main__":
    sys.exit(main())

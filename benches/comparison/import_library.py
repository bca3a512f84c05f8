"""What importing the standard library costs; run by ``modules.py``.

It imports every top-level module that can be imported without doing something else, and prints
JSON: how many modules there are afterwards, and the microseconds of processor time for each.
"""

from __future__ import annotations

import json
import sys
import time

ACTING = {"antigravity", "this", "idlelib", "turtledemo", "turtle", "tkinter", "test", "lib2to3"}
"""Modules that open windows, print, or are for tests."""


def main() -> None:
    """Measure, and print the result."""
    before = len(sys.modules)
    since = time.process_time_ns()
    for name in sorted(sys.stdlib_module_names - ACTING):
        try:
            __import__(name)
        except ImportError:
            continue  # Of another platform, or not built.
    spent = (time.process_time_ns() - since) / 1000
    count = len(sys.modules) - before
    json.dump({"count": count, "whole": spent / count}, sys.stdout)


if __name__ == "__main__":
    main()

"""Probe: names that are missing."""

for s in (
    "from plain import none",
    "from pkg import none",
    "from space import none",
    "from . import x",
    "import pkg.first.x",
    "from pkg import *",
    "from pkg.first import *",
):
    try:
        exec(s)
        print(s, "fine")
    except ImportError as e:
        print(s, type(e).__name__, e, e.name, e.path)

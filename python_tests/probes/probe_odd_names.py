"""Probe: odd names."""

import importlib.util

for n in [
    "",
    ".",
    "a..b",
    "plain.",
    "plain/x",
    "pkg/first",
    "\udcff",
    "x" * 3000,
    "pkg.__init__",
    "plain.py",
    "PLAIN",
    "Pkg",
    "..",
    "pkg\0",
    "\x00",
    "pkg.first.x",
]:
    try:
        spec = importlib.util.find_spec(n)
        print(ascii(n[:40]), spec and spec.name)
    except (ImportError, ValueError, AttributeError) as e:
        print(ascii(n[:40]), type(e).__name__, ascii(str(e)))

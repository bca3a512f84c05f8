"""Probe: the place of the modules leaves `sys.path`, and comes back."""

import importlib
import sys

import pkg


def attempt(name):
    """Import a module and say what came of it."""
    try:
        print("imported", importlib.import_module(name).__name__)
    except ImportError as error:
        print(error)


places = [path for path in sys.path if path.rstrip("/").endswith(("tree", "tree.pyz"))]
sys.path = [path for path in sys.path if path not in places]
attempt("empty")
importlib.invalidate_caches()
attempt("empty")
attempt("pkg.sub")
sys.path.extend(places)
attempt("empty")
pkg.__path__.clear()
attempt("pkg.sub.deep")
attempt("pkg.__main__")

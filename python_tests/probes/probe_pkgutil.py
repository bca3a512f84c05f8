"""Probe: pkgutil."""

import pkgutil
import sys

import data
import pkg
import space

place = [p for p in sys.path if p.rstrip("/").endswith(("tree", "tree.pyz"))]
assert place, sys.path
print([(m.name, m.ispkg) for m in pkgutil.iter_modules(place, "x.")])
print([(m.name, m.ispkg) for m in pkgutil.walk_packages(pkg.__path__, "pkg.")])
print([(m.name, m.ispkg) for m in pkgutil.iter_modules(space.__path__)])
print([(m.name, m.ispkg) for m in pkgutil.walk_packages(data.__path__, "data.")])
print(pkgutil.get_data("data", "text.txt"), len(pkgutil.get_data("data", "sub/more.bin")))
print(pkgutil.get_data("plain", "empty.py"), pkgutil.resolve_name("pkg.first:name"))
try:
    pkgutil.get_data("data", "none")
except OSError as e:
    print(type(e), e.errno)

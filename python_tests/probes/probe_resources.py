"""Probe: resources."""

import importlib.resources as r
import importlib.util
import sys

f = r.files("data")
print(sorted(x.name for x in f.iterdir() if x.name != "__pycache__"))
print(f.joinpath("text.txt").read_text(), (f / "sub" / "more.bin").read_bytes()[:3])
print(f.joinpath("none").is_file(), (f / "sub").is_dir(), (f / "text.txt").is_file())
with r.as_file(f / "text.txt") as p:
    print(p.name, p.read_text())
print(r.files("space").joinpath("one.py").is_file())
print(sorted(x.name for x in r.files("pkg").iterdir() if x.name != "__pycache__"))
print(r.files("pkg").joinpath("first.py").read_text(), r.files("pkg").name)
try:
    f.joinpath("none").read_text()
except OSError as e:
    print(type(e), e.errno)
try:
    r.files("no_such_package")
except ImportError as e:
    print(e)
# A module's resources are those beside it.
for name, other in ("plain", "empty.py"), ("pkg.first", "second.py"), ("data.reader", "text.txt"):
    loader = importlib.util.find_spec(name).loader
    print(name, loader.get_resource_reader(name).files().joinpath(other).read_text())
if sys.version_info >= (3, 12):  # before, a module is no anchor
    print(r.files("pkg.first").joinpath("second.py").read_text())

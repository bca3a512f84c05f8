"""Probe: resources of namespace packages, with portions in one place and in two."""

import importlib.resources as r
import importlib.util
import os
import sys
import tempfile

ERRORS = OSError, ValueError, TypeError


def attempt(action):
    """Show what an action returns, or which error it raises."""
    try:
        shown = action()
    except ERRORS as error:
        shown = type(error).__name__, getattr(error, "errno", None)
    print("   ", shown)


def walk(place, indent=""):
    """Show everything below a place."""
    for child in sorted(place.iterdir(), key=lambda child: child.name):
        if child.name == "__pycache__":
            continue
        print(indent, child.name, child.is_file(), child.is_dir())
        if child.is_dir():
            walk(child, indent + "    ")
        else:
            print(indent, child.read_bytes()[:20], len(child.read_bytes()))


def show(name):
    """Show a namespace package by all that reads its resources."""
    f = r.files(name)
    print(name, f.name, f.is_dir(), f.is_file(), type(f).__name__, f)
    walk(f)
    for child in "text.txt", "missing", "missing.txt", "folder", "inner", "extra.txt":
        print("   ", repr(child))
        for path in f.joinpath(child), f / child:
            print("   ", path.name, path.is_file(), path.is_dir())
            attempt(lambda path=path: path.read_text())
            attempt(lambda path=path: path.open("rb").read())
            attempt(lambda path=path: path.open(encoding="utf-16").read())
        attempt(lambda child=child: r.open_text(name, child).read())
        attempt(lambda child=child: r.open_binary(name, child).read())
        attempt(lambda child=child: r.read_text(name, child))
        attempt(lambda child=child: r.is_resource(name, child))
        attempt(lambda child=child: by_path(name, child))
        if child in ("text.txt", "extra.txt", "folder"):
            attempt(lambda child=child: brought_out(f.joinpath(child)))
    print(sorted(set(r.contents(name)) - {"__pycache__"}))
    attempt(f.read_bytes)
    attempt(f.read_text)
    attempt(f.open)


def by_path(name, child):
    """Read a resource by its path."""
    with r.path(name, child) as path:
        return path.read_text()


def brought_out(place):
    """Return the files of a resource that is brought out."""
    with r.as_file(place) as path:
        if path.is_dir():
            return [(str(p.relative_to(path)), p.read_text()) for p in sorted(path.rglob("*"))]
        return path.name[-4:], path.read_text()


show("space")
show("space.inner")
loader = importlib.util.find_spec("space").loader
reader = loader.get_resource_reader("space")
print(type(loader).__name__, type(reader).__name__, reader.is_resource("text.txt"))
print(reader.open_resource("text.txt").read(), sorted(set(reader.contents()) - {"__pycache__"}))
readers = sys.modules[type(reader).__module__]
for wrong in ("no path",), ("<NamespacePath>", "x"):
    attempt(lambda wrong=wrong: readers.NamespaceReader(wrong))
attempt(readers.MultiplexedPath)

with tempfile.TemporaryDirectory() as folder:
    os.makedirs(f"{folder}/space/inner/other")
    for file in "space/extra.txt", "space/text.txt", "space/inner/text.txt":
        with open(f"{folder}/{file}", "w") as target:
            target.write(f"{file} of a directory\n")
    for position in 0, len(sys.path):
        for module in [module for module in sys.modules if module.startswith("space")]:
            del sys.modules[module]
        sys.path.insert(position, folder)
        importlib.invalidate_caches()
        print(str(r.files("space")).replace(folder, "FOLDER").count("FOLDER"))
        for name in "space", "space.inner":
            f = r.files(name)
            walk(f)
            print((f / "text.txt").read_text(), (f / "inner").is_dir(), (f / "other").is_dir())
            print(r.read_text(name, "text.txt"), r.is_resource(name, "extra.txt"))
            attempt(lambda f=f: brought_out(f / "text.txt"))
        sys.path.remove(folder)

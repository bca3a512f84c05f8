"""Probe: namespace packages, and a portion that another place on the path adds."""

import sys
import tempfile
from pathlib import Path

import space.inner.two
import space.one
from shown import show

show(space)
show(space.one)
show(space.inner)
print(type(space.__loader__).__name__, space.__path__._path)
with tempfile.TemporaryDirectory() as more:
    portion = Path(more) / "space"
    portion.mkdir()
    (portion / "three.py").write_text("value = 3")
    sys.path.append(more)
    import space.three

    print(space.three.value, len(space.__path__))
    sys.path.remove(more)
    sys.path.insert(0, more)
    print([path == str(portion) for path in space.__path__])

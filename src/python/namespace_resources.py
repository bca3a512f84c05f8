"""Lets the readers of `importlib.resources` read portions of namespace packages in a bundle.

Run in a namespace that has `readers` (the module of the readers, as soon as it is executed),
`BundlePath`, and `bundle_path`, which gives the place of a bundle that a portion's path leads to. The
classes stay what they are: what has no portion in a bundle goes on to the methods that were there.
"""

import pathlib
import sys
from functools import wraps

add_paths = readers.MultiplexedPath.__init__
real_path = readers.NamespaceReader.resource_path


@wraps(add_paths)
def __init__(self, *paths):
    paths = [bundle_path(path) or path for path in paths]
    if not any(isinstance(path, BundlePath) for path in paths):
        add_paths(self, *paths)
        return
    self._paths = [
        path if isinstance(path, BundlePath) else pathlib.Path(path) for path in dict.fromkeys(paths)
    ]
    for path in self._paths:
        if not path.is_dir():
            raise NotADirectoryError(f"{path}, a portion of a namespace package, is no directory")


@wraps(real_path)
def resource_path(self, resource):
    if isinstance(self.path.joinpath(resource), BundlePath):
        # There is no real file, so that `importlib.resources` makes one where it is asked for.
        raise FileNotFoundError(resource)
    return real_path(self, resource)


# From CPython 3.13 on, the reader itself finds the places that the paths of portions lead to.
if hasattr(readers.NamespaceReader, "_resolve"):
    find_place = readers.NamespaceReader._resolve.__func__

    @classmethod
    @wraps(find_place)
    def _resolve(cls, path_str):
        return bundle_path(path_str) or find_place(cls, path_str)

    readers.NamespaceReader._resolve = _resolve
else:
    readers.MultiplexedPath.__init__ = __init__
readers.NamespaceReader.resource_path = resource_path

# Before CPython 3.12, `as_file` brings out files only: directories have always been real ones.
common = sys.modules.get(readers.__name__.rpartition(".")[0] + "._common")
if sys.version_info < (3, 12) and hasattr(getattr(common, "as_file", None), "register"):
    from contextlib import contextmanager

    single_file = common.as_file.dispatch(object)

    def bring_out(path, target):
        if path.is_dir():
            target.mkdir()
            for child in path.iterdir():
                bring_out(child, target / child.name)
        else:
            target.write_bytes(path.read_bytes())

    @common.as_file.register(BundlePath)
    @contextmanager
    def as_file(path):
        if not path.is_dir():
            with single_file(path) as file:
                yield file
            return
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            directory = pathlib.Path(folder, path.name)
            bring_out(path, directory)
            yield directory

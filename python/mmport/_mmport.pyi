"""The extension module behind :mod:`mmport`; import from there."""

import os
import types
from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.metadata import DistributionFinder, PathDistribution
from pathlib import Path
from typing import IO, Any, Final, final
from zipimport import zipimporter

__all__ = [
    "BundleFinder",
    "BundleImporter",
    "BundlePath",
    "BundleResourceReader",
    "SourceTreeLoader",
    "ZipImporter",
    "__version__",
    "install",
    "install_as_site_packages",
    "main",
    "uninstall",
]

__version__: Final[str]

def install(bundle: str | os.PathLike[str] | None = None) -> None:
    """Serve the modules of a bundle, of a directory, or of all zips.

    With a bundle, appends its absolute path to ``sys.path``, with a slash at its end by which
    ``importlib.metadata`` knows that mmport finds the distributions in it. Puts a
    :class:`BundleFinder` before ``PathFinder`` in ``sys.meta_path`` and a path hook first in
    ``sys.path_hooks``. Modules that come earlier on ``sys.path`` keep shadowing those of the
    bundle.

    With a directory of sources, appends it to ``sys.path`` unless it is there. What is imported
    from it, and from directories below it, is found by CPython's ``FileFinder`` and loaded by
    :class:`SourceTreeLoader`.

    Without either, :class:`ZipImporter` takes the place of ``zipimport.zipimporter`` in
    ``sys.path_hooks``, and what that has put into ``sys.path_importer_cache`` is forgotten: zips on
    ``sys.path``, and those that come later, are served by mmport as CPython would serve them.

    Raises ``ImportError`` when the file cannot be opened or is no zip.
    """

def install_as_site_packages(bundle: str | os.PathLike[str]) -> None:
    """Serve the modules of a bundle that stands for a directory of packages.

    Does what :func:`install` does, and then what ``site`` does for such a directory when Python
    starts: executes the ``.pth`` files that ``mmport build`` noted in the bundle, and imports its
    ``sitecustomize``. Errors in ``.pth`` files are printed and otherwise ignored.

    Raises ``ImportError`` when the file cannot be opened or is no zip.
    """

def uninstall() -> None:
    """Take out of ``sys`` whatever :func:`install` has put in.

    That is the finder, the hooks, the bundles' entries of ``sys.path`` and their importers;
    ``zipimport.zipimporter`` is where it was. Modules that were imported stay usable. Does nothing
    where nothing is installed.
    """

def main(arguments: Sequence[str | os.PathLike[str]] | None = None) -> int:
    """Run the command line ``mmport ARGUMENTS`` (by default ``sys.argv[1:]``).

    Returns the exit status. ``run`` and ``python`` turn this process into the program and do not
    return once it has started.
    """

@final
class BundleFinder:
    """Meta-path finder for all installed bundles.

    Answers as ``importlib.machinery.PathFinder`` would, for modules that a bundle serves, and
    returns ``None`` for everything else.
    """

    def __new__(cls) -> BundleFinder: ...
    def find_spec(
        self,
        fullname: str,
        path: Iterable[str] | None = None,
        target: types.ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Find a module on ``path`` (``sys.path`` by default), in its order."""

    def invalidate_caches(self) -> None:
        """Serve bundles from the files that have replaced theirs, from now on.

        Modules that are loaded, and their loaders, keep what they were loaded from; ``linecache``
        reads the new file, as it does where files are edited. A bundle whose file is gone, or is no
        bundle any more, is served as it was opened.
        """

    def find_distributions(
        self, context: DistributionFinder.Context | None = None
    ) -> Iterator[PathDistribution]:
        """Find distributions in the bundles on ``context.path`` whose entry ends in a slash.

        :func:`install` adds such an entry; a bundle on the path by its bare name is found by
        ``importlib.metadata`` itself.
        """

@final
class BundleImporter:
    """Path-entry finder and loader for one directory of a bundle.

    Made by the path hook; loaders of modules from bundles are of this type. The methods are those
    of ``importlib.abc.InspectLoader`` and ``zipimport.zipimporter``.
    """

    @property
    def archive(self) -> str:
        """The bundle's absolute path."""

    @property
    def prefix(self) -> str:
        """The directory in the bundle: empty, or ending in ``/``."""

    def find_spec(self, fullname: str, target: types.ModuleType | None = None) -> ModuleSpec | None:
        """Find a module in this directory.

        A source module of a materialized package gets the spec that ``FileFinder`` gives it, for
        those who ask past :class:`BundleFinder` and go on to its file.
        """

    def invalidate_caches(self) -> None:
        """Do nothing: the finder looks for bundles that were replaced."""

    def create_module(self, spec: ModuleSpec) -> types.ModuleType | None:
        """Create an extension module; ``None`` (the default module) for all others."""

    def exec_module(self, module: types.ModuleType) -> None:
        """Execute the module's code."""

    def load_module(self, fullname: str) -> types.ModuleType:
        """Load a module the way of before Python 3.4."""

    def is_package(self, fullname: str) -> bool:
        """Tell whether the module is a package; ``ImportError`` if there is no such module."""

    def get_filename(self, fullname: str) -> str:
        """Return the module's ``__file__``; ``ImportError`` if there is no such module."""

    def get_code(self, fullname: str) -> types.CodeType | None:
        """Return the module's code object; ``None`` for an extension module."""

    def get_source(self, fullname: str) -> str | None:
        """Return the module's source, decoded; ``None`` where the bundle has none."""

    def source_to_code(
        self, data: bytes | str, path: str, *, _optimize: int = ...
    ) -> types.CodeType:
        """Compile source as the module would be compiled."""

    def get_data(self, path: str) -> bytes:
        """Return the data of a file in the bundle, by absolute or relative path."""

    def get_resource_reader(self, fullname: str) -> Any:
        """Return the resource reader of a package, or of the files beside a module.

        A :class:`BundleResourceReader`, or for a package that is materialized the reader of real
        files.
        """

    def iter_modules(self, prefix: str = "") -> list[tuple[str, bool]]:
        """List the modules of this directory for ``pkgutil.iter_modules``."""

    def __copy__(self) -> BundleImporter: ...
    def __deepcopy__(self, _memo: object) -> BundleImporter: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

class ZipImporter(zipimporter):
    """Finds and loads the modules of any zip as ``zipimport.zipimporter`` does, from its map.

    A drop-in for that class of the running Python: same arguments, attributes, methods, errors and
    caches. ``archive``, ``prefix`` and (before 3.13) ``_files`` are ordinary attributes.
    """

    def __init__(self, path: Any) -> None: ...

class SourceTreeLoader(SourceFileLoader):
    """Loads a source file with its code object from mmport's cache.

    Differs from ``importlib.machinery.SourceFileLoader`` in ``get_code`` alone: it reads and writes
    no ``.pyc`` file. The source is read and hashed; what was compiled from the same bytes before,
    wherever and whenever that was, is used again. A subclass has ``SourceFileLoader.get_code``.
    """

@final
class BundlePath:
    """A file or directory in a bundle: an ``importlib.resources.abc.Traversable``."""

    @property
    def name(self) -> str:
        """The last component."""

    @property
    def stem(self) -> str:
        """The last component without its suffix."""

    @property
    def suffix(self) -> str:
        """The suffix of the last component, with its dot."""

    @property
    def parent(self) -> BundlePath | Path:
        """The directory above; for the bundle itself that of the file."""

    def iterdir(self) -> list[BundlePath]:
        """List the directory, sorted by name."""

    def is_dir(self) -> bool:
        """Tell whether it is a directory, with an entry of its own or without."""

    def is_file(self) -> bool:
        """Tell whether it is a file."""

    def exists(self) -> bool:
        """Tell whether there is anything of that name."""

    def joinpath(self, *others: str | os.PathLike[str]) -> BundlePath:
        """Go to a place below; ``ValueError`` for one outside the bundle."""

    def __truediv__(self, other: str | os.PathLike[str], /) -> BundlePath: ...
    def __rtruediv__(self, value: Any, /) -> Any: ...
    def open(self, mode: str = "r", *args: Any, **kwargs: Any) -> IO[Any]:
        """Open the file to read, as text or (``"rb"``) bytes, as ``io.TextIOWrapper`` does."""

    def read_bytes(self) -> bytes:
        """Return the data of the file."""

    def read_text(self, *args: Any, **kwargs: Any) -> str:
        """Return the text of the file, decoded as by :meth:`open`."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class BundleResourceReader:
    """The resource reader of a package that stays in the bundle."""

    def files(self) -> BundlePath:
        """Return the package's directory."""

    def open_resource(self, resource: str) -> IO[bytes]:
        """Open a resource to read its bytes."""

    def resource_path(self, resource: str) -> str:
        """Raise ``FileNotFoundError``: there is no real file."""

    def is_resource(self, path: str) -> bool:
        """Tell whether the package has a file of that name."""

    def contents(self) -> tuple[str, ...]:
        """List what the package holds."""

"""Python imports served by Rust from memory-mapped zip bundles."""

from ._mmport import (
    BundleFinder as BundleFinder,
    BundleImporter as BundleImporter,
    BundlePath as BundlePath,
    BundleResourceReader as BundleResourceReader,
    __version__ as __version__,
    install as install,
    main as main,
)

__all__ = [
    "BundleFinder",
    "BundleImporter",
    "BundlePath",
    "BundleResourceReader",
    "__version__",
    "install",
    "main",
]

"""Python imports served by Rust from memory-mapped zip bundles."""

from ._mmport import (
    BundleFinder,
    BundleImporter,
    BundlePath,
    BundleResourceReader,
    ZipImporter,
    __version__,
    install,
    main,
    uninstall,
)

__all__ = [
    "BundleFinder",
    "BundleImporter",
    "BundlePath",
    "BundleResourceReader",
    "ZipImporter",
    "__version__",
    "install",
    "main",
    "uninstall",
]

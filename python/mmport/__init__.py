"""Python imports served by Rust from memory-mapped zip bundles."""

from ._mmport import (
    BundleFinder,
    BundleImporter,
    BundlePath,
    BundleResourceReader,
    SourceTreeLoader,
    ZipImporter,
    __version__,
    install,
    install_as_site_packages,
    main,
    uninstall,
)

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

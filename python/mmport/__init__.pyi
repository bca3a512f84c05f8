"""Python imports served by Rust from memory-mapped zip bundles."""

from ._mmport import BundleFinder as BundleFinder
from ._mmport import BundleImporter as BundleImporter
from ._mmport import __version__ as __version__
from ._mmport import install as install
from ._mmport import main as main

__all__ = ["BundleFinder", "BundleImporter", "__version__", "install", "main"]

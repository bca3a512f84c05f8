"""Lets `pkg_resources` read resources of packages, and distributions, in a bundle.

Run in a namespace that has `pkg_resources` (as soon as that module is executed), `BundleImporter` and
`bundle_path`, which gives the place of a bundle that a path leads to.
"""

import pkgutil
import sys


class BundleProvider(pkg_resources.DefaultProvider):
    """The provider of a package whose loader is a `BundleImporter`."""

    _get = pkg_resources.NullProvider._get
    get_resource_stream = pkg_resources.NullProvider.get_resource_stream

    def _has(self, path):
        return bundle_path(path).exists()

    def _isdir(self, path):
        return bundle_path(path).is_dir()

    def _listdir(self, path):
        return [child.name for child in bundle_path(path).iterdir()]


class BundleMetadata(BundleProvider):
    """The metadata of a distribution, by the path of its directory."""

    def __init__(self, importer, path, directory):
        self.loader = importer
        self.module_path = path
        self.egg_info = directory


def find_in_bundle(importer, path_item, only=False):
    """Yield the distributions whose metadata is at a place in a bundle."""
    for child in bundle_path(path_item).iterdir():
        if child.name.endswith((".dist-info", ".egg-info")) and child.is_dir():
            metadata = BundleMetadata(importer, path_item, str(child))
            yield pkg_resources.Distribution.from_location(path_item, child.name, metadata)


pkg_resources.register_loader_type(BundleImporter, BundleProvider)
pkg_resources.register_finder(BundleImporter, find_in_bundle)
# The distributions that are on the path have been gathered already, without these.
for path_item in sys.path:
    if isinstance(pkgutil.get_importer(path_item), BundleImporter):
        for distribution in pkg_resources.find_distributions(path_item, only=True):
            pkg_resources.working_set.add(distribution, path_item, insert=False)

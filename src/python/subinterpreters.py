"""Serves the bundle in a subinterpreter, where no class of mmport's can be used.

Frozen under the name of `_sitebuiltins`, which `site` imports before it does anything: in the main
interpreter that has happened. A finder is put in place, which waits for the last thing that `site`
imports, `sitecustomize`, to put the bundle on `sys.path`. CPython's own finders serve it from there:
`FileFinder` the packages that are brought out as files, `zipimport` all others. Then the module whose
name this is is found and run.
"""

import sys
from _frozen_importlib import ModuleSpec, _init_module_attrs
from _frozen_importlib_external import ExtensionFileLoader, PathFinder


def native_functions():
    """The functions in Rust: built in, or in the extension module of the pip package."""
    name = "_mmport_native"
    if name in sys.builtin_module_names:
        return __import__(name)
    from _mmport_hosted import library

    loader = ExtensionFileLoader(name, library)
    module = loader.create_module(ModuleSpec(name, loader, origin=library))
    loader.exec_module(module)
    return module


def leave_host():
    """Take off what belongs to the environment of the pip package, as the main interpreter has."""
    try:
        from _mmport_hosted import attributes, removed
    except ModuleNotFoundError:
        return
    sys.path[:] = [entry for entry in sys.path if entry not in removed]
    for name, value in attributes.items():
        setattr(sys, name, value)


class Materializer:
    """A meta-path finder that finds nothing: it brings out what others are about to find."""

    __module__ = "mmport"
    trees = None

    def __init__(self, native):
        self.native = native

    def find_spec(self, fullname, path=None, target=None):
        if fullname == "sitecustomize" and self.trees is None:
            self.serve()
        if path is None and self.trees and self.native.materialize(fullname):
            for tree in self.trees:
                finder = sys.path_importer_cache.pop(tree, None)
                if finder is not None:
                    finder.invalidate_caches()

    def serve(self):
        """Put the bundle where `site` has put what a virtual environment has."""
        leave_host()
        places = self.native.places()
        self.trees = places[:-1]
        sys.path.extend(places)


def run_module_of_this_name():
    """Become the module that `site` was looking for."""
    spec = PathFinder.find_spec(__name__)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {__name__!r}", name=__name__)
    module = type(sys)(__name__)
    _init_module_attrs(spec, module)
    sys.modules[__name__] = module
    spec.loader.exec_module(module)


functions = native_functions()
if functions.places() is not None:  # It is in the main interpreter, which has the bundle.
    sys.meta_path.insert(sys.meta_path.index(PathFinder), Materializer(functions))
run_module_of_this_name()

"""Has the standard library served from the bundle, from the first import on.

Frozen under the name of `encodings`, which CPython imports before all other modules that it looks for.
The finder is put in place, and this module makes room for the one whose name it has.

Modules that CPython has frozen itself show the files that they were frozen from, in the directory that
`sys._stdlib_dir` names. CPython leaves that empty where the directory is none of the file system's.
"""

import sys
from _frozen_importlib import FrozenImporter

import _mmport_native


def show_files(directory):
    """Have frozen modules, imported or not, show their files in `directory`."""
    sys._stdlib_dir = directory
    for name, module in sys.modules.items():
        if name == "_frozen_importlib":  # Imported before Python knows the directory, always.
            continue
        spec = getattr(module, "__spec__", None)
        state = getattr(spec, "loader_state", None)
        if getattr(spec, "loader", None) is FrozenImporter and state.origname:
            is_package = spec.submodule_search_locations is not None
            place = FrozenImporter._resolve_filename(state.origname, spec.name, is_package)
            state.filename = module.__file__ = place[0]


directory = _mmport_native.install()
if hasattr(sys, "_stdlib_dir"):  # From 3.11 on.
    show_files(directory)
del sys.modules[__name__]
__import__(__name__)

"""Beside each script: what it says last."""

import os
import sys


def show(*modules):
    """Print where extension modules are; every one that was imported has to be a file."""
    for module in modules:
        print(module.__name__, module.__file__, module.__spec__.origin == module.__file__)
    count = 0
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.endswith(".so"):
            assert os.path.isfile(file), (name, file)
            count += 1
    print(count, "extension modules are files")

"""Probe: a package's `__init__` imported as a module of it."""

import pkg
import pkg.__init__ as module

print(module.__name__, module.__package__, module.__file__, module is pkg)

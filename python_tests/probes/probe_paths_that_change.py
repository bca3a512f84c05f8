"""Probe: paths that change."""

import extended.own
import moved.found

print(moved.found.value, len(moved.__path__), len(extended.__path__))
moved.__path__.clear()
try:
    import moved.elsewhere
except ImportError as e:
    print(e)

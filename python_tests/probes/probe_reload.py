"""Probe: reloading modules and packages, and importing again what was forgotten."""

import importlib
import sys

import pkg.first
import reload_me

first = reload_me
importlib.reload(reload_me)
print(reload_me.counter, first is reload_me, sys.modules["reload_me"] is first)
importlib.reload(pkg)
importlib.reload(pkg.first)
print(pkg.first.name)
del sys.modules["reload_me"]
again = importlib.import_module("reload_me")
print(again.counter, first is again)
try:
    importlib.reload(first)
except ImportError as error:
    print(error)

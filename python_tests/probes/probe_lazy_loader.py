"""Probe: lazy loader."""

import importlib.util
import sys

spec = importlib.util.find_spec("plain")
spec.loader = importlib.util.LazyLoader(spec.loader)
m = importlib.util.module_from_spec(spec)
sys.modules["plain"] = m
spec.loader.exec_module(m)
print(type(m).__name__, m.value, type(m).__name__)

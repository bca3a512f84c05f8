"""Probe: threads."""

import concurrent.futures
import importlib

with concurrent.futures.ThreadPoolExecutor(16) as pool:
    names = ["runs.helper", "space.one", "space.inner.two", "shadow", "plain", "source"] * 8
    modules = list(pool.map(importlib.import_module, names))
print(len({id(m) for m in modules}), [m.__name__ for m in modules[:6]])

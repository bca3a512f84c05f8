"""Probe: specs that are asked for and used by hand."""

import importlib.util

spec = importlib.util.find_spec("pkg.first")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
first = importlib.import_module("pkg.first")
print(module.name, module is first, importlib.util.find_spec("pkg.first") is spec)
print(importlib.util.find_spec(".first", "pkg").name, importlib.util.find_spec("pkg.none"))

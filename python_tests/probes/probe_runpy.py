"""Probe: runpy."""

import runpy

print(sorted(k for k in runpy.run_module("plain") if k != "__builtins__"))
runpy.run_module("runs", run_name="__main__", alter_sys=True)
print(runpy.run_module("pkg.first", run_name="other")["__name__"])
for n in "space", "none", "pkg.sub":
    try:
        runpy.run_module(n)
    except ImportError as e:
        print(e)

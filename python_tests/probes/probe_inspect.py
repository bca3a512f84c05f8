"""Probe: inspect."""

import inspect
import linecache

import source

print(inspect.getsource(source), inspect.getsource(source.C.method), inspect.getdoc(source.C))
print(inspect.getsourcefile(source.f), inspect.getfile(source.C), inspect.getmodule(source.f))
print(inspect.getcomments(source.C), inspect.getsourcelines(source.f)[1])
linecache.clearcache()
print(linecache.getlines(source.__file__, vars(source))[:2])

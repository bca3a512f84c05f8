"""Probe: code."""

import types

import plain
import source


def walk(code):
    yield code
    for c in code.co_consts:
        if isinstance(c, types.CodeType):
            yield from walk(c)


for m in plain, source:
    for c in walk(m.__loader__.get_code(m.__name__)):
        print(c.co_filename, c.co_name, c.co_firstlineno)

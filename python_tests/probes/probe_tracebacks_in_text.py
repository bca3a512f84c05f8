"""Probe: tracebacks in text."""

import traceback

import sourceless_to_be as s

try:
    s.f()
except ValueError:
    print(traceback.format_exc())
print(traceback.StackSummary.extract([(s.f.__code__ and __import__("sys")._getframe(), 1)]))

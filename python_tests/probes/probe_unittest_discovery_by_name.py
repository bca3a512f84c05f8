"""Probe: unittest discovery by name."""

import unittest

print(unittest.defaultTestLoader.loadTestsFromName("pkg.first").countTestCases())

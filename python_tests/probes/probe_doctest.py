"""Probe: doctest."""

import doctest

import doctested

print(doctest.testmod(doctested))

"""Whole processes compared: the parts of the scripts beside, one concept per file."""

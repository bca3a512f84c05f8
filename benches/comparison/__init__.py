"""Whole processes compared: the parts of ``compare.py``, one concept per file."""

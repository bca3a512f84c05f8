"""Probe: help."""

import pydoc

import source

print(pydoc.plain(pydoc.render_doc(source)))

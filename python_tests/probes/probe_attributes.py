"""Probe: attributes."""

import annotated
import bom
import crlf
import dynamic
import empty
import future
import latin
import pkg
import pkg.first
import pkg.second
import pkg.sub.deep.leaf
import plain
import shadow
import spaceshadow
from shown import show

for m in (
    plain,
    empty,
    latin,
    bom,
    crlf,
    annotated,
    future,
    pkg,
    pkg.first,
    pkg.second,
    pkg.sub.deep,
    pkg.sub.deep.leaf,
    shadow,
    spaceshadow,
    dynamic,
):
    show(m)
print(plain.self is plain, latin.text, bom.text, repr(crlf.text), shadow.value)
print(spaceshadow.value, dynamic.anything, pkg.renamed is pkg.second)

"""Probe: names not in ASCII."""

import ünïcode
from shown import show

show(ünïcode)
print(ünïcode.value)

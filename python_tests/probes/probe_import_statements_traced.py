"""Probe: import statements traced."""

import sys

seen = []
sys.addaudithook(lambda e, a: e == "import" and seen.append(a[0]))

print(seen)

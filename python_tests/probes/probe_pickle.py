"""Probe: pickle."""

import pickle

import source

print(pickle.loads(pickle.dumps(source.C())).method(), pickle.dumps(source.C))

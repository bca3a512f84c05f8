"""Probe: pickling and copying what is imported, specs and loaders."""

import copy
import importlib.util
import pickle

import source

print(pickle.loads(pickle.dumps(source.C())).method(), pickle.dumps(source.C))


def pickled(protocol):
    """Return what pickles an object and makes another one of it."""
    return lambda it: pickle.loads(pickle.dumps(it, protocol))


for name in "plain", "pkg", "pkg.sub.deep.leaf", "data", "data.reader", "space.inner.two":
    spec = importlib.util.find_spec(name)
    for again in *map(pickled, range(pickle.HIGHEST_PROTOCOL + 1)), copy.copy, copy.deepcopy:
        other, loader = again(spec), again(spec.loader)
        print(name, other == spec, other is spec, loader == spec.loader)
        print(hash(loader) == hash(spec.loader), type(loader) is type(spec.loader))
        module = importlib.util.module_from_spec(other)
        other.loader.exec_module(module)
        print(module.__name__, module.__file__, loader.get_source(name))

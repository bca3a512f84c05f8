"""Puts `mmport.ZipImporter` in the place of `zipimport.zipimporter`, in every Python of a run.

A `.pth` file in the virtual environment of the run imports this module, so it also reaches child
processes that ignore environment variables (`-E`, `-I`); only those without `site` (`-S`) go
without. The environment's file `stand-in` says which class: `plain` leaves everything as it is,
`broken` takes one that finds nothing, by which the run proves that it would notice.
"""

import os
import sys


def replace(kind):
    """Replace the class, and the hook that is made of it; return a word about what was done."""
    import zipimport

    original = zipimport.zipimporter
    try:
        import mmport
    except ImportError as error:
        # Extension modules of this kind cannot be in subinterpreters; their zips are CPython's.
        if "subinterpreter" in str(error):
            return "subinterpreter"
        raise
    stand_in = mmport.ZipImporter
    if kind == "broken":

        class Broken(mmport.ZipImporter):
            def find_spec(self, fullname, target=None):
                return None

        stand_in = Broken
    zipimport.zipimporter = stand_in
    sys.path_hooks[:] = [stand_in if hook is original else hook for hook in sys.path_hooks]
    for path, finder in list(sys.path_importer_cache.items()):
        if type(finder) is original:
            del sys.path_importer_cache[path]
    return kind


def note(word):
    """Append a line to the run's log, in one write."""
    log = os.open(os.path.join(sys.prefix, "log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(log, f"{os.getpid()} {word}\n".encode())
    finally:
        os.close(log)


with open(os.path.join(sys.prefix, "stand-in")) as file:
    KIND = file.read().strip()
note(replace(KIND) if KIND != "plain" else KIND)

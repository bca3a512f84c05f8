"""Probe: loader."""

import latin
import pkg
import plain

for m in plain, pkg, latin:
    loader = m.__loader__
    n = m.__name__
    print(
        loader.is_package(n),
        loader.get_filename(n),
        ascii(loader.get_source(n)),
        loader.get_code(n).co_filename,
    )
    print(len(loader.get_data(m.__file__)), loader.create_module(m.__spec__), bool(repr(loader)))
    print(
        loader.get_code(n).co_consts == compile(loader.get_source(n), m.__file__, "exec").co_consts
    )
loader = plain.__loader__
for f in (lambda: loader.get_data(plain.__file__ + "x"), lambda: loader.get_data("/no/such")):
    try:
        f()
    except OSError as e:
        print(type(e).__name__, e.errno)

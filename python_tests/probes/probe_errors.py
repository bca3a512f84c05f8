"""Probe: what failing imports raise, where, and which modules they leave behind."""

import importlib
import sys

NAMES = [
    *("there_is_none", "pkg.none", "plain.none", "none.of.it", "space.none", "beyond"),
    *("fails", "failing", "failing.good", "bad_syntax", "bad_indent", "bad_encoding"),
    *("bad_cookie", "bad_null", "circle.a", "circle_attribute", "replaces", "removes"),
]

for name in NAMES:
    before = set(sys.modules)
    try:
        importlib.import_module(name)
    except BaseException as error:
        print(name, type(error).__name__, error)
        print(getattr(error, "name", ""), getattr(error, "path", ""))
        if isinstance(error, SyntaxError):
            print(error.filename, error.lineno, error.offset, error.text, error.end_lineno)
        frames, traceback = [], error.__traceback__
        while traceback:
            code = traceback.tb_frame.f_code
            frames.append((code.co_filename, code.co_name, traceback.tb_lineno))
            traceback = traceback.tb_next
        print([frame for frame in frames[1:] if "importlib" not in frame[0]])
    print(sorted(set(sys.modules) - before))

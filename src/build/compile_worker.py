"""Compiles sources for `mmport build`: frames on standard input, frames on standard output.

Only built-in and frozen modules are imported, so that nothing outside the interpreter can change
what is compiled, and so that the worker starts quickly. All numbers are little-endian.

request:  u64 length of the name, u64 length of the source, name (UTF-8), source
response: u8 status (0 compiled, 1 does not compile), u64 length, the .pyc or the reason
"""

import sys

import _frozen_importlib_external
import _imp
import marshal

MAGIC = _frozen_importlib_external.MAGIC_NUMBER
HASH_KEY = int.from_bytes(MAGIC[:4], "little")
# PEP 552: bit 0 says that a hash of the source follows, bit 1 (unset) that it need be checked.
UNCHECKED_HASH = (1).to_bytes(4, "little")


def compile_source(name, source):
    code = compile(source, name, "exec", dont_inherit=True, optimize=0)
    source_hash = _imp.source_hash(HASH_KEY, source)
    return MAGIC + UNCHECKED_HASH + source_hash + marshal.dumps(code)


def serve(requests, responses):
    while True:
        lengths = requests.read(16)
        if len(lengths) < 16:
            return
        name = requests.read(int.from_bytes(lengths[:8], "little")).decode("utf-8")
        source = requests.read(int.from_bytes(lengths[8:], "little"))
        try:
            status, answer = 0, compile_source(name, source)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            status, answer = 1, reason.encode("utf-8", "backslashreplace")
        responses.write(bytes([status]) + len(answer).to_bytes(8, "little"))
        responses.write(answer)
        responses.flush()


serve(sys.stdin.buffer, sys.stdout.buffer)

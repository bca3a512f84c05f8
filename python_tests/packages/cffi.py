"""Both modes: by the interface of libraries (ABI), and by compiled modules (API)."""

import glob
import os

import _cffi_backend
import argon2
import extensions
import zmq
from _argon2_cffi_bindings import _ffi
from cffi import FFI

ffi = FFI()
ffi.cdef("int abs(int); size_t strlen(const char *); typedef struct { int x; double y; } pair;")
c = ffi.dlopen(None)
print(c.abs(-5), c.strlen(b"text"), ffi.sizeof("pair"))


@ffi.callback("int(int, int)")
def add(a, b):
    return a + b


print(add(2, 3), ffi.new("pair *", {"x": 1, "y": 2.5}).y)
# A library that came with another package, by its path.
[path] = glob.glob(os.path.join(os.path.dirname(zmq.__file__), "..", "pyzmq.libs", "libzmq*"))
versions = FFI()
versions.cdef("void zmq_version(int *, int *, int *);")
numbers = versions.new("int[3]")
versions.dlopen(path).zmq_version(numbers, numbers + 1, numbers + 2)
print(tuple(numbers) == zmq.zmq_version_info(), zmq.zmq_version_info())
try:
    ffi.dlopen(os.path.join(os.path.dirname(path), "no_such.so"))
except OSError as error:
    print(str(error).split(": ", 1)[1])
out = FFI()
out.set_source("_generated", None)
out.cdef("int abs(int);")
out.emit_python_code("_generated.py")
import _generated  # noqa: E402

print(_generated.ffi.dlopen(None).abs(-7))
print(_ffi.lib.ARGON2_VERSION_NUMBER, _ffi.ffi.string(_ffi.lib.argon2_error_message(-1)))
print(argon2.low_level.hash_secret(b"password", b"somesalt", 1, 8, 1, 16, argon2.Type.ID))
extensions.show(_cffi_backend, _ffi)

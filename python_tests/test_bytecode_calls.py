"""Calls to the operating system that fail, on files of the cache of code objects: programs run."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from code_cache import Cached, full, is_mended, ran_at_all
from compiler import compile_library

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

/* Whether this call of a function on a file of the cache fails. */
static int fails(const char *function, int file, const char *path) {
    static int calls;
    char link[64], target[4096];
    const char *chosen = getenv("FAULT_CALL");
    if (!chosen || strcmp(chosen, function)) return 0;
    if (!path) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", file);
        ssize_t length = readlink(link, target, sizeof target - 1);
        if (length < 0) return 0;
        target[length] = 0;
        path = target;
    }
    if (!strstr(path, "/bytecode-v1/")) return 0;
    if (__sync_fetch_and_add(&calls, 1) < atoi(getenv("FAULT_AFTER"))) return 0;
    errno = atoi(getenv("FAULT_ERROR"));
    return 1;
}

#define WRAP(result, name, parameters, file, path, words, failure)                        \
    result name parameters {                                                                \
        static result (*real) parameters;                                                   \
        if (!real) real = (result (*) parameters)dlsym(RTLD_NEXT, #name);                   \
        return fails(#name, file, path) ? failure : real words;                             \
    }

WRAP(ssize_t, write, (int f, const void *b, size_t n), f, 0, (f, b, n), -1)
WRAP(ssize_t, pwrite64, (int f, const void *b, size_t n, off64_t o), f, 0, (f, b, n, o), -1)
WRAP(int, ftruncate64, (int f, off64_t n), f, 0, (f, n), -1)
WRAP(void *, mmap, (void *a, size_t n, int p, int k, int f, off_t o),
     f, 0, (a, n, p, k, f, o), MAP_FAILED)
WRAP(void *, mmap64, (void *a, size_t n, int p, int k, int f, off64_t o),
     f, 0, (a, n, p, k, f, o), MAP_FAILED)
WRAP(int, rename, (const char *a, const char *b), 0, a, (a, b), -1)
WRAP(int, unlink, (const char *a), 0, a, (a), -1)

int open64(const char *path, int flags, ...) {
    static int (*real)(const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    int mode = va_arg(rest, int);
    va_end(rest);
    if (!real) real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
    return fails("open64", 0, path) ? -1 : real(path, flags, mode);
}
"""


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a library that lets calls on files of the cache fail."""
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    compile_library(SHIM, library, "-ldl")
    return library


CALLS = ["write", "pwrite64", "mmap", "mmap64", "open64", "rename", "unlink", "ftruncate64"]


@pytest.mark.parametrize("after", [0, 1, *full(2, 3, 4)])
@pytest.mark.parametrize("error", ["EIO", *full("ENOSPC")])
@pytest.mark.parametrize("call", CALLS)
def test_calls_that_fail(
    call: str, error: str, after: int, small: Path, cached: Cached, shim: Path
) -> None:
    """Whichever call on a file of the cache fails, and from whichever time on: programs run."""
    variables = {
        "LD_PRELOAD": str(shim),
        "FAULT_CALL": call,
        "FAULT_AFTER": str(after),
        "FAULT_ERROR": str(getattr(errno, error)),
    }
    # On an empty cache, on what that left, and on a whole one.
    for _ in range(2):
        ran_at_all(cached, small, **variables)
    is_mended(cached, small)
    ran_at_all(cached, small, **variables)
    is_mended(cached, small)

"""Memory for Python's small objects: large pages for those of a start, and nothing else changes."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from conftest import Application

Make = Callable[..., Application]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/smaps")

# Where small objects are: the range of addresses, and whether large pages are asked for there.
LOOK = """
import re
def places(objects):
    ranges = []
    for line in open('/proc/self/smaps'):
        found = re.match('([0-9a-f]+)-([0-9a-f]+) ', line)
        if found:
            ranges.append([int(found[1], 16), int(found[2], 16), False])
        elif line.startswith('VmFlags:'):
            ranges[-1][2] = 'hg' in line.split()
    def of(address):
        return next(it for it in ranges if it[0] <= address < it[1])
    return [of(id(it)) for it in objects]
"""


def test_first_objects_are_in_large_pages(application: Make) -> None:
    """The kernel may give out large pages for the objects of a start, unless told otherwise."""
    text = f"{LOOK}\nprint(all(it[2] for it in places([object() for _ in range(1000)])))\n"
    text += "print(all(it[2] for it in places([re.match, places, LOOK])))\n"
    made = application(text.replace("LOOK]", "re]"))
    assert made.bundled().succeeded().stdout == "True\nTrue\n"
    assert made.bundled(MMPORT_MEMORY="ordinary").succeeded().stdout == "False\nFalse\n"


def test_more_objects_than_fit(application: Make) -> None:
    """What does not fit comes from where it always comes, and all of it can be given back."""
    made = application(
        f"{LOOK}\nimport gc, os, sys, threading\n"
        "def resident():\n    return int(open('/proc/self/statm').read().split()[1]) * 4096\n"
        "before = resident()\n"
        "many = [(number, str(number)) for number in range(1_000_000)]\n"
        "print(resident() - before > 100_000_000, len(places(many[::100_000])))\n"
        "print(places(many[-1:])[0][2], sum(it[0] for it in many))\n"
        "sys.stdout.flush()\nif os.fork() == 0:\n    print(len(many), flush=True)\n"
        "    del many\n    os._exit(0)\n"
        "os.wait()\ndel many\ngc.collect()\n"
        "print(resident() - before < 60_000_000)\n"
        "def work():\n    [[] for _ in range(10_000)]\n"
        "threads = [threading.Thread(target=work) for _ in range(8)]\n"
        "[it.start() for it in threads]\n[it.join() for it in threads]\n"
    )
    expected = "True 10\nFalse 499999500000\n1000000\nTrue\n"
    assert made.bundled().succeeded().stdout == expected
    assert made.bundled(MMPORT_MEMORY="ordinary").succeeded().stdout == expected
    assert made.plain().succeeded().stdout == expected


@pytest.mark.parametrize("allocator", ["malloc", "debug", "pymalloc_debug"])
def test_other_allocators(application: Make, allocator: str) -> None:
    """`PYTHONMALLOC` is obeyed."""
    made = application("print(sum(len(str(it)) for it in range(100_000)))\n")
    assert made.bundled(PYTHONMALLOC=allocator) == made.plain(PYTHONMALLOC=allocator)


def test_few_addresses(application: Make) -> None:
    """Where the process may have few addresses only, it starts as it would without."""
    made = application("print('started')\n")
    limit = 'ulimit -v 65536; exec "$@"'
    outcome = made.run("sh", "-c", limit, "sh", made.mmport, "run", made.bundle)
    assert outcome.stdout == "started\n", str(outcome)

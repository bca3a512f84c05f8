"""Maps of files that change under them, in a Python that has mmport installed."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

import pytest
from support import Outcome, Runner

INTACT = """\
import importlib, mmport, os, zipfile
with zipfile.ZipFile("cut.zip", "w") as target:
    target.writestr("early.py", "VALUE = 1")
    target.writestr("also_early.py", "VALUE = 2")
    target.writestr("filler.bin", bytes(1 << 20))
    target.writestr("late.py", "VALUE = 3")
mmport.install("cut.zip")
os.truncate("cut.zip", 1 << 19)
for name in ["early", "late", "also_early", "late"]:
    try:
        print(name, importlib.import_module(name).VALUE)
    except ImportError as error:
        print(name, "cut off" in str(error), error.name)
"""

# Threads that read one archive through importers of their own.
THREADS = """\
import mmport, os, threading, time, zipfile
SIZE = 40 << 20
wrong = []
for _ in range(6):
    with zipfile.ZipFile("race.zip", "w") as target:
        target.writestr("a.bin", b"x" * SIZE)
    importers = [mmport.ZipImporter("race.zip") for _ in range(4)]
    def read(importer):
        try:
            if importer.get_data("a.bin").count(b"x") != SIZE:
                wrong.append(importer)
        except OSError:
            pass
    threads = [threading.Thread(target=read, args=(importer,)) for importer in importers]
    for thread in threads:
        thread.start()
        time.sleep(0.003)
    os.truncate("race.zip", SIZE - 8192)
    for thread in threads:
        thread.join()
    os.unlink("race.zip")
print(len(wrong))
"""

# A handler that is installed during a read takes ours for the one before it.
FAULT = """\
import faulthandler, mmap, mmport, os, threading, time, zipfile
with zipfile.ZipFile("long.zip", "w", zipfile.ZIP_DEFLATED) as target:
    target.writestr("a.bin", os.urandom(1 << 20) * 80)
importer = mmport.ZipImporter("long.zip")
thread = threading.Thread(target=importer.get_data, args=("a.bin",))
thread.start()
time.sleep(0.03)
faulthandler.enable()
thread.join()
importer.get_data("a.bin")
with open("own.bin", "wb+") as file:
    file.truncate(8192)
    own = mmap.mmap(file.fileno(), 8192)
    file.truncate(0)
print(own[5000])
"""

MEMORY = """\
import mmport, os, resource, zipfile
with zipfile.ZipFile("large.zip", "w", zipfile.ZIP_DEFLATED) as target:
    target.writestr("a.bin", os.urandom(3 << 20))
data = bytearray(open("large.zip", "rb").read())
header = data.rindex(b"PK\\x01\\x02")
data[header + 24 : header + 28] = (3 << 30).to_bytes(4, "little")
open("large.zip", "wb").write(data)
importer = mmport.ZipImporter("large.zip")
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
print(len(importer.get_data("a.bin")))
"""

REPEATED = """\
import linecache, mmport, zipfile
with zipfile.ZipFile("lines.zip", "w") as target:
    target.writestr("lines.py", "VALUE = 1")
for _ in range(1500):
    mmport.install("lines.zip")
    mmport.uninstall()
print(repr(linecache.getline(__file__, 1)))
"""


@pytest.fixture
def python(run: Runner) -> Callable[[str], Outcome]:
    """Return a function that runs a program by the Python that runs the tests."""

    def python(program: str) -> Outcome:
        script = run.cwd / "program.py"
        script.write_text(program)
        return run(sys.executable, script)

    return python


@pytest.mark.parametrize(
    ("program", "shown"),
    [
        (INTACT, "early 1\nlate True late\nalso_early 2\nlate True late\n"),
        (THREADS, "0\n"),
        # `zlib` takes what is there, as in zipimport.
        (MEMORY, f"{3 << 20}\n"),
        (REPEATED, "'import linecache, mmport, zipfile\\n'\n"),
    ],
    ids=["what is intact is served", "threads", "a size without memory", "installed repeatedly"],
)
def test_output(program: str, shown: str, python: Callable[[str], Outcome]) -> None:
    """Neither other bytes nor the end of the process."""
    assert str(python(program)) == str(Outcome(0, shown, ""))


def test_a_fault_of_the_program_itself(python: Callable[[str], Outcome]) -> None:
    """It ends the process, once, as it does without mmport."""
    outcome = python(FAULT)
    assert outcome.status == -signal.SIGBUS
    assert outcome.stderr.count("Fatal Python error") == 1

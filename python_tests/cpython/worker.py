"""Runs one of CPython's suites in this process, and writes what each test came to.

python worker.py [--interpreter KIND] [--executable PATH] MODULE OUTPUT [--thrifty]

With `--interpreter`, this process is the interpreter under test (`plain`, `mmport`), and its class
is left as it is; with `--executable`, its children are what is named. With `--thrifty`, without the
tests that need much of the processor or the disk, as `python -m test` does without `-u`.
"""

import argparse
import json
import os
import subprocess
import sys
import unittest
from collections import Counter


class Recorder(unittest.TextTestResult):
    """Keeps the outcomes of all tests, by identifier."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.outcomes = {}

    def _note(self, test, outcome):
        self.outcomes.setdefault(test.id(), []).append(outcome)

    def addSuccess(self, test):
        super().addSuccess(test)
        self._note(test, "passed")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._note(test, "skipped")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._note(test, "failed")

    def addError(self, test, err):
        super().addError(test, err)
        self._note(test, "failed")

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._note(test, "failed")

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self._note(test, "failed as expected")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._note(test, "passed unexpectedly")


def watch_children(started):
    """Count the Pythons that `subprocess` starts, by what of them matters to the stand-in."""
    own = os.path.realpath(sys.executable)

    def hook(event, arguments):
        if event != "subprocess.Popen":
            return
        executable, words = arguments[0], arguments[1]
        words = [os.fsdecode(word) for word in words] if isinstance(words, (list, tuple)) else []
        path = os.path.realpath(os.fsdecode(executable or words[0]))
        if path != own:
            return
        options = []
        for word in words[1:]:
            if not word.startswith("-") or word in ("-c", "-m", "-"):
                break
            options.append(word)
        without_site = any("S" in o for o in options if not o.startswith(("-W", "-X", "--")))
        started["without site" if without_site else "with site"] += 1

    sys.addaudithook(hook)


def check_stand_in():
    """Fail where the class under test is not in its place."""
    import zipimport

    import mmport_stand_in

    if mmport_stand_in.KIND != "plain":
        import mmport

        assert issubclass(zipimport.zipimporter, mmport.ZipImporter)
        assert zipimport.zipimporter in sys.path_hooks


def check_interpreter(kind):
    """Fail where this process, or its child, is not the interpreter under test."""
    code = "import os, sys; print(os.readlink('/proc/self/exe'), sys.executable, sep='\\n')"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.splitlines() == [os.readlink("/proc/self/exe"), sys.executable], answer
    assert os.path.realpath(sys.executable) == os.readlink("/proc/self/exe")
    # The link to plain Python is none of mmport's copies.
    assert os.path.islink(sys.executable) == (kind == "plain"), sys.executable


def main():
    """Run the module's tests; the status is 0 however they end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--interpreter")
    parser.add_argument("--executable")
    parser.add_argument("--thrifty", action="store_true")
    parser.add_argument("module")
    parser.add_argument("output")
    options = parser.parse_args()
    if not options.interpreter:
        check_stand_in()
    elif options.executable:
        sys.executable = options.executable
    else:
        check_interpreter(options.interpreter)
    loaded = [name for name in sys.modules if name == "test" or name.startswith("test.")]
    assert not loaded, loaded
    if options.thrifty:
        import test.support

        test.support.use_resources = []
    started = Counter()
    watch_children(started)
    if not options.module.startswith("test."):
        # The runner has written this one into the working directory.
        sys.path.insert(0, os.getcwd())
    tests = unittest.defaultTestLoader.loadTestsFromName(options.module)
    runner = unittest.TextTestRunner(verbosity=2, resultclass=Recorder)
    result = runner.run(tests)
    with open(options.output, "w") as file:
        json.dump({"run": result.testsRun, "outcomes": result.outcomes, "started": started}, file)


if __name__ == "__main__":
    main()

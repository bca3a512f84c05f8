"""Runs one of CPython's suites in this process, and writes what each test came to.

python worker.py MODULE OUTPUT [--thrifty]

With `--thrifty`, without the tests that need much of the processor or the disk, as `python -m test`
does without `-u`.
"""

import json
import os
import sys
import unittest
from collections import Counter

import mmport_stand_in


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


def main():
    """Run the module's tests; the status is 0 however they end."""
    module, output, *options = sys.argv[1:]
    import zipimport

    if mmport_stand_in.KIND != "plain":
        import mmport

        assert issubclass(zipimport.zipimporter, mmport.ZipImporter)
        assert zipimport.zipimporter in sys.path_hooks
    loaded = [name for name in sys.modules if name == "test" or name.startswith("test.")]
    assert not loaded, loaded
    if options:
        import test.support

        test.support.use_resources = []
    started = Counter()
    watch_children(started)
    tests = unittest.defaultTestLoader.loadTestsFromName(module)
    runner = unittest.TextTestRunner(verbosity=2, resultclass=Recorder)
    result = runner.run(tests)
    with open(output, "w") as file:
        json.dump({"run": result.testsRun, "outcomes": result.outcomes, "started": started}, file)


if __name__ == "__main__":
    main()

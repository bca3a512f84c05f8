"""A test that fails and one that does not."""

import doctest
import unittest

from thing import documented


class TestDocumented(unittest.TestCase):
    """Tests of one function."""

    def test_right(self):
        """Add one."""
        self.assertEqual(documented.documented(1), 2)  # noqa: PT009

    def test_wrong(self):
        """Expect too much."""
        self.assertEqual(documented.documented(1), 3)  # noqa: PT009


def load_tests(loader, tests, pattern):
    """Add the examples of the module."""
    tests.addTests(doctest.DocTestSuite(documented))
    return tests

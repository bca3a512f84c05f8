"""Functions that fail, warn and log."""

import logging
import os
import warnings

import six


def fail(divisor):
    """Raise from a line with a caret of its own."""
    return {"answer": 1 + 1 / divisor}


def chain():
    """Raise one exception out of another."""
    try:
        fail(0)
    except ZeroDivisionError as error:
        raise LookupError("nothing found") from error


async def fail_later():
    """Fail in a task."""
    fail(0)


def warn(message, level=1):
    """Warn from here, or from the caller."""
    warnings.warn(message, DeprecationWarning, stacklevel=level)


def forget():
    """Forget an open file, of which the interpreter warns."""
    file = open(os.devnull)  # noqa: SIM115
    del file


class Unraisable:
    """An object that fails when it is gone."""

    def __del__(self):
        fail(0)


def log():
    """Log an exception, with the place of the call."""
    logging.basicConfig(format="%(levelname)s %(pathname)s:%(lineno)d %(funcName)s %(message)s")
    try:
        fail(0)
    except ZeroDivisionError:
        logging.exception("it failed")


def moved():
    """Use names that six finds at other places."""
    from six.moves import StringIO, configparser, urllib

    return StringIO, configparser, urllib.parse.quote("a b"), six.moves.builtins

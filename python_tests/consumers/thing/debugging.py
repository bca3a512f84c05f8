"""A debugger that is told what to do."""

import io
import pdb
import sys

from thing import debugged, failing

COMMANDS = """
break double
break main
continue
list
continue
longlist
where
next
p result
source double
up
list
clear 1
clear 2
continue
"""


def main():
    """Debug a program, and then what has failed."""
    debugger = pdb.Pdb(stdin=io.StringIO(COMMANDS), stdout=sys.stdout, readrc=False)
    debugger.use_rawinput = False
    debugger.run("main()", vars(debugged))
    try:
        failing.chain()
    except LookupError as error:
        commands = io.StringIO("list\nlonglist\nup\ndown\nwhere\nquit\n")
        debugger = pdb.Pdb(stdin=commands, stdout=sys.stdout, readrc=False)
        debugger.use_rawinput = False
        debugger.reset()
        debugger.interaction(None, error.__traceback__)


if __name__ == "__main__":
    main()

"""``python -m mmport``: the same command line as ``mmport``."""

from ._mmport import main

if __name__ == "__main__":
    raise SystemExit(main())

"""``python -m mmport``: the same command line as ``mmport``."""

from ._mmport import main

raise SystemExit(main())

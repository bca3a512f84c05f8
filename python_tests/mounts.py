"""Programs with a file system of their own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from support import Outcome, Runner


def in_mounts(run: Runner, mount: str, place: Path, *command: object, **variables: str) -> Outcome:
    """Run a command with a file system of its own at `place`; skip where that is not permitted."""
    place.mkdir(exist_ok=True)
    script = f'mount -t tmpfs -o {mount} tmpfs "$0" && exec "$@"'
    for flags in ("-m", "-Urm"):
        prefix = ["unshare", flags, "sh", "-c", script, str(place)]
        if (
            shutil.which("unshare")
            and not subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode
        ):
            return run(*prefix, *map(str, command), **variables)
    pytest.skip("this machine permits no mounts")

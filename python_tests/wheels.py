"""Wheels made of folders, without a build system."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path


def write_wheel(place: Path, name: str, modules: Path, metadata: Mapping[str, str]) -> Path:
    """Write `NAME-1.0` with all modules below a folder; `metadata` adds files to its metadata."""
    files = {
        path.relative_to(modules).as_posix(): path.read_bytes()
        for path in sorted(modules.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    information = f"{name}-1.0.dist-info"
    texts = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **metadata,
    }
    files |= {f"{information}/{name}": text.encode() for name, text in texts.items()}
    record = f"{information}/RECORD"
    files[record] = "".join(f"{name},,\n" for name in [*files, record]).encode()
    # The place says what is in it, so that what was made of another content is not taken for it.
    digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:16]
    wheel = place / digest / f"{name}-1.0-py3-none-any.whl"
    if not wheel.is_file():
        wheel.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel.with_suffix(".new"), "w") as archive:
            for file, content in files.items():
                # Without the time of day: environments that are kept expect the same bytes.
                archive.writestr(zipfile.ZipInfo(file), content)
        wheel.with_suffix(".new").rename(wheel)
    return wheel

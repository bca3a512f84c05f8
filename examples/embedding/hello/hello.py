"""What the Rust program runs."""

import subprocess
import sys

import cowsay


def main() -> None:
    """Greet, and have a child process greet."""
    cowsay.cow(f"Hello from {sys.argv[1]}")
    # `sys.executable` is the Rust program, which then is a Python with the bundle's packages.
    subprocess.run([sys.executable, "-c", "import hello; hello.greet_from_child()"], check=True)


def greet_from_child() -> None:
    """Greet from the child process."""
    cowsay.tux("Hello from a child process")

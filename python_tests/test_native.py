"""Packages with extension modules: from a bundle as from their virtual environment.

Each file in `packages` is a script that puts the compiled part of the package of that name to work.
"""

from __future__ import annotations

from pathlib import Path

from cases import Case, Command, Comparison, each

PACKAGES = Path(__file__).parent / "packages"

# Whole sets: one virtual environment and one bundle stand for all of their cases.
SCIENCE = (
    "Jinja2==3.1.6",
    "contourpy==1.3.2",
    "matplotlib==3.10.9",
    "numpy==2.2.6",
    "opencv-python-headless==5.0.0.93",
    "pandas==2.3.3",
    "pillow==12.3.0",
    "polars==2.0.0",
    "pyarrow==25.0.1",
    "scikit-learn==1.7.2",
    "scipy==1.15.3",
)
SERVICES = (
    "cryptography==46.0.2",
    "gevent==26.9.0",
    "grpcio==1.85.1",
    "mapbox-earcut==2.1.0",
    "mypy==1.18.2",
    "psycopg[binary]==3.3.9",
    "tokenizers==0.23.3",
    "uvloop==0.23.0",
)
# Tested with every CPython.
SMALL = (
    "PyYAML==6.0.3",
    "argon2-cffi==25.1.0",
    "cffi==2.1.1",
    "greenlet==3.5.6",
    "lxml==6.1.3",
    "orjson==3.13.0",
    "pydantic==2.11.9",
    "pyzmq==27.3.0",
    "regex==2026.9.29",
)


def case(
    name: str,
    requirements: tuple[str, ...],
    creates: tuple[str, ...] = (),
    names_only: tuple[str, ...] = (),
    changing: tuple[str, ...] = (),
) -> Case:
    """Return the case of one script, whose last line says that all extension modules are files."""
    return Case(
        name=name,
        requirements=requirements,
        files={
            "script.py": (PACKAGES / f"{name}.py").read_text(),
            "extensions.py": (PACKAGES / "extensions.py").read_text(),
        },
        commands=(Command(("script.py",), shows="extension modules are files"),),
        creates=creates,
        names_only=("*.pyc", *names_only),
        changing=changing,
        quick=requirements is SMALL,
    )


CASES = [
    # Cython; PyO3; C and cffi
    *(case(name, SMALL) for name in ("lxml", "yaml", "orjson", "pydantic")),
    *(case(name, SMALL) for name in ("greenlet", "regex", "cffi", "zmq")),
    # Cython; PyO3; nanobind; mypyc
    *(case(name, SERVICES) for name in ("gevent", "uvloop", "grpc", "psycopg")),
    *(case(name, SERVICES) for name in ("tokenizers", "cryptography", "mapbox_earcut", "mypy")),
    case("matplotlib", SCIENCE, creates=("figure.png", "figure.svg", "figure.pdf")),
    case("pillow", SCIENCE, creates=("image.png",)),
    case("cv2", SCIENCE, creates=("image.png",)),
    case("pyarrow", SCIENCE, creates=("table.parquet", "table.feather")),
    *(
        case(name, SCIENCE)
        for name in ("numpy", "scipy", "pandas", "sklearn", "polars", "contourpy")
    ),
]


@each(CASES)
def test_compiled_parts_at_work(case: Case, comparison: Comparison) -> None:
    """Same output and files; every extension module that was imported is a real file."""
    comparison(case)

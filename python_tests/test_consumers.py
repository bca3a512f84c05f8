"""Programs that look at modules, or start others: from a bundle as from a virtual environment.

`consumers` has the modules that they look at, as one distribution: the package `thing` stays in the
bundle unless it is told otherwise, the package `filed` has data and is materialized.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cases import Case, Command, Comparison, each
from conftest import PLACE
from wheels import write_wheel

MODULES = Path(__file__).parent / "consumers"

ENTRY_POINTS = """
[thing.transform]
upper = thing.plugins:Upper
reversed = thing.plugins:Reversed
"""

# One environment for the quick subset, and one for all the others.
CHECKERS = ("pytest==8.4.2", "typeguard==4.4.4")
REQUIREMENTS = (
    *CHECKERS,
    *("babel==2.17.0", "beartype==0.22.2", "celery==5.5.3", "certifi==2025.8.3"),
    *("coverage==7.10.7", "dramatiq==1.18.0", "gunicorn==23.0.0", "ipython==8.37.0"),
    *("Jinja2==3.1.6", "loky==3.5.6", "six==1.17.0", "stevedore==5.5.0", "tzdata==2025.2"),
    "uvicorn==0.37.0",
)

AS_FILES = ("--materialize", "thing")

ADDRESSES = (r"0x[0-9a-f]+",)

PYTEST_CHANGES = (
    r"in \d+\.\d\ds",
    # The line is filled up to its length.
    r"=+ (?=.* <changes> =+)| =+\n",
    # Relative to the working directory.
    r"(<packages>|(\.\./)+\S+)(?=/(filed|thing)/)",
)

NOTEBOOK = """
import thing.failing
thing.failing.fail??
%pdoc thing.failing.fail
thing.failing.warn("old")
thing.failing.chain()
"""

FILES_NOTEBOOK = """
%run -m thing.measured
import thing.failing
%pfile thing.failing
%run -d -m thing.measured
thing.failing.chain()
"""

UVICORN = ("--workers=2", "--port=PORT", "--no-access-log")

IPYTHON = ("-m", "IPython", "--no-banner", "--colors=NoColor")


def pytest_of(*words: str) -> tuple[str, ...]:
    """Return the arguments for pytest on packages."""
    return ("-m", "pytest", "-p", "no:cacheprovider", "--pyargs", *words)


CASES = [
    Case(
        name="assertions and types",
        requirements=CHECKERS,
        commands=(
            Command(pytest_of("filed"), status=1, shows="At index 2 diff: 3 != 4"),
            Command(("-m", "thing.checking", "typeguard"), shows="(str) is not an instance of int"),
        ),
        changing=PYTEST_CHANGES,
        quick=True,
    ),
    Case(
        name="pytest",
        requirements=REQUIREMENTS,
        build=AS_FILES,
        commands=(
            Command(pytest_of("filed", "-vv"), status=1, shows="Full diff"),
            Command(pytest_of("thing.tests"), status=1, shows="AssertionError: 2 != 3"),
            Command(
                pytest_of("--doctest-modules", "thing.documented"), status=1, shows="Expected:"
            ),
        ),
        changing=PYTEST_CHANGES,
    ),
    Case(
        name="type checkers",
        requirements=REQUIREMENTS,
        commands=(
            Command(("-m", "thing.checking", "typeguard"), shows="(str) is not an instance of int"),
            Command(("-m", "thing.checking", "beartype"), shows="violates type hint"),
        ),
        changing=ADDRESSES,
    ),
    Case(
        name="coverage",
        requirements=REQUIREMENTS,
        build=AS_FILES,
        commands=(
            Command(
                ("-m", "coverage", "run", "--branch", "--source=thing", "-m", "thing.measured"),
                shows="+",
            ),
            Command(("-m", "coverage", "json", "-o", "-", "--pretty-print"), shows='"missing_br'),
            Command(("-m", "coverage", "report", "--format=total"), shows=""),
        ),
        names_only=(".coverage",),
        changing=(r'"timestamp": .*',),
    ),
    Case(
        name="displays",
        requirements=REQUIREMENTS,
        commands=(
            Command(
                ("-m", "thing.displays"),
                status=1,
                shows="  warnings.warn(message, DeprecationWarning, stacklevel=level)",
            ),
            Command(("-W", "error", "-m", "thing.displays"), status=1, shows="Error"),
        ),
        changing=ADDRESSES,
    ),
    Case(
        name="debugger",
        requirements=REQUIREMENTS,
        commands=(Command(("-m", "thing.debugging"), shows="-> result = number * 2"),),
    ),
    Case(
        name="unittest and doctest",
        requirements=REQUIREMENTS,
        commands=(
            Command(
                ("-m", "unittest", "-v", "thing.tests.test_documented"),
                status=1,
                shows="self.assertEqual(documented.documented(1), 3)",
            ),
            Command(
                ("-c", "import doctest, thing.documented as it; doctest.testmod(it, verbose=True)"),
                shows="***Test Failed*** 1 failures.",
            ),
        ),
        changing=(r"Ran \d+ tests in .*",),
    ),
    Case(
        name="unittest discovery",
        requirements=REQUIREMENTS,
        build=AS_FILES,
        commands=(
            Command(("-m", "unittest", "discover", "-s", "thing.tests"), status=1, shows="Ran 4 "),
        ),
        changing=(r"(?<=Ran 4 tests) in .*",),
    ),
    Case(
        name="IPython",
        requirements=REQUIREMENTS,
        files={"book.ipy": NOTEBOOK},
        commands=tuple(
            Command((*IPYTHON, f"--xmode={mode}", "book.ipy"), status=1, shows="nothing found")
            for mode in ("Plain", "Context", "Verbose")
        ),
        changing=ADDRESSES,
    ),
    Case(
        name="IPython with files",
        requirements=REQUIREMENTS,
        build=AS_FILES,
        files={"book.ipy": FILES_NOTEBOOK},
        commands=(
            Command((*IPYTHON, "book.ipy"), stdin="continue\n", status=1, shows="nothing found"),
        ),
        changing=ADDRESSES,
    ),
    Case(
        name="data",
        requirements=REQUIREMENTS,
        commands=(
            Command(("-m", "thing.reading"), status=1, shows="Hello you, from HERE"),
            Command(("-m", "thing.plugins"), shows="['reversed']"),
        ),
        variables={"PYTHONTZPATH": ""},
        changing=ADDRESSES,
    ),
    Case(
        name="processes",
        requirements=REQUIREMENTS,
        commands=tuple(
            Command(("-m", "thing.workers", *words), shows=".Work(30)")
            for words in [("spawn",), ("forkserver",), ("futures", "spawn"), ("loky",)]
        ),
    ),
    Case(
        name="queues",
        requirements=REQUIREMENTS,
        commands=(
            Command(("-m", "thing.actors"), shows="[2.0]"),
            Command(("-m", "thing.queueing"), shows="[2.0, 3.0]"),
        ),
        changing=(*ADDRESSES, r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    ),
    Case(
        name="servers",
        requirements=REQUIREMENTS,
        commands=(
            *(
                Command(
                    ("-m", "thing.serving", "-m", "gunicorn", *words, "thing.web:wsgi"),
                    shows="ValueError: asked to fail",
                )
                for words in [
                    ("--workers=2", "--bind=127.0.0.1:PORT"),
                    ("--workers=2", "--bind=127.0.0.1:PORT", "--preload"),
                ]
            ),
            Command(
                ("-m", "thing.serving", "-m", "uvicorn", *UVICORN, "thing.web:asgi"),
                shows="ValueError: asked to fail",
            ),
        ),
    ),
]


@pytest.fixture(scope="session")
def wheel() -> Path:
    """Return the wheel of the modules."""
    return write_wheel(PLACE / "wheels", "thing", MODULES, {"entry_points.txt": ENTRY_POINTS})


@each(CASES)
def test_as_in_a_virtual_environment(case: Case, wheel: Path, comparison: Comparison) -> None:
    """Same output and status, with the same modules in both."""
    comparison(replace(case, requirements=(*case.requirements, str(wheel))))

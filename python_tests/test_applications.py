"""Applications from the package index: from a bundle as from their virtual environment."""

from __future__ import annotations

from cases import Case, Command, Comparison, each

UNFORMATTED = "def f( a,b ):\n  return {'a':a,\n 'b':b}\n"

DJANGO_SETTINGS = """
from pathlib import Path
SECRET_KEY = "x"
USE_TZ = True
INSTALLED_APPS = ["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
                  "django.contrib.sessions", "django.contrib.messages", "django.contrib.sites"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
              "OPTIONS": {"context_processors": ["django.template.context_processors.request",
              "django.contrib.auth.context_processors.auth",
              "django.contrib.messages.context_processors.messages"]}}]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware",
              "django.contrib.auth.middleware.AuthenticationMiddleware",
              "django.contrib.messages.middleware.MessageMiddleware"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SITE_ID = 1
"""

DJANGO_LOCALES = """
import django
from django.conf import settings
settings.configure(USE_I18N=True)
django.setup()
from django.utils import translation
from django.utils.translation import gettext
for language in "de", "ja", "pt-br":
    with translation.override(language):
        print(language, gettext("Enter a valid URL."), gettext("Yes"))
"""

SITE = {
    "site/conf.py": "project = 'Thing'\nextensions = ['sphinx.ext.autodoc', 'sphinx.ext.todo']\n"
    "html_theme = 'alabaster'\nhtml_last_updated_fmt = None\nlanguage = 'de'\n",
    "site/index.rst": "Thing\n=====\n\n.. toctree::\n\n   more\n\n.. note:: Noted.\n\n"
    ".. code-block:: python\n\n   def f(): pass\n",
    "site/more.rst": "More\n====\n\nSee :ref:`search` and :doc:`index`.\n\n"
    ".. automodule:: textwrap\n   :members: dedent\n",
}

POETRY_PROJECT = """
[project]
name = "thing"
version = "1.2.3"
description = "A thing"
authors = [{name = "Some One", email = "some.one@example.com"}]
requires-python = ">=3.10"
[build-system]
requires = ["poetry-core>=2"]
build-backend = "poetry.core.masonry.api"
"""

TESTS = {
    "test_good.py": "import os\n\ndef test_good(mocker):\n"
    "    mocker.patch('os.getcwd', return_value='here')\n    assert os.getcwd() == 'here'\n",
    "test_bad.py": "def test_bad():\n    answer = {'a': [1, 2, 3]}\n"
    "    assert answer == {'a': [1, 2, 4]}\n",
    "helper.py": "def check(x):\n    assert x > 5, 'small'\n",
    "test_helper.py": "import helper\n\ndef test_helper():\n    helper.check(3)\n",
}

NUMPY_SCRIPT = """
import numpy as np
a = np.arange(12, dtype=float).reshape(3, 4)
print(a @ a.T)
print(np.linalg.svd(a, compute_uv=False).round(6))
print(np.fft.fft([1, 2, 3, 4]), np.random.default_rng(7).integers(0, 100, 5))
try:
    np.linalg.inv(np.zeros((2, 2)))
except np.linalg.LinAlgError as error:
    print("error:", error)
"""

PANDAS_SCRIPT = """
import pandas as pd
frame = pd.read_csv("table.csv", parse_dates=["day"])
print(frame.dtypes)
print(frame.groupby("city").agg({"degrees": ["mean", "max"]}))
print(frame.set_index("day").resample("2D")["degrees"].sum())
print(frame["day"].dt.tz_localize("Europe/Berlin").iloc[0])
frame.to_json("table.json", orient="records", date_format="iso")
"""

CRYPTOGRAPHY_SCRIPT = """
from cryptography.exceptions import InvalidSignature
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
key = Fernet.generate_key()
print(Fernet(key).decrypt(Fernet(key).encrypt(b"secret")))
private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
print(private.sign(b"message").hex())
print(private.public_key().public_bytes(serialization.Encoding.PEM,
      serialization.PublicFormat.SubjectPublicKeyInfo).decode())
try:
    private.public_key().verify(bytes(64), b"message")
except InvalidSignature as error:
    print(repr(error))
"""

PYDANTIC_SCRIPT = """
from datetime import date
from pydantic import BaseModel, Field, ValidationError
class Person(BaseModel):
    name: str = Field(min_length=2)
    born: date
    tags: list[int] = []
print(Person.model_validate_json('{"name": "Ada", "born": "1815-12-10", "tags": ["1", 2]}'))
print(Person.model_json_schema())
try:
    Person(name="A", born="never", tags=["x"])
except ValidationError as error:
    print(error)
Person(name="", born=date(2000, 1, 1))
"""

CASES = [
    Case(
        name="black",
        requirements=("black==25.9.0",),
        script="black",
        files={"messy.py": UNFORMATTED, "broken.py": "def (\n", "clean.py": "x = 1\n"},
        commands=(
            Command(("--check", "messy.py"), status=1, shows="would reformat"),
            Command(("--diff", "--color", "messy.py"), shows='+    return {"a": a, "b": b}'),
            Command(("-",), stdin=UNFORMATTED, shows='return {"a": a, "b": b}'),
            Command(("messy.py", "clean.py"), shows="1 file reformatted, 1 file left unchanged"),
            Command(("broken.py",), status=123, shows="Cannot parse"),
            Command(("--no-such-option",), status=2, shows="Usage: black [OPTIONS]"),
            Command(("--version",), shows="black, 25.9.0 (compiled: yes)"),
        ),
        changing=(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+",),
        quick=True,
    ),
    Case(
        name="httpie",
        requirements=("httpie==3.2.4",),
        script="http",
        commands=(
            Command(
                ("--offline", "--ignore-stdin", "POST", "example.org/x", "a=1", "b:=[2]", "X-H:v"),
                shows='"b": [',
            ),
            Command(("--offline", "PUT", "example.org"), stdin="body", shows="PUT / HTTP/1.1"),
            Command(
                ("--offline", "--ignore-stdin", "--pretty=all", "--style=monokai", "example.org"),
                shows="example.org",
            ),
            Command(("--no-such-option",), status=1, shows="usage:"),
        ),
        # Its configuration is made by the first command, which then says so no more.
        variables={"HTTPIE_CONFIG_DIR": "configuration"},
        quick=True,
    ),
    Case(
        name="django-startproject",
        requirements=("Django==5.2.7",),
        commands=(
            Command(("-m", "django", "startproject", "mysite", "."), shows=""),
            Command(("manage.py", "check"), shows="System check identified no issues"),
            Command(("manage.py", "migrate"), shows="Applying auth.0001_initial... OK"),
            Command(("manage.py", "showmigrations", "auth"), shows="[X] 0001_initial"),
            Command(("manage.py", "no_such"), status=1, shows="Unknown command: 'no_such'"),
            Command(
                ("manage.py", "shell", "-v0", "-c", "import mysite; print(mysite.__file__)"),
                shows="mysite/__init__.py",
            ),
            Command(("-c", DJANGO_LOCALES), shows="Bitte eine gültige Adresse eingeben."),
        ),
        creates=("manage.py", "mysite/settings.py", "db.sqlite3"),
        names_only=("db.sqlite3", "*.pyc"),
        changing=(r"SECRET_KEY = .*",),
    ),
    Case(
        name="django-admin",
        requirements=("Django==5.2.7",),
        script="django-admin",
        files={"settings.py": DJANGO_SETTINGS},
        commands=tuple(
            Command((*arguments, "--settings", "settings", "--pythonpath", "."), shows=shows)
            for arguments, shows in [
                (("check",), "System check identified no issues"),
                (("migrate",), "Applying sites.0002_alter_domain_unique... OK"),
                (("sqlmigrate", "auth", "0001"), 'CREATE TABLE "auth_user"'),
                (("dumpdata", "sites", "--indent", "1"), "example.com"),
            ]
        ),
        creates=("site.sqlite3",),
        names_only=("site.sqlite3", "*.pyc"),
    ),
    Case(
        name="sphinx",
        requirements=("Sphinx==8.1.3",),
        script="sphinx-build",
        files=SITE,
        commands=(
            Command(("-b", "html", "site", "html"), shows="The HTML pages are in html."),
            Command(("-W", "-b", "text", "site", "text"), shows="build succeeded."),
            Command(("-b", "no-such", "site", "x"), status=2, shows="no-such"),
        ),
        creates=(
            "html/index.html",
            "html/more.html",
            "html/_static/alabaster.css",
            "text/more.txt",
        ),
        names_only=("*.doctrees/*", "*/.buildinfo", "*.pickle"),
        changing=(r"/tmp/sphinx-err-\w+\.log", r"loading translations \[de\]... .*"),
    ),
    Case(
        name="ansible-core",
        needs="a shell on the machine that it manages",
        requirements=("ansible-core==2.17.14",),
        script="ansible",
        commands=(
            Command(("localhost", "-m", "ping"), shows='"ping": "pong"'),
            Command(("localhost", "-m", "command", "-a", "echo hello"), shows="hello"),
            Command(
                ("localhost", "-m", "copy", "-a", "content=text dest={{playbook_dir}}/copied"),
                shows='"changed": true',
            ),
            Command(("localhost", "-m", "no_such"), status=2, shows="no_such was not found"),
        ),
        creates=("copied",),
        changing=(r"ansible-tmp-\d+\.\d+-\d+-\d+",),
        variables={"ANSIBLE_LOCALHOST_WARNING": "false"},
    ),
    Case(
        name="poetry",
        needs="a Python on the machine that it manages",
        requirements=("poetry==2.2.1",),
        script="poetry",
        files={"thing/pyproject.toml": POETRY_PROJECT, "thing/thing.py": "x = 1\n"},
        commands=(
            Command(("--version",), shows="Poetry (version 2.2.1)"),
            Command(("check", "-C", "thing"), shows="All set!"),
            Command(("version", "-C", "thing", "minor"), shows="1.3.0"),
            Command(("new", "other"), shows="Created package other"),
            Command(("build", "-C", "thing"), shows="Built thing-1.3.0-py3-none-any.whl"),
            Command(("no-such",), status=1, shows="no-such"),
        ),
        creates=(
            "other/pyproject.toml",
            "other/src/other/__init__.py",
            "thing/dist/thing-1.3.0-py3-none-any.whl",
        ),
        names_only=("*.tar.gz",),
    ),
    Case(
        name="pip",
        needs="the package index",
        requirements=("pip==25.2",),
        script="pip",
        files={
            "site/thing-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: thing\n"
            "Version: 1.0\n",
            "site/thing-1.0.dist-info/RECORD": "",
        },
        commands=(
            Command(("--version",), shows="pip 25.2 from <packages>/pip"),
            Command(("list", "--path", "site"), shows="thing   1.0"),
            Command(("check",), shows="No broken requirements found."),
            Command(
                ("download", "-q", "--no-deps", "--only-binary", ":all:", "six==1.17.0"), shows=""
            ),
            Command(
                ("install", "--no-index", "--target", "t", "six-1.17.0-py2.py3-none-any.whl"),
                shows="Successfully installed six-1.17.0",
            ),
            Command(("no-such",), status=1, shows='ERROR: unknown command "no-such"'),
        ),
        creates=("six-1.17.0-py2.py3-none-any.whl", "t/six.py"),
        names_only=("*.pyc",),
        variables={"PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    ),
    Case(
        name="pytest",
        requirements=("pytest==8.4.2", "pytest-mock==3.15.1"),
        script="pytest",
        files=TESTS,
        commands=(
            Command(("-p", "no:cacheprovider", "test_good.py"), shows="1 passed"),
            Command(
                ("-p", "no:cacheprovider", "test_bad.py", "-vv"),
                status=1,
                shows="Full diff",
            ),
            Command(("-p", "no:cacheprovider", "test_helper.py"), status=1, shows="small"),
            Command(("-p", "no:cacheprovider", "--fixtures", "-q"), shows="mocker"),
            Command(("no_such.py",), status=4, shows="file or directory not found: no_such.py"),
        ),
        creates=("__pycache__/test_good.cpython-*.pyc",),
        names_only=("*.pyc", ".pytest_cache/*"),
        changing=(
            r"in \d+\.\d\ds",
            # The line is filled up to its length.
            r"=+ (?=.* <changes> =+)| =+\n",
            # Relative to the working directory.
            r"(\.\./)+\S+(?=/pytest_mock/plugin\.py)",
        ),
    ),
    Case(
        name="numpy",
        requirements=("numpy==2.2.6",),
        files={"script.py": NUMPY_SCRIPT},
        commands=(
            Command(("script.py",), shows="error: Singular matrix"),
            Command(("-c", "import numpy; numpy.zeros(-1)"), status=1, shows="negative dimensions"),
        ),
        quick=True,
    ),
    Case(
        name="numpy-pandas",
        requirements=("numpy==2.2.6", "pandas==2.3.3"),
        files={
            "script.py": PANDAS_SCRIPT,
            "table.csv": "day,city,degrees\n2024-01-01,Bonn,3.5\n2024-01-02,Rom,9\n"
            "2024-01-03,Bonn,4.5\n",
        },
        commands=(
            Command(("script.py",), shows="2024-01-01 00:00:00+01:00"),
            Command(
                ("-c", "import pandas; pandas.DataFrame({'a': [1]})['b']"),
                status=1,
                shows="KeyError: 'b'",
            ),
        ),
        creates=("table.json",),
    ),
    Case(
        name="cryptography",
        requirements=("cryptography==46.0.2",),
        files={"script.py": CRYPTOGRAPHY_SCRIPT},
        commands=(Command(("script.py",), shows="InvalidSignature()"),),
    ),
    Case(
        name="pydantic",
        requirements=("pydantic==2.11.9",),
        files={"script.py": PYDANTIC_SCRIPT},
        commands=(
            Command(("script.py",), status=1, shows="String should have at least 2 characters"),
        ),
        quick=True,
    ),
]


@each(CASES)
def test_from_a_bundle_as_from_a_virtual_environment(case: Case, comparison: Comparison) -> None:
    """Same output, status and files, from the same distributions."""
    comparison(case)


@each([case for case in CASES if not case.needs])
def test_standalone_in_an_empty_root(case: Case, comparison: Comparison) -> None:
    """The same where there is no Python, and nothing but the C library."""
    comparison.in_empty_root(case)

"""All the ways in which programs come to the files of a package, with packages that have some."""

import ctypes
import gettext
import glob
import importlib.resources
import io
import mmap
import os
import pathlib
import pkgutil
import sqlite3
import subprocess
import sys
import zipfile

import certifi
import docutils
import jinja2
import sphinx
import tldextract

here = os.path.dirname(docutils.__file__)
print(
    sorted(set(os.listdir(here)) - {"__pycache__"})[:8],
    os.path.exists(os.path.join(here, "writers", "no_such")),
)
print(sorted(os.path.relpath(path, here) for path in glob.glob(here + "/writers/*/*.css")))
folder = pathlib.Path(docutils.__file__).resolve().parent
print(sorted(path.name for path in folder.rglob("*.sty")), (folder / "docutils.conf").exists())
print(sum(len(files) for _, _, files in os.walk(here)) > 100)
print(sorted(entry.name for entry in os.scandir(here) if entry.is_dir() and entry.name > "t"))
os.chdir(os.path.join(here, "writers", "html5_polyglot"))
print(os.path.getsize("minimal.css"), pathlib.Path("template.txt").read_text()[:20])
os.chdir("/")
print(folder.joinpath("..", "docutils", "__init__.py").read_text().splitlines()[0])

c = ctypes.CDLL(None)
c.fopen.restype, c.fopen.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_char_p]
c.fgetc.argtypes = [ctypes.c_void_p]
print(c.fgetc(c.fopen(os.fsencode(certifi.where()), b"r")))
with open(certifi.where(), "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as m:
    print(m.find(b"BEGIN") > 0, file.seek(0, io.SEEK_END) == len(m))
print(
    subprocess.check_output(
        ["head", "-c", "5", os.path.join(here, "writers/s5_html/themes/README.txt")]
    )
)

with importlib.resources.as_file(importlib.resources.files("certifi") / "cacert.pem") as path:
    print(path, path.is_file())
print(
    sorted(
        p.name
        for p in importlib.resources.files("docutils.parsers.rst").joinpath("include").iterdir()
    )[:3]
)
print(importlib.resources.files("sphinx").joinpath("themes/basic/theme.toml").read_text()[:20])
print(len(pkgutil.get_data("tldextract", ".tld_set_snapshot")) > 1000, tldextract.__name__)
environment = jinja2.Environment(loader=jinja2.PackageLoader("sphinx", "templates/quickstart"))
print(sorted(environment.list_templates()), environment.get_template("Makefile.new.jinja").filename)
environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(os.path.join(sphinx.package_dir, "templates"))
)
print(environment.list_templates(filter_func=lambda name: "latex/longtable" in name))
locales = os.path.join(sphinx.package_dir, "locale")
print(
    gettext.translation("sphinx", locales, ["de"]).gettext("Search"),
    len(gettext.find("sphinx", locales, ["fr", "ja"], all=True)),
)
print(sys.modules["sphinx"].__path__ == [os.path.dirname(sphinx.__file__)])
try:
    os.stat(os.path.join(here, "no_such.txt"))
except OSError as error:
    print(error)
try:
    sqlite3.connect(f"file:{certifi.where()}?mode=ro", uri=True).execute("select 1 from x")
except sqlite3.DatabaseError as error:
    print(error)
print(zipfile.is_zipfile(certifi.where()))

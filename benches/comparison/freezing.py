"""Applications frozen by PyInstaller: a directory and one file, from one analysis."""

from __future__ import annotations

from pathlib import Path

from .packing import Packing, checked_or_reason, tools

PYINSTALLER = "pyinstaller==6.22.3"

SPECIFICATION = """\
from PyInstaller.utils.hooks import collect_all, copy_metadata

datas, binaries, hidden = [], [], {modules!r}
for package in {packages!r}:
    more_datas, more_binaries, more_hidden = collect_all(package)
    datas += more_datas
    binaries += more_binaries
    hidden += more_hidden
for distribution in {distributions!r}:
    datas += copy_metadata(distribution)

analysis = Analysis([{script!r}], datas=datas, binaries=binaries, hiddenimports=hidden)
archive = PYZ(analysis.pure)
content = analysis.binaries, analysis.datas
COLLECT(
    EXE(archive, analysis.scripts, [], exclude_binaries=True, name={name!r}),
    *content,
    name="onedir",
)
EXE(archive, analysis.scripts, *content, name="onefile")
"""


def pyinstaller(packing: Packing, way: str) -> Path:
    """The executable: `onedir` or `onefile`."""
    directory = packing.directory("pyinstaller")
    products = {
        "onedir": directory / "products" / "onedir" / packing.name,
        "onefile": directory / "file" / packing.name,
    }
    case = packing.case
    script = case.files[case.arguments[0]] if case.application.script is None else None
    stamp = packing.stamp(products["onefile"], PYINSTALLER, script=script, text=SPECIFICATION)
    if not stamp.is_current():
        environment = tools(packing.preparation, "pyinstaller", PYINSTALLER)
        packing.start_packing("pyinstaller")
        # Not called as the application's modules are.
        start = directory / "start_application.py"
        start.write_text(packing.starter() if script is None else script)
        specification = directory / "application.spec"
        # Programs that import by name need to have all of their packages named; scripts do not.
        packages, modules = importable(packing) if script is None else ([], [])
        specification.write_text(
            SPECIFICATION.format(
                packages=packages,
                modules=modules,
                distributions=[one.split("==")[0] for one in packing.prepared.versions],
                script=str(start),
                name=packing.name,
            )
        )
        places = ["--distpath", directory / "products", "--workpath", directory / "work"]
        command = [environment / "bin" / "python", "-m", "PyInstaller", "--log-level", "ERROR"]
        path = {"PYTHONPATH": str(site_packages(packing)), "HOME": str(directory)}
        checked_or_reason([*command, *places, specification], path, directory)
        products["onefile"].parent.mkdir()
        (directory / "products" / "onefile").rename(products["onefile"])
        stamp.write()
    return products[way]


def importable(packing: Packing) -> tuple[list[str], list[str]]:
    """The packages and the modules that are installed."""
    packages, modules = [], []
    for path in sorted(site_packages(packing).iterdir()):
        if path.suffix in (".py", ".so"):
            modules.append(path.name.split(".")[0])
        elif path.is_dir() and path.name.isidentifier() and any(path.rglob("*.py")):
            packages.append(path.name)
    return packages, modules


def site_packages(packing: Packing) -> Path:
    """Where the application is installed."""
    return next((packing.prepared.environment / "lib").glob("python*/site-packages"))

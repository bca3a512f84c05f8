"""What mmport says when it cannot do what it was asked to."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import PROJECT, Build, VenvOf
from support import Outcome, Runner, files_below, write_files

USAGE, FAILED, MISFIT, NOT_FOUND = 2, 125, 126, 127

APPLICATION = {
    "app.py": "import sys\nvalue = 1\n\n\ndef main():\n    print('ran', sys.argv[1:])\n",
    "package/__init__.py": "",
    "package/data.txt": "text",
}
# With a package that is brought out as files.
USES_FILES = """\
import os
import package


def main():
    print(open(os.path.join(os.path.dirname(package.__file__), "data.txt"), "rb").read())
"""


def check_message(found: Outcome, status: int, *names: Path | str) -> None:
    """Check one message that names what it is about, and nothing that only we understand."""
    assert found.status == status, str(found)
    assert found.stdout == "", str(found)
    assert found.stderr.count("mmport: error: ") == 1, str(found)
    assert found.stderr.startswith("mmport: error: "), str(found)
    for name in names:
        assert str(name) in found.stderr, str(found)
    for noise in ("panicked", "RUST_BACKTRACE", "Traceback", "Error {", "Os {"):
        assert noise not in found.stderr, str(found)


def check_next_step(found: Outcome) -> None:
    """Check that it says what to do."""
    [next_step] = [line for line in found.stderr.splitlines() if line.startswith("  next: ")]
    assert len(next_step) > len("  next: ") + 10


@pytest.fixture
def bundle(build: Build, run: Runner) -> Path:
    """Return a sound bundle, copied to where a test may damage it."""
    source = write_files(run.cwd / "application", APPLICATION)
    copy = run.cwd / "copy.pyz"
    copy.write_bytes(build("--source", source, "-e", "app:main").read_bytes())
    copy.chmod(0o755)
    return copy


def rewrite_information(
    bundle: Path, change: Callable[[dict[str, dict[str, object]]], object]
) -> None:
    """Change the bundle's `mmport.json`."""
    with zipfile.ZipFile(bundle) as archive:
        entries = [(info, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(bundle, "w") as archive:
        for info, data in entries:
            if info.filename == "mmport.json":
                information = json.loads(data)
                change(information)
                data = json.dumps(information).encode()
            archive.writestr(info, data)


# What becomes of the bundle, the status, and a part of the message.
DAMAGES: dict[str, tuple[Callable[[Path], object], int, str]] = {
    "missing": (Path.unlink, FAILED, "No such file or directory"),
    "folder": (lambda path: (path.unlink(), path.mkdir()), FAILED, "found a directory"),
    "empty": (lambda path: path.write_bytes(b""), FAILED, "not a zip"),
    "text": (lambda path: path.write_text("#!/bin/sh\nexit 3\n"), FAILED, "not a zip"),
    "zeros": (lambda path: path.write_bytes(bytes(100_000)), FAILED, "not a zip"),
    "pipe": (lambda path: (path.unlink(), os.mkfifo(path)), FAILED, "expected a regular file"),
    "dangling link": (
        lambda path: (path.unlink(), path.symlink_to("nowhere")),
        FAILED,
        "No such file or directory",
    ),
    "loop of links": (
        lambda path: (path.unlink(), path.symlink_to(path)),
        FAILED,
        "symbolic links",
    ),
    "for an older Python": (
        lambda path: rewrite_information(path, lambda i: i["python"].update(version="3.9")),
        MISFIT,
        "built for cpython 3.9",
    ),
    "for another implementation": (
        lambda path: rewrite_information(path, lambda i: i["python"].update(implementation="pypy")),
        MISFIT,
        "built for pypy",
    ),
    "for another platform": (
        lambda path: rewrite_information(
            path, lambda i: i["python"].update(native=True, platform="linux-riscv64")
        ),
        MISFIT,
        "on linux-riscv64",
    ),
    "from a later mmport": (
        lambda path: rewrite_information(path, lambda i: i.update(format=2)),
        FAILED,
        "format 2",
    ),
    "information that is no JSON": (
        lambda path: path.write_bytes(path.read_bytes().replace(b'"format"', b'"farmat"')),
        FAILED,
        "mmport.json",
    ),
    "entry point without module": (
        lambda path: rewrite_entry(path, "nowhere", "main"),
        NOT_FOUND,
        "no module named `nowhere`",
    ),
    "entry point without function": (
        lambda path: rewrite_entry(path, "app", "nothing"),
        NOT_FOUND,
        "`app` has no attribute `nothing`",
    ),
    "entry point that is no function": (
        lambda path: rewrite_entry(path, "app", "value"),
        NOT_FOUND,
        "`app:value` cannot be called",
    ),
}


def rewrite_entry(bundle: Path, module: str, name: str) -> None:
    """Make another function the bundle's entry point, as `mmport build` would write it."""
    rewrite_information(bundle, lambda i: i["entry"].update(module=module, object=name))
    with zipfile.ZipFile(bundle) as archive:
        entries = [(info, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(bundle, "w") as archive:
        for info, data in entries:
            if info.filename == "__main__.py":
                data = data.replace(b"app import main", f"{module} import {name}".encode())
                data = data.replace(b"main())", f"{name}())".encode())
            if info.filename != "__main__.pyc":
                archive.writestr(info, data)


@pytest.mark.parametrize("command", ["native", "pip"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_bundles_that_do_not_run(
    damage: str, command: str, bundle: Path, run: Runner, mmport: Path, pip_mmport: Path
) -> None:
    """Each says which file, what was expected, what was found, and what to do."""
    change, status, part = DAMAGES[damage]
    change(bundle)
    program = mmport if command == "native" else pip_mmport
    found = run(program, "run", bundle, "a")
    check_message(found, status, bundle, part)
    check_next_step(found)


def test_bundle_that_may_not_be_read(bundle: Path, run: Runner, mmport: Path) -> None:
    """It says so, naming the file."""
    bundle.chmod(0)
    if os.access(bundle, os.R_OK):
        pytest.skip("this user may read everything")
    check_message(run(mmport, "run", bundle), FAILED, bundle, "Permission denied")


def lengths(size: int) -> Iterator[int]:
    """Return lengths to cut at: all near both ends, where the records are, and some between."""
    yield from range(0, 64, 7)
    yield from range(64, size - 400, max(1, size // 25))
    yield from range(max(64, size - 400), size, 13)


@pytest.mark.parametrize("subcommand", ["run", "inspect"])
def test_truncated_bundles(subcommand: str, bundle: Path, run: Runner, mmport: Path) -> None:
    """A file that was cut off anywhere is refused whole."""
    whole = bundle.read_bytes()
    for length in lengths(len(whole)):
        bundle.write_bytes(whole[:length])
        found = run(mmport, subcommand, bundle)
        check_message(found, FAILED, bundle)
        check_next_step(found)


def test_flipped_bytes(bundle: Path, run: Runner, mmport: Path) -> None:
    """Damage inside never crashes mmport: it runs, or says what is wrong."""
    whole = bundle.read_bytes()
    for position in range(0, len(whole), max(1, len(whole) // 60)):
        damaged = bytearray(whole)
        damaged[position] ^= 0x15
        bundle.write_bytes(damaged)
        found = run(mmport, "inspect", "--verify", bundle)
        assert found.status in {0, FAILED}, f"byte {position}: {found}"
        assert "panicked" not in found.stderr, f"byte {position}: {found}"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((), "Usage"),
        (("no-such-command",), "no-such-command"),
        (("run",), "BUNDLE"),
        (("run", "--no-such-option", "x"), "--no-such-option"),
        (("run", "--refresh", "app.pyz"), "--with"),
        (("build",), "--output"),
        (("build", "black"), "--output"),
        (("build", "-o", "x.pyz"), "nothing was given to put into it"),
        (("build", "-o", "x.pyz", "-c", "a", "-m", "b", "black"), "cannot be used with"),
        (("build", "-o", "x.pyz", "--source", ".", "-e", "no colon"), "no colon"),
        (("build", "-o", "x.pyz", "no-such-distribution-8d1f", "-e", "foo"), "module:function"),
        (("build", "-o", "x.pyz", "--source", ".", "-e", "a:b:c"), "a:b:c"),
        (("build", "-o", "x.pyz", "--source", ".", "-m", "not a name"), "not a name"),
        (("build", "-o", "x.pyz", "--source", ".", "--shebang", ""), "shebang"),
        (("build", "-o", "x.pyz", "--source", ".", "--shebang", "a\nb"), "shebang"),
        (("inspect",), "BUNDLE"),
        (("inspect", "--no-such-option"), "--no-such-option"),
    ],
    ids=lambda value: " ".join(value) or "nothing" if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("command", ["native", "pip"])
def test_usage(
    arguments: tuple[str, ...],
    part: str,
    command: str,
    run: Runner,
    mmport: Path,
    pip_mmport: Path,
) -> None:
    """A command line that cannot be meant ends with 2 and changes nothing."""
    found = run(mmport if command == "native" else pip_mmport, *arguments)
    assert found.status == USAGE, str(found)
    assert found.stdout == ""
    assert part in found.stderr, str(found)
    assert "panicked" not in found.stderr
    assert list(run.cwd.iterdir()) == []


def make_inputs(folder: Path) -> None:
    """Make what the builds of the table below are given."""
    write_files(folder / "source", APPLICATION)
    write_files(folder / "own-main", {"__main__.py": "", "app.py": "def main(): pass\n"})
    write_files(folder / "conflict", {"app.py": "other = 1\n"})
    write_files(folder / "no-project", {"readme.txt": ""})
    write_files(folder, {"broken.whl": b"no zip", "bad.txt": "this is !!! no requirement\n"})
    write_files(folder / "taken", {"mmport.json": "{}"})


SOURCE = ("--source", "source")

# What follows `mmport build -o out/app.pyz`, the status, and what the message names.
BUILDS: dict[str, tuple[tuple[str, ...], int, tuple[str, ...]]] = {
    "no such source": (("--source", "nowhere"), FAILED, ("nowhere", "does not exist")),
    "source is a file": (("--source", "bad.txt"), FAILED, ("bad.txt",)),
    "no such requirements file": (("-r", "nowhere.txt"), FAILED, ("nowhere.txt",)),
    "no such wheel": (("--wheel", "nowhere.whl"), FAILED, ("nowhere.whl", "does not exist")),
    "broken wheel": (("--wheel", "broken.whl"), FAILED, ("broken.whl",)),
    "no such project": (("--project", "nowhere"), FAILED, ("nowhere", "does not exist")),
    "folder without project": (("--project", "no-project"), FAILED, ("no-project",)),
    "no such environment": (("--venv", "nowhere"), FAILED, ("nowhere",)),
    "folder without environment": (("--venv", "source"), FAILED, ("source",)),
    "no such Python": ((*SOURCE, "--python", "no-such-python"), FAILED, ("no-such-python",)),
    "Python that is none": ((*SOURCE, "--python", "true"), FAILED, ("true",)),
    "no such script": ((*SOURCE, "-c", "nothing"), NOT_FOUND, ("nothing",)),
    "no such module": ((*SOURCE, "-m", "nothing"), NOT_FOUND, ("nothing",)),
    "no such entry module": ((*SOURCE, "-e", "nothing:main"), NOT_FOUND, ("nothing",)),
    "package without __main__": ((*SOURCE, "-m", "package"), NOT_FOUND, ("package",)),
    "two main modules": (
        ("--source", "own-main", "-e", "app:main"),
        FAILED,
        ("__main__.py", "own-main"),
    ),
    "conflicting files": (
        (*SOURCE, "--source", "conflict"),
        FAILED,
        ("app.py", "source", "conflict"),
    ),
    "reserved name": (("--source", "taken"), FAILED, ("mmport.json", "taken")),
}


@pytest.mark.parametrize("name", BUILDS)
def test_builds_that_fail(name: str, run: Runner, mmport: Path) -> None:
    """The message names the input; no file is left, and an earlier output stays."""
    arguments, status, names = BUILDS[name]
    make_inputs(run.cwd)
    temporary = run.cwd / "temporary"
    for earlier in None, b"an earlier bundle":
        out = run.cwd / "out"
        out.mkdir(exist_ok=True)
        temporary.mkdir(exist_ok=True)
        if earlier:
            (out / "app.pyz").write_bytes(earlier)
        found = run(
            *(mmport, "build", "--quiet", "-o", "out/app.pyz", *arguments), TMPDIR=str(temporary)
        )
        check_message(found, status, *names)
        if name != "broken wheel":  # about which pip has said all there is to say
            check_next_step(found)
        assert files_below(out) == ({"app.pyz": earlier} if earlier else {})
        assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("is_there", [True, False])
def test_a_script_is_no_bundle(is_there: bool, run: Runner, mmport: Path) -> None:
    """What runs scripts is named."""
    if is_there:
        (run.cwd / "script.py").write_text("print('ran')\n")
    found = run(mmport, "run", "script.py", "argument")
    check_message(found, FAILED, "script.py", "run --with REQUIREMENT script.py")
    check_message(found, FAILED, "`mmport python script.py`")
    check_next_step(found)


@pytest.mark.parametrize(
    ("requirement", "part"),
    [
        ("mmport-no-such-distribution-8d1f", "mmport-no-such-distribution-8d1f"),
        ("six==0.0.0.1", "six==0.0.0.1"),
        ("this is !!! no requirement", "this is !!! no requirement"),
    ],
)
@pytest.mark.parametrize("quiet", [True, False], ids=["quiet", "loud"])
def test_requirements_that_cannot_be_resolved(
    requirement: str, part: str, quiet: bool, run: Runner, mmport: Path
) -> None:
    """The installer's own words reach the user whole."""
    options = ["--quiet"] if quiet else []
    found = run(mmport, "build", *options, requirement, "-o", "app.pyz")
    assert found.status == FAILED, str(found)
    assert found.stderr.count("mmport: error: ") == 1, str(found)
    assert part in found.stderr, str(found)
    assert "panicked" not in found.stderr
    assert "Traceback" not in found.stderr
    assert not (run.cwd / "app.pyz").exists()


@pytest.mark.parametrize(
    ("output", "part"),
    [
        ("nowhere/app.pyz", "No such file or directory"),
        ("folder", "it is a folder"),
        ("/dev/full", "it is a device"),
        ("file/app.pyz", "Not a directory"),
        ("x" * 300, "File name too long"),
        ("", "app"),
    ],
    ids=["no such folder", "folder", "device", "below a file", "long name", "empty name"],
)
def test_outputs_that_cannot_be_written(output: str, part: str, run: Runner, mmport: Path) -> None:
    """The message names the output."""
    source = write_files(run.cwd / "source", APPLICATION)
    (run.cwd / "folder").mkdir()
    (run.cwd / "file").touch()
    found = run(mmport, "build", "--quiet", "--source", source, "-o", output)
    if output:
        check_message(found, FAILED, output, part)
        check_next_step(found)
    else:
        assert found.status in {USAGE, FAILED}, str(found)
    assert sorted(path.name for path in run.cwd.iterdir()) == ["file", "folder", "source"]


def test_output_in_a_folder_that_may_not_be_written(run: Runner, mmport: Path) -> None:
    """The message names the output and the next step."""
    source = write_files(run.cwd / "source", APPLICATION)
    folder = run.cwd / "locked"
    folder.mkdir(mode=0o555)
    if os.access(folder, os.W_OK):
        pytest.skip("this user may write everywhere")
    found = run(mmport, "build", "--quiet", "--source", source, "-o", folder / "app.pyz")
    check_message(found, FAILED, folder / "app.pyz", "Permission denied")
    check_next_step(found)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a file system with hardly any room."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "tmpfs", str(place)]
    if subprocess.run(mount, stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_output_on_a_full_disk(small_disk: Path, run: Runner, mmport: Path) -> None:
    """Nothing is left, and an earlier output stays."""
    source = write_files(run.cwd / "source", {**APPLICATION, "large.bin": os.urandom(300_000)})
    output = small_disk / "app.pyz"
    output.write_bytes(b"an earlier bundle")
    found = run(mmport, "build", "--quiet", "--source", source, "-o", output)
    check_message(found, FAILED, output, "No space left on device")
    check_next_step(found)
    assert files_below(small_disk) == {"app.pyz": b"an earlier bundle"}


def test_output_beyond_the_allowed_size(run: Runner, mmport: Path) -> None:
    """As a full disk, where nobody can mount one: the process may write no large file."""
    source = write_files(run.cwd / "source", {**APPLICATION, "large.bin": os.urandom(300_000)})
    (run.cwd / "out").mkdir()
    (run.cwd / "out" / "app.pyz").write_bytes(b"an earlier bundle")
    # SIGXFSZ is ignored, so that the limit is met as an error.
    command = f"trap '' XFSZ; exec {mmport} build --quiet --source {source} -o out/app.pyz"
    finished = subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        text=True,
        cwd=run.cwd,
        env=run.environment,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )
    found = Outcome(finished.returncode, finished.stdout, finished.stderr)
    check_message(found, FAILED, "out/app.pyz", "File too large")
    assert files_below(run.cwd / "out") == {"app.pyz": b"an earlier bundle"}


def test_temporary_folder_that_is_not_there(run: Runner, mmport: Path) -> None:
    """The message names it."""
    found = run(mmport, "build", "--quiet", "six", "-o", "app.pyz", TMPDIR="/no/such/folder")
    check_message(found, FAILED, "/no/such/folder")
    check_next_step(found)


@pytest.fixture
def bundle_with_files(build: Build, run: Runner) -> Path:
    """Return a bundle with a package that has to be brought out as files."""
    source = write_files(run.cwd / "with-files", {**APPLICATION, "app.py": USES_FILES})
    return build("--source", source, "-e", "app:main")


@pytest.mark.parametrize("place", ["/proc/no-such", "file/root"])
def test_root_that_cannot_be_written(
    place: str, bundle_with_files: Path, run: Runner, mmport: Path
) -> None:
    """The program fails where it opens a file; then package, bundle and place are named."""
    (run.cwd / "file").touch()
    root = place if place.startswith("/") else str(run.cwd / place)
    found = run(mmport, "run", bundle_with_files, MMPORT_ROOT=root)
    assert (found.status, found.stdout) == (1, ""), str(found)
    *_, error, reason, next_step = found.stderr.splitlines()
    assert error.startswith("NotADirectoryError: "), str(found)
    assert reason.startswith(
        f"mmport: failed to materialize `package` of bundle `{bundle_with_files}`"
    )
    assert root in reason, str(found)
    assert next_step.startswith("  next: set MMPORT_ROOT"), str(found)


def test_root_is_not_needed_by_pure_bundles(bundle: Path, run: Runner, mmport: Path) -> None:
    """A bundle that brings nothing out runs without any place to write to."""
    found = run(mmport, "run", bundle, "a", MMPORT_ROOT="/proc/no-such", HOME="/proc/no-such")
    assert found == Outcome(0, "ran ['a']\n", "")


def test_root_on_a_full_disk(small_disk: Path, build: Build, run: Runner, mmport: Path) -> None:
    """No half-written package is left to be used later."""
    files = {
        "app.py": USES_FILES,
        "package/__init__.py": "",
        "package/data.txt": os.urandom(300_000),
    }
    bundle = build("--source", write_files(run.cwd / "large", files), "-e", "app:main")
    found = run(mmport, "run", bundle, MMPORT_ROOT=str(small_disk / "root"))
    assert found.status == 1, str(found)
    assert "No space left on device" in found.stderr.splitlines()[-2]
    assert files_below(small_disk) == {} or not any(
        "package" in name for name in files_below(small_disk)
    )


@pytest.mark.parametrize("subcommand", ["run", "build", "inspect"])
def test_log_filter_that_is_none(subcommand: str, run: Runner, mmport: Path) -> None:
    """A wrong `MMPORT_LOG` is told."""
    arguments = ["-o", "x"] if subcommand == "build" else ["x"]
    found = run(mmport, subcommand, *arguments, MMPORT_LOG="mmport=loud")
    check_message(found, FAILED, "MMPORT_LOG", "mmport=loud")
    check_next_step(found)


def test_bundle_without_its_python(bundle: Path, run: Runner, mmport: Path) -> None:
    """A bundle is inspected, whatever it was built for."""
    rewrite_information(bundle, lambda i: i["python"].update(version="3.9"))
    found = run(mmport, "inspect", "--json", bundle).succeeded()
    assert json.loads(found.stdout)["fits_this_python"] is False


def test_environment_of_another_python(run: Runner, mmport: Path, venv_of: VenvOf) -> None:
    """A virtual environment of another Python is not taken."""
    venv = venv_of(()).place
    copy = write_files(run.cwd / "venv", {"pyvenv.cfg": "home = /usr/bin\nversion = 3.8.1\n"})
    (copy / "lib").symlink_to(venv / "lib")
    found = run(mmport, "build", "--quiet", "--venv", copy, "-o", "app.pyz")
    check_message(found, FAILED, copy, "3.8")
    check_next_step(found)
    assert PROJECT not in run.cwd.parents

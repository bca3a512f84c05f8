"""`mmport cache` and code objects: dir, info, list, prune, clear, verify, warm and show."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from code_cache import Cached, set_stamps, write_zip
from conftest import Build
from pythons import find_pythons
from support import Outcome, Runner, write_files

MODULES = {
    "shown/__init__.py": "",
    "shown/code.py": "def function(argument):\n    '''Says it.'''\n    assert argument\n"
    "    return [lambda: argument for _ in range(3)]\n",
}
FILES = {"__main__.py": "import shown.code\nprint(len(shown.code.function(1)))\n", **MODULES}
NAMES = ["__main__", "shown", "shown.code"]
TAG = sys.implementation.cache_tag


@pytest.fixture(params=["native", "pip"])
def cached(request: pytest.FixtureRequest, cached: Cached, pip_mmport: Path) -> Cached:
    """Return the cache, used by the native binary or by the package."""
    return cached if request.param == "native" else dataclasses.replace(cached, mmport=pip_mmport)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Return a program in a zip without bytecode."""
    return write_zip(tmp_path / "program.zip", FILES)


def without_times(text: str) -> str:
    """Return a text without how long ago something was."""
    return re.sub(r"\d+ (second|minute)s? ago", "<time> ago", text)


def test_an_empty_cache(cached: Cached) -> None:
    """There is nothing to say, and nothing is made."""
    assert cached.command("dir").succeeded().stdout == f"{cached.root}\n"
    assert cached.command("info").succeeded().stdout == "nothing is cached\n"
    assert cached.command("list").succeeded().stdout == "no code objects are cached\n"
    assert cached.told("list") == []
    for action in "prune", "clear", "verify":
        cached.command(action).succeeded()
    assert not cached.root.exists()


def test_info(cached: Cached, program: Path) -> None:
    """It counts packs and code objects, and is what `mmport cache` itself does."""
    cached.run(program)
    (pack,) = cached.packs()
    (root,) = cached.told("info")
    size = pack.stat().st_size
    assert root["code_objects"] == {"packs": 1, "code_objects": 3, "bytes": size}
    assert root["root"] == str(cached.root)
    text = cached.command("info").succeeded().stdout
    assert "\ncode objects (3): 1 files, " in text
    assert cached.command().succeeded().stdout == text
    assert cached.told() == [root]


def test_list(cached: Cached, program: Path) -> None:
    """Each code object with what it is for, whose it was first, and whether it is whole."""
    start = cached.run(program)
    cached.run(program, PYTHONOPTIMIZE="2")
    found = cached.told("list")
    assert [(code["target"], code["module"]) for code in found] == [
        (target, name) for target in (TAG, f"{TAG}.opt-2") for name in NAMES
    ]
    assert {code["module"]: code["key"] for code in found[:3]} == start.keys
    for code in found:
        assert code["origin"].startswith(f"{program}/")
        assert Path(code["pack"]) in cached.packs()
        assert code["is_sound"] is True
        assert 0 < code["written"] <= code["used"]
        assert code["bytes"] > 50
    lines = cached.command("list").succeeded().stdout.splitlines()
    assert len(lines) == 6
    place = re.escape(f"{program}/shown/code.py")
    assert re.fullmatch(rf"{re.escape(TAG)} shown\.code \d+ B, used .* ago: {place}", lines[2])


def test_list_of_names_that_control_a_terminal(cached: Cached, tmp_path: Path) -> None:
    """They do nothing to it."""
    tree = write_files(tmp_path / "tree\x1b[31m", {"mo\x1bdule.py": "x = 1\n"})
    assert cached.told("warm", tree)["compiled"] == 1
    text = cached.command("list").succeeded().stdout
    assert "\x1b" not in text
    (code,) = cached.told("list")
    assert code["origin"] == f"{tree}/mo\x1bdule.py"


def test_prune(cached: Cached, program: Path) -> None:
    """Only with a size; down to that size."""
    cached.run(program)
    before = cached.packs()
    cached.command("prune").succeeded()
    assert cached.packs() == before
    size = before[0].stat().st_size
    assert cached.told("prune", "--max-size", f"{size}B")["removed"] == {"files": 0, "bytes": 0}
    set_stamps(before[0], 1_000_000)
    removed = cached.told("prune", "--max-size", f"{size - 1}B")["removed"]
    assert removed["bytes"] > 0
    assert 0 < sum(pack.stat().st_size for pack in cached.packs()) < size
    cached.command("prune", "--max-size", "0").succeeded()
    assert cached.packs() == []
    assert cached.command("prune", "--max-size", "few").status == 2


def test_clear(cached: Cached, program: Path) -> None:
    """Nothing is left that takes room, and everything can be made again."""
    cached.run(program)
    size = cached.packs()[0].stat().st_size
    removed = cached.told("clear")["removed"]
    assert removed["files"] >= 1
    assert removed["bytes"] >= size
    assert cached.told("list") == []
    assert [path for path in cached.root.rglob("*") if path.is_file() and path.stat().st_size] == []
    assert cached.run(program).misses == NAMES
    assert cached.run(program).misses == []


def test_verify(cached: Cached, program: Path) -> None:
    """It looks at every code object, and drops the one that is not what was written."""
    cached.run(program)
    told = cached.told("verify")
    assert (told["code_objects_looked_at"], told["damaged_packs"]) == (3, [])
    text = cached.command("verify").succeeded().stdout
    assert "verified 3 code objects; 0 dropped\n" in text
    (pack,) = cached.packs()
    content = pack.read_bytes()
    # A text of the module, in its code object.
    at = content.index(b"Says it.")
    pack.write_bytes(content[:at] + b"T" + content[at + 1 :])
    (damaged,) = (code for code in cached.told("list") if not code["is_sound"])
    assert damaged["module"] == "shown.code"
    assert " (damaged)\n" in cached.command("list").stdout
    assert "miss: what is stored is damaged" in cached.command("show", "shown.code").stdout
    told = cached.told("verify")
    assert told["damaged_packs"] == [{"path": str(pack), "lost": 1}]
    assert [code["module"] for code in cached.told("list")] == NAMES[:2]
    assert cached.told("verify")["damaged_packs"] == []
    start = cached.run(program)
    assert (start.hits, start.misses) == (NAMES[:2], NAMES[2:])


def test_verify_says_what_it_dropped(cached: Cached, program: Path) -> None:
    """As text, with the pack."""
    cached.run(program)
    (pack,) = cached.packs()
    pack.write_bytes(pack.read_bytes()[:-1])
    text = cached.command("verify").succeeded().stdout
    assert f"  damaged {pack}: 0 lost\n" in text
    assert cached.run(program).misses == []


@pytest.mark.parametrize("kind", ["zip", "wheel", "tree"])
def test_warm(kind: str, cached: Cached, tmp_path: Path) -> None:
    """The next start compiles nothing; whoever warms it, native or package."""
    files = FILES if kind != "wheel" else MODULES | {"shown-1.dist-info/METADATA": "Name: shown\n"}
    names = NAMES if kind != "wheel" else NAMES[1:]
    place = tmp_path / "shown-1-py3-none-any.whl"
    place = write_files(tmp_path / "t", files) if kind == "tree" else write_zip(place, files)
    warmed = cached.told("warm", place)
    assert warmed == {"compiled": len(names), "with_bytecode": 0, "refused": []}
    assert [code["module"] for code in cached.told("list")] == names
    assert cached.told("warm", place) == warmed
    assert len(cached.told("list")) == len(names)
    start = cached.serve(place, "shown.code")
    assert (start.outcome.succeeded().stderr, start.misses) == ("", [])
    text = cached.command("warm", place).succeeded().stdout
    assert text.startswith(
        f"{len(names)} modules are in the cache now; 0 have bytecode of their own"
    )


def test_warm_under_other_flags(cached: Cached, program: Path) -> None:
    """What is warmed is what the same flags ask for."""
    cached.told("warm", program, PYTHONOPTIMIZE="2")
    assert cached.run(program).hits == []
    assert cached.run(program, PYTHONOPTIMIZE="2").misses == []


def test_warm_a_bundle(cached: Cached, build: Build, base_python: Path, tmp_path: Path) -> None:
    """A bundle for this Python has all that it needs; one for another has nothing."""
    source = write_files(tmp_path / "source", FILES)
    own = build("--source", source, "--python", base_python)
    told = cached.told("warm", own)
    assert (told["compiled"], told["refused"]) == (0, [])
    assert told["with_bytecode"] >= 3
    assert cached.packs() == []
    others = [python for python in find_pythons() if python.version[:2] != sys.version_info[:2]]
    if others:
        bundle = build("--source", source, "--python", others[0].executable)
        assert cached.told("warm", bundle)["compiled"] >= 3
        assert cached.serve(bundle, "shown.code").misses == []


def test_warm_what_does_not_compile(cached: Cached, tmp_path: Path) -> None:
    """It is named, with the reason; all the rest is kept."""
    files = {"good.py": "x = 1\n", "wrong.py": "def f(:\n", "null.py": "\0", "latin.py": b"'\xe9'"}
    place = write_zip(tmp_path / "some.zip", files)
    warmed = cached.told("warm", place)
    assert warmed["compiled"] == 1
    assert sorted(name for name, _ in warmed["refused"]) == ["latin.py", "null.py", "wrong.py"]
    assert all("Error" in reason for _, reason in warmed["refused"])
    text = cached.command("warm", place).succeeded().stdout
    assert "3 do not compile\n" in text
    assert "  wrong.py: " in text


def test_warm_writes_whatever_imports_may_not(cached: Cached, program: Path) -> None:
    """As `compileall` does: the variable is about imports."""
    assert cached.told("warm", program, PYTHONDONTWRITEBYTECODE="1")["compiled"] == 3
    assert cached.run(program, PYTHONDONTWRITEBYTECODE="1").misses == []


def test_warm_where_nothing_can_be_kept(cached: Cached, program: Path, tmp_path: Path) -> None:
    """It fails, and does not say that something is in the cache."""
    tmp_path.joinpath("file").write_text("")
    for variables in {"MMPORT_NO_CACHE": "1"}, {"MMPORT_ROOT": str(tmp_path / "file")}:
        outcome = cached.command("warm", program, **variables)
        assert (outcome.status, outcome.stdout) == (125, "")
        assert "that can be written to" in outcome.stderr
    for place in tmp_path / "nowhere.zip", tmp_path / "file":
        outcome = cached.command("warm", place)
        assert (outcome.status, outcome.stdout) == (125, "")
        assert str(place) in outcome.stderr


def shown(cached: Cached, *arguments: Any, **variables: str) -> Any:
    """Return what is known about a module, as text and as JSON, after comparing both."""
    told = cached.told("show", *arguments, **variables)
    text = cached.command("show", *arguments, **variables).succeeded().stdout
    assert text.startswith(f"{told['module']}: {without_times(told['reason'])[:10]}")
    assert (told["key"] is None) or f"  its key: {told['key']}\n" in text
    assert (told["origin"] is None) or f"  source: {told['origin']}\n" in text
    assert text.count("\n  stored for ") == len(told["stored"])
    return told


def test_show_a_hit(cached: Cached, program: Path) -> None:
    """Where the source is, its key, and what is stored."""
    start = cached.run(program)
    told = shown(cached, "shown.code")
    assert (told["hit"], told["key"]) == (True, start.keys["shown.code"])
    assert told["origin"] == f"{program}/shown/code.py"
    assert told["reason"] == "hit: this source was compiled for this Python"
    (stored,) = told["stored"]
    assert stored in cached.told("list")
    assert shown(cached, "shown.code", "--in", program) == told
    assert shown(cached, "shown", "--in", program)["origin"] == f"{program}/shown/__init__.py"


def test_show_a_miss(cached: Cached, program: Path, build: Build, tmp_path: Path) -> None:
    """It says why: in the words of what is not the same."""
    cached.run(program)

    def reason(*arguments: Any, **variables: str) -> str:
        told = shown(cached, *arguments, **variables)
        assert told["hit"] is False
        return str(told["reason"])

    tag = f"{TAG}.opt-1"
    said = reason("shown.code", PYTHONOPTIMIZE="1")
    assert said == f"miss: it was compiled for {TAG}, and this is {tag}"
    tree = write_files(tmp_path / "tree", {**MODULES, "new.py": "never = 1\n"})
    assert reason("new", "--in", tree) == "miss: it was never compiled"
    tree.joinpath("shown/code.py").write_text("other = 1\n")
    said = "miss: the source is another one than that which was compiled "
    assert reason("shown.code", "--in", tree).startswith(said)
    bundle = build("--source", write_files(tmp_path / "source", FILES))
    assert "bytecode of its own" in reason("shown.code", "--in", bundle)
    outcome = cached.command("show", "shown.code", "--dis", "--in", bundle).succeeded()
    assert f'file "{bundle}/shown/code.py"' in outcome.stdout
    assert "RETURN_VALUE" in outcome.stdout
    program.unlink()
    assert reason("shown.code") == "miss: there is no source at its place any more"


def test_show_another_module_with_the_source(cached: Cached, tmp_path: Path) -> None:
    """One entry serves both, and has the name of the first."""
    text = "x = 1\n"
    tree = write_files(tmp_path / "tree", {"first.py": text, "second.py": text})
    cached.told("warm", tree)
    told = shown(cached, "second", "--in", tree)
    assert (told["hit"], told["stored"]) == (True, [])
    assert told["reason"].startswith("hit: another module with this source")


def test_show_dis(cached: Cached, program: Path) -> None:
    """The instructions that would run, of all code objects in it, with the path of its place."""
    cached.run(program)
    outcome = cached.command("show", "shown.code", "--dis").succeeded()
    assert outcome.stdout.startswith("shown.code: hit: ")
    assert "Disassembly of <code object function at " in outcome.stdout
    assert "RETURN_VALUE" in outcome.stdout
    assert outcome.stdout.count(f'file "{program}/shown/code.py"') >= 3
    assert "<mmport>" not in outcome.stdout
    cached.command("clear").succeeded()
    outcome = cached.command("show", "shown.code", "--dis", "--in", program)
    assert outcome.status == 125
    assert "miss: it was never compiled" in outcome.stderr
    assert "mmport cache warm" in outcome.stderr


def test_show_to_somebody_who_has_read_enough(cached: Cached, program: Path) -> None:
    """As with other commands, that is no failure."""
    cached.run(program)
    reader, writer = os.pipe()
    os.close(reader)
    command = [cached.mmport, "cache", "show", "shown.code", "--dis"]
    with os.fdopen(writer, "wb") as closed:
        outcome = subprocess.run(
            command, env=cached.variables, stdout=closed, stderr=subprocess.PIPE, check=False
        )
    assert (outcome.returncode, outcome.stderr) == (0, b"")


def test_show_what_is_unknown(cached: Cached, program: Path) -> None:
    """An error says what to do."""
    cached.run(program)
    outcome = cached.command("show", "no.such")
    assert (outcome.status, outcome.stdout) == (125, "")
    assert "found none of that name" in outcome.stderr
    assert "mmport cache list" in outcome.stderr
    assert cached.command("show").status == 2
    outcome = cached.command("show", "no.such", "--in", program)
    assert (outcome.status, outcome.stdout) == (125, "")
    assert f"there is no such module in `{program}`" in outcome.stderr


def test_warm_what_is_no_bundle(cached: Cached, tmp_path: Path) -> None:
    """It is said as for any bundle, with what to do."""
    place = write_files(tmp_path, {"text.zip": "text"}) / "text.zip"
    for path in (place, tmp_path / "missing.zip"):
        outcome = cached.command("warm", path)
        assert (outcome.status, outcome.stdout) == (125, "")
        assert f"bundle `{path}`" in outcome.stderr
        assert "next: " in outcome.stderr


def test_both_commands_say_the_same(
    run: Runner, mmport: Path, pip_mmport: Path, program: Path, tmp_path: Path
) -> None:
    """Natively and as a package, and each finds what the other has compiled."""
    root = str(tmp_path / "shared")
    first = run(mmport, "run", program, MMPORT_ROOT=root).succeeded()
    second = run(pip_mmport, "run", program, MMPORT_ROOT=root, MMPORT_LOG="mmport::bytecode=debug")
    assert second.stdout == first.stdout
    assert "cache miss" not in second.stderr
    for words in ("dir",), ("list",), ("list", "--json"), ("show", "shown.code"), ("verify",):
        outcomes: list[Outcome] = [
            run(way, "cache", *words, MMPORT_ROOT=root).succeeded() for way in (mmport, pip_mmport)
        ]
        assert without_times(outcomes[0].stdout) == without_times(outcomes[1].stdout)
    shown = [
        json.loads(run(way, "cache", "show", "shown", "--json", MMPORT_ROOT=root).stdout)
        for way in (mmport, pip_mmport)
    ]
    assert shown[0] == shown[1]

"""A key stands for one source and one set of flags: equal exactly where those are equal."""

from __future__ import annotations

import marshal
import random
import sys
from pathlib import Path

import pytest
from code_cache import Cached
from support import write_files

# What the compiler is told besides the source.
FLAGS: dict[str, dict[str, str]] = {
    "plain": {},
    "O": {"PYTHONOPTIMIZE": "1"},
    "OO": {"PYTHONOPTIMIZE": "2"},
}
if sys.version_info >= (3, 11):
    FLAGS["without columns"] = {"PYTHONNODEBUGRANGES": "1"}

STATEMENTS = [
    "value = {number}",
    "value = '{word}'",
    "def {word}(x={number}):\n    return x",
    "def {word}():\n    '''{word}'''\n    assert {number}",
    "class {word}:\n    {word} = {number}",
    "if __debug__:\n    {word} = {number}",
    "{word} = lambda: {number}  # {word}",
    "for {word} in range({number}):\n    pass",
]
WORDS = ["a", "b", "ab", "é"]


def some_source(chance: random.Random) -> str:
    """Return a small module, often one that was returned before."""
    lines = [
        chance.choice(STATEMENTS).format(number=chance.randrange(3), word=chance.choice(WORDS))
        for _ in range(chance.randrange(3))
    ]
    return "\n".join([*lines, ""])


def variation(source: bytes, chance: random.Random) -> bytes:
    """Return the source with a small change, or without one."""
    at = chance.randrange(len(source) + 1)
    changes = [
        lambda: source,
        lambda: source + b"\n",
        lambda: source + b"#",
        lambda: source.replace(b"\n", b"\r\n"),
        lambda: source.rstrip(b"\n"),
        lambda: b"\xef\xbb\xbf" + source,
        lambda: b"# coding: utf-8\n" + source,
        lambda: source[:at] + b" " + source[at:],
        lambda: source[:at] + source[at + 1 :],
        lambda: source.replace(b"0", b"00"),
    ]
    return chance.choice(changes)()


def compiled(source: bytes) -> bytes | None:
    """Return the code object as bytes; `None` where it does not compile."""
    try:
        return marshal.dumps(compile(source, "<file>", "exec", dont_inherit=True))
    except (SyntaxError, ValueError):
        return None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("seed", "count"),
    [(6, 200), *(pytest.param(seed, 2000, marks=pytest.mark.full) for seed in (7, 8, 9))],
)
def test_keys_are_equal_exactly_where_source_and_flags_are(
    seed: int, count: int, tmp_path: Path, cached: Cached
) -> None:
    """Of sources that were made at random, warmed in two places and under all flags."""
    chance = random.Random(seed)
    sources = [variation(some_source(chance).encode(), chance) for _ in range(count)]
    assert len(set(sources)) < count
    numbers = list(range(count))
    # Another order, other names and other places.
    places = []
    for place in "one", "two":
        chance.shuffle(numbers)
        names = {f"m{at:05}.py": sources[number] for at, number in enumerate(numbers)}
        places.append((write_files(tmp_path / place, names), list(numbers)))
    with_source: dict[str, tuple[str, bytes]] = {}
    with_flags: dict[tuple[str, bytes], str] = {}
    known: set[str] = set()
    for name, flags in FLAGS.items():
        for folder, order in places:
            start = cached(cached.mmport, "cache", "warm", folder, **flags)
            start.outcome.succeeded()
            assert len(start.asked) == count
            for asked in start.asked:
                source = sources[order[int(asked.module[1:])]]
                assert with_source.setdefault(asked.key, (name, source)) == (name, source)
                assert with_flags.setdefault((name, source), asked.key) == asked.key
        # What is listed is what was compiled, and each of it once.
        compile_at_all = {source for source in sources if compiled(source) is not None}
        listed = [code["key"] for code in cached.told("list")]
        assert len(listed) == len(set(listed))
        assert set(listed) - known == {with_flags[name, source] for source in compile_at_all}
        known = set(listed)
    # And so what compiles to different code has different keys.
    by_key: dict[str, set[bytes | None]] = {}
    for source in set(sources):
        by_key.setdefault(with_flags["plain", source], set()).add(compiled(source))
    assert all(len(codes) == 1 for codes in by_key.values())
    assert len(with_source) == len(FLAGS) * len(set(sources))


def test_every_byte_counts(tmp_path: Path, cached: Cached) -> None:
    """Each one-byte edit of a source is another key, and each is found again."""
    source = b"def function(argument):\n    return argument + 1\n"
    edits = {source} | {source[:at] + b"x" + source[at + 1 :] for at in range(len(source))}
    folder = write_files(
        tmp_path / "edits", {f"m{number}.py": edit for number, edit in enumerate(sorted(edits))}
    )
    first, second = (cached(cached.mmport, "cache", "warm", folder) for _ in range(2))
    assert len(set(first.keys.values())) == len(edits)
    assert second.keys == first.keys
    compile_at_all = {edit for edit in edits if compiled(edit) is not None}
    assert len(second.hits) == len(compile_at_all) == len(cached.told("list"))


def test_the_same_bytes_from_every_process(tmp_path: Path, cached: Cached) -> None:
    """What is stored does not depend on what else a process did, nor on its hash seed."""
    text = "def f(x, y='text'):\n    return {'text': (1, 2, 'text'), x: (1, 2, 'text')}, y\n"
    folder = write_files(tmp_path / "tree", {"one.py": text, "two.py": text + text})
    packs = set()
    for seed in "0", "1", "2":
        warmed = cached.told("warm", folder, PYTHONHASHSEED=seed)
        assert warmed == {"compiled": 2, "with_bytecode": 0, "refused": []}
        (pack,) = cached.packs()
        codes = {code["module"]: (code["key"], code["bytes"]) for code in cached.told("list")}
        packs.add(repr(sorted(codes.items())))
        pack.unlink()
    assert len(packs) == 1

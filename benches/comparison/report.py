"""What was measured, as tables and as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from .measurement import EMBEDDED, INTERPRETER, PLAIN
from .trial import Measurement, Sample
from .ways import KINDS


@dataclass(frozen=True)
class Report:
    """Measurements of one run of the script, and of what they were made."""

    mmport: str
    python: str
    machine: str
    tools: list[str]
    measurements: list[Measurement]

    def write(self, path: Path) -> None:
        """Write everything as JSON, every sample included."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Report:
        """Read what :meth:`write` wrote."""
        data = json.loads(path.read_text())
        data["measurements"] = [Measurement(**item) for item in data["measurements"]]
        return cls(**data)


@dataclass(frozen=True)
class Spread:
    """A median and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """The spread of some values."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    def __str__(self) -> str:
        """To two digits, as all ratios are shown."""
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True)
class Table:
    """A figure of a series, by case and way."""

    title: str
    series: str
    figure: str
    shown: Callable[[float], str]
    """How a figure of the virtual environment is shown; the others' are ratios to it."""
    base: str | None = None
    """The series of the figures that others are compared with, if it is another one."""
    own_base: bool = False
    """Whether each way is compared with itself in that series."""
    absolute: bool = False
    """Whether all are shown as they are."""


def milliseconds(value: float) -> str:
    """A time."""
    return f"{value:,.0f} ms"


def megabytes(value: float) -> str:
    """A size, with what a file has at least."""
    return f"{value / 1e6:.1f} MB"


def count(value: float) -> str:
    """A number of things."""
    return f"{value:,.0f}"


def tables(report: Report) -> list[Table]:
    """The tables there can be, in the order in which they are shown."""
    found = [
        Table("Warm starts", "warm", "milliseconds", milliseconds),
        Table("Warm starts, processor time", "warm", "processor", milliseconds),
        Table("File-system calls of a warm start", "calls", "calls", count),
        Table("Memory resident at the peak of a warm start", "memory", "memory", megabytes),
        Table(
            "First starts, beside the environment's next start",
            "first",
            "milliseconds",
            milliseconds,
            base="next",
        ),
        Table(
            "First starts, beside the same way's next start",
            "first",
            "milliseconds",
            milliseconds,
            base="next",
            own_base=True,
        ),
        Table(
            "First starts, processor time, beside the same way's next start",
            "first",
            "processor",
            milliseconds,
            base="next",
            own_base=True,
        ),
        Table("Next starts after the first ones", "next", "milliseconds", milliseconds),
        Table("Files written by a first start", "first", "files", count, absolute=True),
        Table("Written by a first start", "first", "written", megabytes, absolute=True),
        Table("Starts with an empty page cache", "cold", "milliseconds", milliseconds),
        Table("Read from the disk by them", "cold", "read", megabytes),
        Table("Page faults of theirs that read", "cold", "faults", count, absolute=True),
    ]
    series = {name for item in report.measurements for name in item.samples}
    several = [name for name in series if name.endswith("at once")]
    for name in sorted(several, key=lambda name: (int(name.split()[0]), name)):
        warm = name.replace(" first", "")
        base = {"base": warm} if warm in series else {}
        beside = ", beside the environment's warm ones" if base and warm != name else ""
        for figure, what in (("processor", "processor time"), ("milliseconds", "to the last end")):
            found.append(Table(f"{name}, {what}{beside}", name, figure, milliseconds, **base))
        if warm != name:
            title = f"{name}, processor time, beside the same way's warm ones"
            found.append(Table(title, name, "processor", milliseconds, base=warm, own_base=True))
        found.append(Table(f"{name}, failures", name, "failures", count, absolute=True))
    return found


def rows(report: Report, table: Table) -> list[list[str]]:
    """A table's rows, the heading first; without any where nothing was measured.

    Where there are more ways than cases, the ways are the rows.
    """
    items = [item for item in report.measurements if table.series in item.samples]
    names = [
        kind.title
        for kind in KINDS
        if kind.title not in (INTERPRETER, EMBEDDED)
        and any(kind.title in item.samples[table.series] for item in items)
    ]
    body = [[item.title, *(cell(item, table, name) for name in names)] for item in items]
    whole = [["", *names], *body]
    if len(names) > len(items):
        whole = [list(row) for row in zip(*whole, strict=True)]
    return whole if names else []


def cell(item: Measurement, table: Table, name: str) -> str:
    """The figure of a way; the virtual environment's own figure comes before its ratio."""
    samples = item.samples[table.series].get(name)
    if not samples:
        return "does not run" if name in item.left_out else ""
    median = statistics.median(sample[table.figure] for sample in samples)
    if table.absolute:
        return table.shown(median)
    base = item.samples[table.base or table.series].get(name if table.own_base else PLAIN)
    if not base:
        return table.shown(median)
    if name == PLAIN and base is samples:
        return table.shown(median)
    ratio = ratio_of(samples, base, table.figure)
    if table.figure in ("calls", "memory"):
        # The same at every start, but for a few.
        return f"{ratio.median:.2f} ({table.shown(median)})"
    return f"{table.shown(median)}, {ratio.median:.2f}" if name == PLAIN else str(ratio)


def ratio_of(samples: list[Sample], base: list[Sample], figure: str) -> Spread:
    """The ratios of starts to those of the same round."""
    pairs = zip(samples, base, strict=True)
    return Spread.of([one[figure] / (two[figure] or 1) for one, two in pairs])


def ability_rows(report: Report) -> list[list[str]]:
    """What ways can do, the heading first."""
    found = [item.abilities for item in report.measurements if item.abilities]
    if not found:
        return []
    heading = list(dict.fromkeys(name for works in found[0].values() for name in works))
    body = [[way, *(works.get(name, "") for name in heading)] for way, works in found[0].items()]
    return [["", *heading], *body]


def notes(report: Report) -> list[str]:
    """What the tables do not say."""
    lines = []
    reasons: dict[str, list[str]] = {}
    for item in report.measurements:
        for way, why in item.left_out.items():
            reasons.setdefault(f"`{way}` does not run: {why}", []).append(item.title)
    lines.extend(f"{'; '.join(titles)}: {why}." for why, titles in reasons.items())
    for item in report.measurements:
        samples = item.samples.get("warm", {})
        if INTERPRETER not in samples:
            continue
        base = samples[INTERPRETER]
        took = statistics.median(sample["milliseconds"] for sample in base)
        spoken = f"`{INTERPRETER}` takes {took:.1f} ms"
        if EMBEDDED in samples:
            factor = ratio_of(samples[EMBEDDED], base, "milliseconds")
            spoken += f", `{EMBEDDED}` {factor} times that"
        lines.append(f"{spoken}.")
        more = []
        for way, starts in samples.items():
            if way not in (INTERPRETER, EMBEDDED):
                pairs = zip(starts, base, strict=True)
                extra = statistics.median(
                    one["milliseconds"] - two["milliseconds"] for one, two in pairs
                )
                more.append(f"{way} {extra:+.1f} ms")
        lines.append(f"To do nothing takes, beyond `{INTERPRETER}`: {', '.join(more)}.")
    return lines


def as_text(report: Report) -> str:
    """The report for a terminal."""
    return as_lines(report, text_table, "{}", "{}")


def as_markdown(report: Report) -> str:
    """The report as Markdown."""
    return as_lines(report, markdown_table, "**{}**", "- {}")


def as_lines(
    report: Report, drawn: Callable[[list[list[str]]], list[str]], title: str, note: str
) -> str:
    """The report, with tables, titles and notes as they are drawn."""
    lines = [subject(report), ""]
    for table in tables(report):
        if body := rows(report, table):
            heading = f"{table.title} ({rounds(report, table)})"
            lines += [title.format(heading), "", *drawn(body), ""]
    if body := ability_rows(report):
        lines += [title.format("What else there is to know"), "", *drawn(body), ""]
    lines += [note.format(line) for line in notes(report)]
    return "\n".join(lines).rstrip() + "\n"


def rounds(report: Report, table: Table) -> str:
    """How many rounds a table's figures are from."""
    numbers = {
        len(samples)
        for item in report.measurements
        for samples in item.samples.get(table.series, {}).values()
    }
    return " or ".join(f"{n} round{'s' * (n != 1)}" for n in sorted(numbers))


def text_table(table: list[list[str]]) -> list[str]:
    """The lines of a table for a terminal."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return lines


def markdown_table(table: list[list[str]], titles: int = 1) -> list[str]:
    """The lines of a table in Markdown, whose first columns hold titles, the others figures."""
    heading, *body = table
    rule = ["---"] * titles + ["--:"] * (len(heading) - titles)
    return ["| " + " | ".join(row) + " |" for row in (heading, rule, *body)]


def subject(report: Report) -> str:
    """What was measured, where."""
    tools = "".join(f", {tool}" for tool in report.tools)
    return (
        f"mmport {report.mmport}, CPython {report.python}{tools}, {report.machine}: medians; of "
        "ratios to the virtual environment within a round, with quartiles."
    )


def machine() -> str:
    """This machine in general terms."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, pinned to one"

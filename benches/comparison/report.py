"""What was measured, as tables and as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path

from .measurement import EMBEDDED, FIRST, INTERPRETER, MMPORT, PLAIN, WARM, ZIP, Measurement


@dataclass(frozen=True)
class Report:
    """Measurements of one run of the script, and of what they were made."""

    mmport: str
    python: str
    machine: str
    rounds: int
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


def ratio(measurement: Measurement, way: str, base: str) -> Spread | None:
    """The ratios of the runs of one way to those of another in the same round."""
    if way not in measurement.milliseconds:
        return None
    pairs = zip(measurement.milliseconds[way], measurement.milliseconds[base], strict=True)
    return Spread.of([time / base_time for time, base_time in pairs])


def rows(report: Report) -> list[list[str]]:
    """The table, the heading first."""
    heading = ["", "plain, ms", "python bundle", "mmport run", "first / warm", "file-system calls"]
    table = [heading]
    for item in report.measurements:
        table.append(
            [
                item.title,
                f"{statistics.median(item.milliseconds[PLAIN]):.0f}",
                str(ratio(item, ZIP, PLAIN) or "does not run"),
                str(ratio(item, MMPORT, PLAIN)),
                str(ratio(item, FIRST, WARM)),
                file_calls(item),
            ]
        )
    return table


def file_calls(measurement: Measurement) -> str:
    """File-system calls of both ways."""
    calls = measurement.file_calls
    if not calls:
        return "not counted"
    return f"{calls[PLAIN]:,} → {calls[MMPORT]:,} ({calls[MMPORT] / calls[PLAIN]:.2f})"


def notes(report: Report) -> list[str]:
    """What the table does not say."""
    lines = []
    reasons: dict[str, list[str]] = {}
    for item in report.measurements:
        for way, why in item.left_out.items():
            reasons.setdefault(f"`{way}` does not run: {why}", []).append(item.title)
    lines.extend(f"{'; '.join(titles)}: {why}." for why, titles in reasons.items())
    for item in report.measurements:
        if INTERPRETER not in item.milliseconds:
            continue
        base = item.milliseconds[INTERPRETER]
        lines.append(
            f"`{INTERPRETER}` takes {statistics.median(base):.1f} ms, "
            f"`{EMBEDDED}` {ratio(item, EMBEDDED, INTERPRETER)} times that."
        )
        more = []
        for way in (PLAIN, ZIP, MMPORT):
            if way in item.milliseconds:
                pairs = zip(item.milliseconds[way], base, strict=True)
                spread = statistics.median(time - base_time for time, base_time in pairs)
                more.append(f"{way} {spread:+.1f} ms")
        lines.append(f"To do nothing takes, beyond `{INTERPRETER}`: {', '.join(more)}.")
    return lines


def as_text(report: Report) -> str:
    """The report for a terminal."""
    return "\n".join([subject(report), "", *text_table(rows(report)), "", *notes(report)]) + "\n"


def as_markdown(report: Report) -> str:
    """The report as Markdown."""
    remarks = [f"- {note}" for note in notes(report)]
    return "\n".join([subject(report), "", *markdown_table(rows(report)), "", *remarks]) + "\n"


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
    return (
        f"mmport {report.mmport}, CPython {report.python}, {report.machine}; "
        f"{report.rounds} rounds: medians of the ratios to the plain virtual environment "
        "(quartiles)."
    )


def machine() -> str:
    """This machine in general terms."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, pinned to one"

"""How time and memory grow with size, as plots: an SVG that needs nothing from outside."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from .drawing import Drawing, text
from .measurement import MMPORT, PLAIN

WIDTH = 760
PLOT_WIDTH = 300
PLOT_HEIGHT = 120
LEFT = 56
"""Where a plot begins; the figures of its axis stand before it."""
TOP = 84
ROW = 196
STEP = WIDTH // 2

CLASSES = {PLAIN: "plain", "python bundle": "zip", MMPORT: "mmport"}
"""Lines by way, in the order in which they are drawn."""

STYLE = """\
text { font: 12px system-ui, sans-serif; fill: #1f2328; }
.heading { font-size: 15px; font-weight: 600; }
.title { font-weight: 600; }
.axis { text-anchor: end; fill: #59636e; }
.label { text-anchor: middle; fill: #59636e; }
.quiet { fill: #59636e; }
.grid { stroke: #d1d9e0; stroke-width: 1; }
polyline { fill: none; stroke-width: 2; }
polyline.plain { stroke: #818b98; }
polyline.zip { stroke: #818b98; stroke-dasharray: 4 4; }
polyline.mmport { stroke: #c4501b; }
circle.plain, circle.zip { fill: #818b98; }
circle.mmport { fill: #c4501b; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .axis, .label, .quiet { fill: #9198a1; }
  .grid { stroke: #3d444d; }
  polyline.mmport { stroke: #f0883e; }
  circle.mmport { fill: #f0883e; }
}"""


@dataclass
class Point:
    """What was measured at one size: samples by way; those at the same index are of one round."""

    series: str
    label: str
    milliseconds: dict[str, list[float]] = field(default_factory=dict)
    processor_milliseconds: dict[str, list[float]] = field(default_factory=dict)
    resident: dict[str, list[float]] = field(default_factory=dict)
    """Mebibytes resident at most, pages of mapped files included."""
    private: dict[str, list[float]] = field(default_factory=dict)
    """Mebibytes of them at the end that are no file's."""


def as_svg(points: list[Point], footing: str) -> str:
    """A row of two plots for each series: processor time and memory."""
    series = list(dict.fromkeys(point.series for point in points))
    height = TOP + ROW * len(series)
    heading = "One start, as sizes grow: processor time and memory"
    shapes, facts = [], []
    for row, name in enumerate(series):
        of_series = [point for point in points if point.series == name]
        labels = [point.label for point in of_series]
        top = TOP + ROW * row
        time = medians([point.processor_milliseconds for point in of_series])
        memory = medians([point.resident for point in of_series])
        shapes += plot(0, top, f"ms, by {name}", labels, time)
        shapes += plot(STEP, top, f"MiB at most, by {name}", labels, memory)
        for unit, lines in (("ms", time), ("MiB", memory)):
            for way, values in lines.items():
                shown = (
                    f"{label}: {value:.0f}"
                    for label, value in zip(labels, values, strict=True)
                    if value is not None
                )
                facts.append(f"{way}, {unit} by {name}: {', '.join(shown)}")
    description = ". ".join([*facts, footing])
    drawing = Drawing(WIDTH, height, STYLE, heading, description, footing)
    return drawing.with_shapes([*legend(), *shapes])


def medians(samples: list[dict[str, list[float]]]) -> dict[str, list[float | None]]:
    """The median at each size, by way; none where a way does not run."""
    return {
        way: [statistics.median(sample[way]) if way in sample else None for sample in samples]
        for way in CLASSES
        if any(way in sample for sample in samples)
    }


def legend() -> list[str]:
    """What the lines stand for."""
    titles = {
        PLAIN: "Python on a folder with bytecode",
        "python bundle": "Python on the bundle (zipimport)",
        MMPORT: "mmport run",
    }
    shapes, left = [], 12.0
    for way, title in titles.items():
        shapes.append(line([(left, 44), (left + 24, 44)], CLASSES[way]))
        shapes.append(text(left + 30, 48, title))
        left += 48 + 6.4 * len(title)
    return shapes


def plot(
    left: float, top: float, title: str, labels: list[str], lines: dict[str, list[float | None]]
) -> list[str]:
    """One plot: sizes side by side, values from zero up."""
    left += LEFT
    most = max(value for values in lines.values() for value in values if value is not None)
    ceiling = nice_ceiling(most)
    base = top + PLOT_HEIGHT
    shapes = [text(left - 44, top - 12, title, "title")]
    for part in range(5):
        height = base - PLOT_HEIGHT * part / 4
        shapes.append(
            f'<line class="grid" x1="{left:.1f}" y1="{height:.1f}" '
            f'x2="{left + PLOT_WIDTH:.1f}" y2="{height:.1f}"/>'
        )
        shapes.append(text(left - 6, height + 4, f"{ceiling * part / 4:,g}", "axis"))
    across = [left + PLOT_WIDTH * (number + 0.5) / len(labels) for number in range(len(labels))]
    for place, label in zip(across, labels, strict=True):
        shapes.append(text(place, base + 18, label, "label"))
    for way, values in lines.items():
        places = [
            (place, base - PLOT_HEIGHT * value / ceiling)
            for place, value in zip(across, values, strict=True)
            if value is not None
        ]
        name = CLASSES[way]
        shapes.append(line(places, name))
        shapes += [f'<circle class="{name}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places]
    return shapes


def nice_ceiling(value: float) -> float:
    """A round number, not below the value, that four parts of are round as well."""
    step = 1.0
    while True:
        for factor in (4, 6, 8, 10, 16, 20, 24, 32):
            if value <= factor * step:
                return factor * step
        step *= 10


def line(places: list[tuple[float, float]], name: str) -> str:
    """A line through some places."""
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<polyline class="{name}" points="{points}"/>'

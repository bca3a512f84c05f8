"""What was measured, as a picture: an SVG that needs nothing from outside."""

from __future__ import annotations

import statistics

from .drawing import Drawing, text
from .measurement import MMPORT, PLAIN
from .preparation import ComparisonError
from .report import Report, ratio_of

WIDTH = 720
LEFT = 190
"""Where the bars begin; the titles stand before it."""
LONGEST = 340
"""Length of the longest bar; the figures stand behind it."""
TOP = 62
ROW = 46
BAR = 15

STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.heading { font-size: 15px; font-weight: 600; }
.title, .axis { text-anchor: end; }
.plain { fill: #afb8c1; }
.mmport { fill: #c4501b; }
.strong { font-weight: 600; }
.quiet { fill: #59636e; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .plain { fill: #656c76; }
  .mmport { fill: #f0883e; }
  .quiet { fill: #9198a1; }
}"""


def as_svg(report: Report) -> str:
    """The report as a bar chart: the plain environment and mmport, in milliseconds."""
    medians = []
    for item in report.measurements:
        warm = item.samples.get("warm", {})
        if PLAIN in warm and MMPORT in warm:
            plain, mmport = (
                statistics.median(sample["milliseconds"] for sample in warm[way])
                for way in (PLAIN, MMPORT)
            )
            medians.append((item, plain, mmport))
    if not medians:
        raise ComparisonError("there is nothing to draw: that takes warm starts of `mmport run`")
    scale = LONGEST / max(max(plain, mmport) for _, plain, mmport in medians)
    height = TOP + ROW * len(medians) + 22
    facts = []
    shapes = []
    for number, (item, plain, mmport) in enumerate(medians):
        warm = item.samples["warm"]
        factor = f"{ratio_of(warm[MMPORT], warm[PLAIN], 'milliseconds').median:.2f}"
        facts.append(f"{item.title}: {plain:.0f} ms, mmport {mmport:.0f} ms, ratio {factor}")
        top = TOP + ROW * number
        shapes.append(text(LEFT - 12, top + BAR + 5, item.title, "title"))
        shapes.append(bar(top, plain * scale, "plain"))
        shapes.append(text(LEFT + plain * scale + 8, top + 12, f"{plain:.0f} ms", "quiet"))
        shapes.append(bar(top + BAR + 2, mmport * scale, "mmport"))
        label = f"{mmport:.0f} ms · ratio {factor}"
        shapes.append(text(LEFT + mmport * scale + 8, top + BAR + 14, label, "strong"))
    heading = "Start to exit, in milliseconds; shorter is better"
    description = f"{heading}. {'; '.join(facts)}. {footing(report)}"
    legend = [
        '<rect class="plain" x="12" y="36" width="12" height="12" rx="2"/>',
        text(30, 47, "virtual environment"),
        '<rect class="mmport" x="172" y="36" width="12" height="12" rx="2"/>',
        text(190, 47, "mmport run, and the median of the ratios of paired runs"),
    ]
    drawing = Drawing(WIDTH, height, STYLE, heading, description, footing(report))
    return drawing.with_shapes([*legend, *shapes])


def bar(top: float, length: float, name: str) -> str:
    """A horizontal bar."""
    return (
        f'<rect class="{name}" x="{LEFT}" y="{top:.0f}" width="{max(length, 1):.1f}" '
        f'height="{BAR}" rx="2"/>'
    )


def footing(report: Report) -> str:
    """What was measured, where, in one line."""
    return f"mmport {report.mmport}, CPython {report.python}, {report.machine}"

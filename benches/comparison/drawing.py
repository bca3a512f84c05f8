"""What all pictures share: their frame, with title and footing, and lines of text."""

from __future__ import annotations

from dataclasses import dataclass
from xml.sax.saxutils import escape


@dataclass(frozen=True)
class Drawing:
    """A picture without its shapes."""

    width: float
    height: float
    style: str
    heading: str
    description: str
    """For who cannot see it."""
    footing: str
    """What was measured, where, in one line."""

    def with_shapes(self, shapes: list[str]) -> str:
        """The picture as SVG."""
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" role="img" '
            'aria-labelledby="title description">',
            f'<title id="title">{escape(self.heading)}</title>',
            f'<desc id="description">{escape(self.description)}</desc>',
            f"<style>\n{self.style}\n</style>",
            text(12, 22, self.heading, "heading"),
            *shapes,
            text(12, self.height - 8, self.footing, "quiet"),
            "</svg>",
        ]
        return "\n".join(lines) + "\n"


def text(left: float, base: float, content: str, name: str = "") -> str:
    """A line of text."""
    style = f' class="{name}"' if name else ""
    return f'<text{style} x="{left:.1f}" y="{base:.1f}">{escape(content)}</text>'

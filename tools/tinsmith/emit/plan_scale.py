"""From moments and addresses to pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from ..timeline import Timeline

MOST_FOR_NAMES = 0.7  # of the width; the rest is shared out by steps
END = 7  # pixels of the moment after the last call


def number(value: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")


@dataclass(frozen=True)
class Box:
    """Where a panel lies in the picture."""

    x: float
    y: float
    width: float
    height: float

    @property
    def bottom(self) -> float:
        return self.y + self.height

    def y_of(self, nbytes: float, top: int) -> float:
        """The height of an address, where `top` bytes reach the upper edge."""
        return self.bottom - self.height * nbytes / top


@dataclass(frozen=True, eq=False)
class Scale:
    """Time across by steps, but never too narrow for a layer's name; addresses up."""

    box: Box
    top: int  # bytes at the upper edge
    gap: float  # pixels between names
    edges: Sequence[float]  # x of the beginning of each moment, and of the end

    @classmethod
    def of(cls, line: Timeline, box: Box, top: int, gap: float) -> Scale:
        segments = line.segments
        least = [gap * min(len(s.nodes) or 1, 12) for s in segments]
        room = box.width - END
        shrink = min(1.0, MOST_FOR_NAMES * room / sum(least)) if least else 1.0
        share = (room - sum(least) * shrink) / max(1, sum(line.steps[:-1]))
        widths: list[float] = []
        for s, own in zip(segments, least, strict=True):
            steps = line.steps[s.first : s.last + 1]
            extra = own * shrink / sum(steps)
            widths += [count * (share + extra) for count in steps]
        return cls(box, top, gap, [box.x + offset for offset in accumulate([*widths, END], initial=0.0)])

    def x(self, moment: int) -> float:
        """Where a moment begins."""
        return self.edges[moment]

    def y(self, address: float) -> float:
        return self.box.y_of(address, self.top)

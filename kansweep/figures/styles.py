"""The styles of figures, for a screen, a column of a journal and slides, and which is applied."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

TEXT = 9.0  # points of plain text on a screen

SAVE_STYLE: dict[Any, Any] = {
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "kansweep",
}
"""For `matplotlib.rc_context` around `savefig`: fonts embedded, nothing random in the file."""


@dataclass(frozen=True)
class Style:
    """Sizes and fonts of all figures."""

    text: float  # points of plain text
    fonts: tuple[str, ...]
    formulas: str  # Matplotlib's name of their fonts
    marks: float  # lines and markers, in those of a screen
    margin: float  # inches about what is drawn
    dpi: float  # of a PNG
    width: float | None = None  # inches of the page; None: as each figure is

    @property
    def settings(self) -> dict[Any, Any]:
        """For `matplotlib.rc_context` around the drawing."""
        sizes = {name: points * self.text / TEXT for name, points in _TEXTS.items()}
        marks = {name: points * self.marks for name, points in _MARKS.items()}
        fonts = {"font.family": list(self.fonts), "mathtext.fontset": self.formulas}
        return _FRAME | sizes | marks | fonts


_FRAME: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
_TEXTS = {
    "font.size": TEXT,
    "axes.titlesize": 10.0,
    "axes.titlepad": 10.0,
    "axes.labelpad": 4.0,
    "legend.fontsize": 8.5,
    "legend.title_fontsize": 8.5,
}
_MARKS = {
    "axes.linewidth": 0.8,
    **{f"{side}tick.major.size": 3.5 for side in "xy"},
    **{f"{side}tick.minor.size": 2.0 for side in "xy"},
    **{f"{side}tick.major.width": 0.8 for side in "xy"},
    **{f"{side}tick.minor.width": 0.6 for side in "xy"},
}
_SANS = ("DejaVu Sans",)
STYLES = {
    "screen": Style(TEXT, _SANS, "dejavusans", marks=1.0, margin=0.08, dpi=200.0),
    # One column of a journal; STIX is drawn to go with Times. DejaVu has what it has not.
    "paper": Style(8.0, ("STIXGeneral", *_SANS), "stix", 0.65, margin=0.03, dpi=600.0, width=3.4),
    "slides": Style(16.0, _SANS, "dejavusans", marks=1.6, margin=0.12, dpi=200.0, width=10.0),
}
_applied: ContextVar[Style] = ContextVar("style", default=STYLES["screen"])


@contextmanager
def applied(name: str, width: float | None = None) -> Iterator[None]:
    """Draw figures in one of `STYLES`, so many inches wide; None: as wide as the style has them."""
    style = STYLES[name]
    token = _applied.set(style if width is None else replace(style, width=width))
    try:
        yield
    finally:
        _applied.reset(token)


def current() -> Style:
    """The style that is applied."""
    return _applied.get()


def saving() -> dict[Any, Any]:
    """For `matplotlib.rc_context` around `savefig`, in the style that is applied."""
    return SAVE_STYLE | {"savefig.dpi": current().dpi}

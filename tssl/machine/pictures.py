"""Figures as files."""

from pathlib import Path
from typing import TYPE_CHECKING

from tssl.machine.files import written

if TYPE_CHECKING:  # whoever draws has imported it, and nobody else waits for it
    from matplotlib.figure import Figure

__all__ = ["save_figure"]


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a PNG file, whole or not at all."""
    with written(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150, metadata={"Software": None})

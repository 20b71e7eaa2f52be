"""Shapes of layers, and windows that slide over an image."""

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

__all__ = ["Geometry", "Pair", "Shape"]

Pair: TypeAlias = tuple[int, int]
"""(height, width)."""
Shape: TypeAlias = tuple[int, ...]
"""Of one step of one sample: (C, H, W) or (neurons,)."""


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Windows that slide over an image, as those of ``torch.nn.Conv2d``.

    Parameters
    ----------
    kernel, stride, padding, dilation
        (height, width) in pixels.
    groups
        Groups of channels that do not see each other.
    """

    shares_weights: ClassVar[bool] = True
    """Whether all windows have the same weights, as those of a convolution."""

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    @staticmethod
    def centred(kernel: Pair) -> "Geometry":
        """Return windows of odd size around every pixel, so that the shape stays."""
        return Geometry(kernel=kernel, padding=(kernel[0] // 2, kernel[1] // 2))

    @property
    def span(self) -> Pair:
        """Pixels that a window reaches over, the gaps of its dilation included."""
        rows, columns = (
            gap * (kernel - 1) + 1 for gap, kernel in zip(self.dilation, self.kernel, strict=True)
        )
        return rows, columns

    def positions(self, image: Pair) -> Pair:
        """Return how many windows an image (H, W) holds; below 1 where it is too small."""
        rows, columns = (
            (size + 2 * pad - span) // step + 1
            for size, pad, span, step in zip(
                image, self.padding, self.span, self.stride, strict=True
            )
        )
        return rows, columns

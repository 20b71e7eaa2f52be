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
    def is_tiling(self) -> bool:
        """Whether windows lie side by side, so that no pixel is in two of them."""
        return self.stride == self.kernel and self.dilation == (1, 1) and not any(self.padding)

    @property
    def overlaps(self) -> bool:
        """Whether a pixel may be in two windows, where these have no gaps."""
        return any(step < size for step, size in zip(self.stride, self.kernel, strict=True))

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

    def behind(self, pool: "Geometry", image: Pair) -> "Geometry | None":
        """Return the windows over an image (H, W) that see what these see of its pool.

        Their kernels have the gaps of the pool's stride, filled by its window. Padding of the image
        stands for zeros around the pool; None where a window of the pool there would reach into the
        image.
        """
        axes = zip(
            self.padding, pool.kernel, pool.stride, pool.padding, pool.positions(image), image,
            strict=True,
        )  # fmt: skip
        for zeros, kernel, stride, padding, count, size in axes:
            if zeros and (kernel > stride + padding or count * stride - padding < size):
                return None
        (high, wide), (down, right), (up, left) = self.span, pool.stride, pool.padding
        return Geometry(
            kernel=((high - 1) * down + pool.kernel[0], (wide - 1) * right + pool.kernel[1]),
            stride=(self.stride[0] * down, self.stride[1] * right),
            padding=(self.padding[0] * down + up, self.padding[1] * right + left),
            groups=self.groups,
        )

"""Batch norm of weighted currents."""

import torch.nn.functional as F
from torch import Tensor

from tssl.errors import TrainingError
from tssl.graph import NORM, NORM_EPSILON

__all__ = ["AVERAGES", "FIRST", "normalised"]

FIRST = dict(zip(NORM, (1.0, 0.0, 0.0, 1.0), strict=True))
"""What a norm begins with, by role."""
AVERAGES = NORM[2:]
"""Roles of what follows the batches and no gradient."""
_MOMENTUM = 0.1
"""Share of a batch in the running averages."""


def normalised(
    layer: str, current: Tensor, numbers: tuple[Tensor, ...], *, training: bool, follows: bool
) -> Tensor:
    r"""Return :math:`\gamma (I - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta` for each channel.

    Parameters
    ----------
    layer
        For the error.
    current
        ``(time, batch, channels, ...)``.
    numbers
        In the order of ``NORM``, each ``(channels,)``: :math:`\gamma`, :math:`\beta`, and the
        running averages of mean and unbiased variance.
    training
        Whether mean and (biased) variance are those of this current, over all its other axes, or
        the running averages.
    follows
        Whether the running averages take in a tenth of this current's.

    Raises
    ------
    TrainingError
        When there is but one value of each channel.

    References
    ----------
    .. [1] S. Ioffe and C. Szegedy, Batch Normalization, ICML 2015.
    """
    scale, shift, mean, variance = numbers
    together = current.flatten(0, 1)
    if training and together.numel() == len(scale):
        raise TrainingError(
            f"layer {layer}: norm = 'batch' has one value of each channel in this batch, which has "
            "no variance; use a larger training.batch_size or more time steps"
        )
    sees_batch = training and together.numel() > 0  # a process may go without samples
    momentum = _MOMENTUM if follows else 0.0
    result = F.batch_norm(
        together, mean, variance, scale, shift, sees_batch, momentum, NORM_EPSILON
    )
    return result.unflatten(0, current.shape[:2])

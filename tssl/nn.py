"""TSSL-BP layers as modules of PyTorch, for training loops of one's own.

>>> network = tssl.nn.Sequential(
...     tssl.nn.Dense(64, 128), tssl.nn.Dense(128, 10), time_steps=5
... )  # doctest: +SKIP
>>> potentials = network(pictures)  # (time, batch, 10), backward is TSSL-BP  # doctest: +SKIP
>>> run = tssl.from_torch(network, pictures, data="digits")  # doctest: +SKIP
"""

from tssl.trainer.layers import Conv2d, Dense, Pool, Sequential

__all__ = ["Conv2d", "Dense", "Pool", "Sequential"]

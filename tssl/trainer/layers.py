"""TSSL-BP layers as modules of PyTorch, for training loops of one's own."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tssl.errors import ConfigError
from tssl.geometry import Geometry, Pair
from tssl.recipe import TrainingSpec
from tssl.trainer.linear import weighted
from tssl.trainer.methods import initial_weight
from tssl.trainer.methods.tsslbp import rule_of
from tssl.trainer.neuron import Activity, Neurons, over_time, psp, sum_pool
from tssl.trainer.neuron import Pool as Windows

__all__ = ["Conv2d", "Dense", "Pool", "Sequential"]

_RULE = rule_of(TrainingSpec())
_GAINS = {"sum": 1.1, "average": 1.0}


class _Spiking(nn.Module):
    """Weights and neurons.

    Parameters
    ----------
    shape
        Of the weights, see :class:`tssl.graph.Parameter`.
    tau_m, tau_s, threshold
        See :class:`tssl.neurons.Lif`.
    bias
        Whether a trained number is added to each potential, or those of each map, at every step.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        geometry: Geometry | None,
        *,
        tau_m: float,
        tau_s: float,
        threshold: float,
        bias: bool,
    ) -> None:
        super().__init__()
        self.geometry = geometry
        self.tau_m, self.tau_s, self.threshold = tau_m, tau_s, threshold
        self.weight = nn.Parameter(initial_weight(shape, torch.default_generator))
        self.bias = nn.Parameter(torch.zeros(shape[0])) if bias else None

    def forward(self, potentials: Tensor, steps: int = 0, pool: "Pool | None" = None) -> Tensor:
        """Return the post-synaptic potentials ``(time, batch, ...)`` of what the neurons fire.

        Parameters
        ----------
        potentials
            What arrives, ``(time, batch, ...)``, filtered with this ``tau_s``; or, with ``steps``,
            an input ``(1, batch, ...)`` that is not filtered and stays the same for so long.
        pool
            What the result passes; together with the neurons it is faster than after them.
        """
        current = weighted(potentials, self.weight, self.geometry)
        windows = None if pool is None else pool.windows
        neurons = Neurons(
            self.tau_m, self.tau_s, self.threshold, constant_steps=steps, pool=windows
        )
        if self.bias is not None:
            maps = (-1, *[1] * (current.dim() - 3))
            current = over_time(current, neurons) + self.bias.view(maps)
            neurons = neurons._replace(constant_steps=0)
        return _RULE(current, neurons, Activity()).psp

    def entry(self) -> dict[str, Any]:
        """Return what a recipe would say of it."""
        return {
            "tau_m": self.tau_m,
            "tau_s": self.tau_s,
            "threshold": self.threshold,
            "bias": self.bias is not None,
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what training has found, by role."""
        return {role: each.detach().cpu().numpy() for role, each in self.named_parameters()}


class Dense(_Spiking):
    """All-to-all weights and spiking neurons; images are flattened in (C, H, W) order.

    Parameters
    ----------
    inputs, neurons
        Their numbers.
    tau_m, tau_s, threshold
        Time constants of membrane and synapse in steps, at least 1, and firing threshold.
    bias
        Whether a trained number is added to each potential at every step.
    """

    def __init__(
        self,
        inputs: int,
        neurons: int,
        *,
        tau_m: float = 5.0,
        tau_s: float = 3.0,
        threshold: float = 1.0,
        bias: bool = False,
    ) -> None:
        super().__init__(
            (neurons, inputs), None, tau_m=tau_m, tau_s=tau_s, threshold=threshold, bias=bias
        )

    def entry(self) -> dict[str, Any]:
        """Return what a recipe would say of it."""
        return {"type": "dense", "neurons": len(self.weight), **super().entry()}


class Conv2d(_Spiking):
    """A convolution and spiking neurons.

    Parameters
    ----------
    inputs, channels
        Numbers of maps that it takes and gives.
    kernel, stride, padding, dilation
        (height, width), or one number for both.
    groups
        Of maps that see each other.
    tau_m, tau_s, threshold, bias
        See :class:`Dense`; a bias for each map.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        kernel: int | Pair,
        *,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        tau_m: float = 5.0,
        tau_s: float = 3.0,
        threshold: float = 1.0,
        bias: bool = False,
    ) -> None:
        if inputs % groups or channels % groups:
            raise ConfigError(
                f"Conv2d: groups = {groups} do not divide {inputs} and {channels} maps"
            )
        windows = Geometry(
            kernel=_pair(kernel),
            stride=_pair(stride),
            padding=_pair(padding),
            dilation=_pair(dilation),
            groups=groups,
        )
        shape = (channels, inputs // groups, *windows.kernel)
        super().__init__(shape, windows, tau_m=tau_m, tau_s=tau_s, threshold=threshold, bias=bias)

    def entry(self) -> dict[str, Any]:
        """Return what a recipe would say of it."""
        pairs = ("kernel", "stride", "padding", "dilation")
        return {
            "type": "conv",
            "channels": len(self.weight),
            "groups": getattr(self.geometry, "groups", 1),
            **{key: list(getattr(self.geometry, key)) for key in pairs},
            **super().entry(),
        }


class Pool(nn.Module):
    """Sums or averages of post-synaptic potentials in windows that do not overlap.

    Parameters
    ----------
    kernel
        (height, width), or one number for both.
    mode
        ``sum``, times 1.1 as in the official code, or ``average``.
    """

    def __init__(self, kernel: int | Pair, mode: Literal["sum", "average"] = "sum") -> None:
        super().__init__()
        if mode not in _GAINS:
            raise ConfigError(f"Pool: mode = {mode!r}; 'sum' and 'average' are possible")
        self.kernel, self.mode = _pair(kernel), mode
        shared_by = self.kernel[0] * self.kernel[1] if mode == "average" else 1
        self.windows = Windows(self.kernel, _GAINS[mode] / shared_by)

    def forward(self, potentials: Tensor) -> Tensor:
        """Return pooled potentials ``(time, batch, C, H, W)``."""
        return sum_pool(potentials, self.windows)

    def entry(self) -> dict[str, Any]:
        """Return what a recipe would say of it."""
        return {"type": "pool", "kernel": list(self.kernel), "mode": self.mode}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return nothing: it does not learn."""
        return {}


class Sequential(nn.Module):
    """Layers of this module, one behind the other; ``tssl.from_torch`` takes it to an export.

    Parameters
    ----------
    layers
        :class:`Dense`, :class:`Conv2d` and :class:`Pool`; all ``tau_s`` are the same.
    time_steps
        For which an input without a time axis is shown.

    Raises
    ------
    ConfigError
        When there is another layer among them, or another ``tau_s``.
    """

    def __init__(self, *layers: Dense | Conv2d | Pool, time_steps: int) -> None:
        super().__init__()
        self.time_steps = time_steps
        for number, layer in enumerate(layers):
            if not isinstance(layer, Dense | Conv2d | Pool):
                raise ConfigError(
                    f"Sequential: layer {number} is a {type(layer).__name__}; Dense, Conv2d and "
                    "Pool of tssl.nn are possible"
                )
        if not layers or isinstance(layers[-1], Pool):
            raise ConfigError("Sequential: the last layer must have neurons")
        found = sorted({layer.tau_s for layer in layers if not isinstance(layer, Pool)})
        if len(found) > 1:
            raise ConfigError(
                f"Sequential: layers have tau_s = {', '.join(map(str, found))}; each filters for "
                "the next with its own, so they must be the same"
            )
        self.tau_s = found[0]
        self.layers = nn.ModuleList(layers)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the last layer's post-synaptic potentials, ``(time, batch, ...)``, from rest.

        Parameters
        ----------
        inputs
            ``(batch, C, H, W)`` or ``(batch, features)``, shown at every step; or time in front.
        """
        steps = 0
        if inputs.dim() % 2 == 0:
            signal, steps = inputs[None], self.time_steps
        else:
            signal = psp(inputs, tau_s=self.tau_s)
        layers = iter(zip(self.layers, [*self.layers[1:], None], strict=True))
        for layer, behind in layers:
            if isinstance(layer, Pool):
                signal = layer(signal)
                continue
            pool = behind if isinstance(behind, Pool) else None
            signal, steps = layer(signal, steps, pool), 0
            if pool is not None:
                next(layers)
        return signal

    def described(self) -> list[tuple[dict[str, Any], Mapping[str, NDArray[Any]]]]:
        """Return each layer as a recipe would say it, and its arrays by role."""
        found: list[tuple[dict[str, Any], Mapping[str, NDArray[Any]]]] = []
        own = [each for each in self.layers if isinstance(each, Dense | Conv2d | Pool)]
        for number, layer in enumerate(own, start=1):
            entry = layer.entry()
            found.append(({"name": f"{entry['type']}{number}", **entry}, layer.arrays()))
        return found


def _pair(size: int | Pair) -> Pair:
    return (size, size) if isinstance(size, int) else (size[0], size[1])

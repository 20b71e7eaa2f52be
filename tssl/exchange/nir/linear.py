"""What leads to the neurons of a node: a convolution behind pools, or a matrix."""

import math
from collections.abc import Mapping
from functools import cached_property

import numpy as np

from tssl.chip import ungrouped
from tssl.errors import UnsupportedLayerError
from tssl.exchange.nir.beside import Convolution, Way, side_by_side
from tssl.exchange.nir.description import Nir, NirNode
from tssl.exchange.nir.maps import Floats, applied, geometry, padding_of
from tssl.exchange.nir.timing import Timing
from tssl.geometry import Geometry, Shape

__all__ = ["Arriving", "may_pool", "pool_windows", "windows_of"]

_MOST_ENTRIES = 1 << 24
"""Of a matrix, beyond which no layer is made all-to-all."""
_BATCH = 256


class Arriving:
    """The linear map from firing nodes and the input to the neurons of one node.

    Parameters
    ----------
    flat
        Names of the firing nodes that have no maps in tssl: what they send has lost its shape.
    """

    def __init__(
        self, nir: Nir, node: NirNode, sizes: Mapping[str, Shape], timing: Timing, flat: set[str]
    ) -> None:
        self.nir, self.node, self.sizes, self.flat = nir, node, sizes, flat
        self._check(timing)

    @cached_property
    def between(self) -> list[NirNode]:
        """The nodes on the ways to it, each behind those that it hears."""
        found: set[str] = set()
        waiting = [self.node.name]
        while waiting:
            for name in self._heard(waiting.pop()):
                if not self._is_source(name) and name not in found:
                    found.add(name)
                    waiting.append(name)
        return [node for node in self.nir.order if node.name in found]

    @cached_property
    def sources(self) -> list[str]:
        """Names of the input and of the other firing nodes that reach it in the same step."""
        heard = {name for node in (*self.between, self.node) for name in self._now(node.name)}
        names = (node.name for node in self.nir.order if node.name in heard)
        return [name for name in names if self._is_source(name)]

    @property
    def is_recurrent(self) -> bool:
        """Whether its own spikes reach it, one step later."""
        return any(self.nir.late_sources[node.name] for node in (*self.between, self.node))

    def constant(self) -> Floats:
        """Return what arrives at every step where nothing fires, ``shape``."""
        return self._value({}, 1)[0]

    def matrices(self) -> dict[str, Floats]:
        """Return ``(neurons, inputs)`` by source; its own name for a recurrence.

        Raises
        ------
        UnsupportedLayerError
            When one would be too large.
        """
        names = [*self.sources, *([self.node.name] if self.is_recurrent else [])]
        return {name: self._matrix(name) for name in names}

    def convolution(self) -> Convolution | None:
        """Return a convolution that does the same, or None where there is none."""
        shape = self.sizes[self.node.name]
        if len(shape) != 3:
            return None
        heard = [name for name in self._now(self.node.name) if name not in self._only_late]
        whole = self._branch(heard)
        if whole is not None or len(heard) < 2:
            return self._if_it_may(whole)
        branches = [self._branch([name]) for name in heard]
        found = [branch for branch in branches if branch is not None]
        if len(found) < len(branches):
            return None
        return self._if_it_may(side_by_side(found, self.sizes, (shape[1], shape[2])))

    def is_padded(self, way: Way) -> bool:
        """Return whether a pool of a way has padding."""
        return any(any(pool_windows(self.nir.nodes[pool]).padding) for pool in way.pools)

    def own_kernel(self) -> Floats | None:
        """Return ``(O, O, k, k)`` of a recurrence that is a convolution of odd windows, or None."""
        late = [node for node in self.between if self.nir.late_sources[node.name]]
        channels = self.sizes[self.node.name][0]
        if not late and self.nir.late_sources[self.node.name]:
            return np.eye(channels)[:, :, None, None]
        if len(late) != 1 or late[0].kind != "Conv2d" or self.nir.sources[late[0].name]:
            return None
        if late[0].name not in self.nir.sources[self.node.name]:
            return None
        windows, weight = windows_of(late[0]), late[0]["weight"]
        rows, columns = weight.shape[2:]
        if windows is None or rows != columns or rows % 2 == 0:
            return None
        centred = Geometry.centred((rows, columns))
        if (windows.stride, windows.padding, windows.dilation) != (
            centred.stride, centred.padding, centred.dilation,
        ):  # fmt: skip
            return None
        return ungrouped(weight, windows.groups)

    def _check(self, timing: Timing) -> None:
        for node in self.between:
            if not node.of.is_linear:
                raise UnsupportedLayerError(
                    f"{self.nir.origin}: {node.title}: keeps a state and sends no spikes, which "
                    "neurons of the chip cannot; make it a LIF or CubaLIF, or read the spikes "
                    "before it"
                )
            if node.kind == "Delay" and timing.delay(node).any():
                raise UnsupportedLayerError(
                    f"{self.nir.origin}: {node.title}: waits up to {timing.delay(node).max()} "
                    "steps; layers of tssl have no delays; leave it out, or add its steps to the "
                    "data where it follows the input"
                )

    def _heard(self, name: str) -> list[str]:
        return self.nir.sources[name] + self.nir.late_sources[name]

    def _now(self, name: str) -> list[str]:
        return self.nir.sources[name]

    def _is_source(self, name: str) -> bool:
        return self.nir.nodes[name].is_source

    def _value(self, given: Mapping[str, Floats], batch: int) -> Floats:
        """Return what arrives for values of some sources, ``(batch, *shape)``; others send 0."""
        sent: dict[str, Floats] = dict(given)
        for node in (*self.between, self.node):
            heard = [
                sent[name] if name in sent else np.zeros((batch, *self.sizes[name]))
                for name in self._heard(node.name)
            ]
            total = sum(heard[1:], start=heard[0])
            if node is self.node:
                return total
            sent[node.name] = applied(node, total)
        raise TypeError("a node is behind all that leads to it")

    def _matrix(self, source: str) -> Floats:
        inputs, neurons = math.prod(self.sizes[source]), math.prod(self.sizes[self.node.name])
        if inputs * neurons > _MOST_ENTRIES:
            raise UnsupportedLayerError(
                f"{self.nir.origin}: {self.node.title}: what reaches it from {source} is no plain "
                f"convolution, and as a matrix has {inputs} times {neurons} weights; make it a "
                "Conv2d without padding, behind pools or not"
            )
        matrix = np.empty((neurons, inputs))
        constant = self.constant().reshape(-1, 1)
        for first in range(0, inputs, _BATCH):
            part = np.eye(inputs)[first : first + _BATCH]
            values = part.reshape(len(part), *self.sizes[source])
            sums = self._value({source: values}, len(part)).reshape(len(part), -1)
            matrix[:, first : first + len(part)] = sums.T - constant
        return matrix

    def _branch(self, heard: list[str]) -> Convolution | None:
        """Return the convolution through which some nodes reach the neurons, or None.

        Behind sources and pools, at most one node of weights and scales of one number may lie in a
        row; what arrives a step later has a way of its own.
        """
        chain: list[NirNode] = []
        while len(heard) == 1 and not self._stays(heard[0]):
            node = self.nir.nodes[heard[0]]
            if self.nir.late_sources[node.name]:
                return None
            chain.insert(0, node)
            heard = self._now(node.name)
        if not all(self._stays(name) for name in heard):
            return None
        weights = self._weights_of(chain)
        return weights and Convolution(*weights, [self._way(name) for name in heard])

    def _weights_of(self, chain: list[NirNode]) -> tuple[Floats, Geometry] | None:
        """Return weights and windows of nodes in a row, or None where they are no convolution."""
        factor, conv = 1.0, None
        for node in chain:
            if node.kind == "Scale" and np.ptp(node["scale"]) == 0:
                factor *= float(node["scale"].reshape(-1)[0])
            elif node.kind == "Conv2d" and conv is None:
                conv = node
            else:
                return None
        if conv is None:
            channels = self.sizes[self.node.name][0]
            return factor * np.eye(channels)[:, :, None, None], Geometry(kernel=(1, 1))
        windows = windows_of(conv)
        return None if windows is None else (factor * conv["weight"], windows)

    @cached_property
    def _only_late(self) -> set[str]:
        """Nodes through which nothing but the neurons' own spikes comes."""
        found: set[str] = set()
        for node in self.between:
            if found.issuperset(self._now(node.name)):
                found.add(node.name)
        return found

    def _stays(self, name: str) -> bool:
        """Whether a node is a source, or a pool that tssl has as a layer, behind one."""
        if self._is_source(name):
            return len(self.sizes[name]) == 3 and name not in self.flat
        node = self.nir.nodes[name]
        if not node.of.is_pool or len(self._now(name)) != 1 or self._heard(name)[1:]:
            return False
        zeros = padding_of(node, geometry(node, "kernel_size", 1))
        is_even = all(before == behind for before, behind in zeros)
        return is_even and may_pool(pool_windows(node)) and self._stays(self._now(name)[0])

    def _if_it_may(self, found: Convolution | None) -> Convolution | None:
        """Return a convolution if it is one of what is before the pools of its ways."""
        if found is None or not all(self._may_merge(way, found.windows) for way in found.ways):
            return None
        return found

    def _may_merge(self, way: Way, windows: Geometry) -> bool:
        """Whether a convolution behind the pools of a way is one of what is before them."""
        for pool in reversed(way.pools):
            _, height, width = self.sizes[self._now(pool)[0]]
            merged = windows.behind(pool_windows(self.nir.nodes[pool]), (height, width))
            if merged is None:
                return False
            windows = merged
        return True

    def _way(self, name: str) -> Way:
        """Return the way to a source through pools."""
        pools: list[str] = []
        while not self._is_source(name):
            pools.insert(0, name)
            (name,) = self._now(name)
        return Way(name, tuple(pools))


def pool_windows(node: NirNode) -> Geometry:
    """Return the windows of a pool whose zeros are as many on either side."""
    kernel = geometry(node, "kernel_size", 1)
    (up, _), (left, _) = padding_of(node, kernel)
    return Geometry(kernel=kernel, stride=geometry(node, "stride", 1), padding=(up, left))


def may_pool(windows: Geometry) -> bool:
    """Return whether a pool of tssl may have these windows: no gaps, and half of them inside."""
    halves = zip(windows.padding, windows.kernel, strict=True)
    return windows.dilation == (1, 1) and all(2 * zeros <= size for zeros, size in halves)


def windows_of(node: NirNode) -> Geometry | None:
    """Return the windows of a ``Conv2d``; None where its zeros differ from side to side."""
    weight = node["weight"]
    kernel, dilation = (weight.shape[2], weight.shape[3]), geometry(node, "dilation", 1)
    spans = tuple(gap * (size - 1) + 1 for gap, size in zip(dilation, kernel, strict=True))
    rows, columns = padding_of(node, (spans[0], spans[1]))
    if rows[0] != rows[1] or columns[0] != columns[1]:
        return None
    return Geometry(
        kernel=kernel,
        stride=geometry(node, "stride", 1),
        padding=(rows[0], columns[0]),
        dilation=dilation,
        groups=int(node["groups"].reshape(-1)[0]),
    )

"""Networks that need no autograd's graph; see :mod:`tssl.trainer.tape`."""

from collections.abc import Mapping, Sequence

from tssl.chip import INPUT
from tssl.trainer.methods.method import Block
from tssl.trainer.neuron import Pool, pool_fits

__all__ = ["is_plain"]


def is_plain(blocks: Sequence[Block], filters: Mapping[str, float]) -> bool:
    """Return whether between neurons there are only weights, dropout, sums and pools.

    Biases, norms, gates, trained leaks, feedback and second filters are left to autograd.

    Parameters
    ----------
    blocks
        All layers, in order.
    filters
        See :func:`tssl.trainer.filters.filters_of`.
    """
    return all(_block_is_plain(block, filters) for block in blocks)


def _block_is_plain(block: Block, filters: Mapping[str, float]) -> bool:
    node, pool = block
    if node.gate is not None or not node.parameters.keys() <= {"weight"}:
        return False
    if INPUT in node.sources and len(node.sources) > 1:  # may be constant among others
        return False
    if pool is not None and not pool_fits(node.output_shape[-2:], Pool.of(pool)):
        return False
    tau_s = filters[node.name] if node.neuron is None else node.neuron.tau_s
    return all(source == INPUT or filters[source] == tau_s for source in node.sources)

"""The kinds of layers, one file each: what a recipe may say of one, and what it then is.

A new kind is a file here that makes a :class:`Kind`, and a line in :data:`KINDS`.
"""

from tssl.graph.kinds.concat import CONCAT
from tssl.graph.kinds.conv import CONV
from tssl.graph.kinds.dense import DENSE
from tssl.graph.kinds.gate import GATE
from tssl.graph.kinds.kind import Block, Kind, LayerEntry
from tssl.graph.kinds.pool import POOL
from tssl.graph.kinds.sew import SEW, SEW_DENSE

__all__ = ["Block", "KINDS", "Kind", "LayerEntry"]

KINDS: dict[str, Kind | Block] = {
    "dense": DENSE,
    "conv": CONV,
    "pool": POOL,
    "concat": CONCAT,
    "gate": GATE,
    "sew": SEW,
    "sew-dense": SEW_DENSE,
}

"""The ``.net`` file: HDF5 as lava-dl's netx reads it. All netx key names are in this folder.

Layout (``i`` counts the entries of a chain)::

    /layer/<i>/type      input | flatten | conv | dense | dense_rec
    /layer/<i>/shape     of one step of output, (C, H, W) or (neurons,)
    /layer/<i>/neuron/   type = CUBA, iDecay, vDecay, vThMant  (integers, one or one per neuron)
    /layer/<i>/weight, bias, delay, weight_rec, stride, padding, dilation, groups

What only this project needs is in attributes, which lava-dl ignores: ``tssl`` of the root (a
JSON document: name, encoding, time steps, notes), ``tssl_sha256`` of the root (a seal on that
document and the network) and ``name`` of a layer. Texts in attributes have a fixed length.
"""

from tssl.netx.reader import loadable_layers, read, read_notes
from tssl.netx.rules import FORMAT_VERSION, is_graph
from tssl.netx.writer import as_bytes, kind_of, write

__all__ = [
    "FORMAT_VERSION",
    "as_bytes",
    "is_graph",
    "kind_of",
    "loadable_layers",
    "read",
    "read_notes",
    "write",
]

"""The neurons that a network may have, one file each."""

from tssl.neurons.lif import Lif

__all__ = ["Lif"]

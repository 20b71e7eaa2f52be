"""Networks that are PyTorch modules of other libraries, none of which is imported.

A module is taken by the name of its class and of its library, and by its attributes. It becomes the
NIR graph that steps as it does (:func:`read`), which :func:`tssl.exchange.nir.lower` takes on.
"""

from tssl.exchange.torch.modules import Read, read
from tssl.exchange.torch.place import Module

__all__ = ["Module", "Read", "read"]

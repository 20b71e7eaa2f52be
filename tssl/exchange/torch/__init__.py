"""Networks that are PyTorch modules of other libraries, none of which is imported.

A module is taken by the name of its class and of its library, and by its attributes. It becomes the
NIR graph that steps as it does (:func:`read`), which :func:`tssl.exchange.nir.lower` takes on.
:class:`Stepped` runs the modules themselves.
"""

from tssl.exchange.torch.modules import Read, read
from tssl.exchange.torch.place import Module
from tssl.exchange.torch.stepping import Stepped

__all__ = ["Module", "Read", "Stepped", "read"]

"""TSSL-BP training on PyTorch: neurons, learning rules, losses, the loop."""

from tssl.trainer.neuron import psp
from tssl.trainer.rules.tsslbp import tssl_bp

__all__ = ["psp", "tssl_bp"]

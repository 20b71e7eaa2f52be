"""TSSL-BP training on PyTorch: neurons, learning rules, losses, the loop."""

from tssl.trainer.methods.tsslbp import tssl_bp
from tssl.trainer.neuron import psp

__all__ = ["psp", "tssl_bp"]

"""From a trained network to integers: lower, quantize, check ranges. Numpy alone."""

from tssl.exporter.quantization import LayerReport, Quantized, quantize, silent_layers

__all__ = ["LayerReport", "Quantized", "quantize", "silent_layers"]

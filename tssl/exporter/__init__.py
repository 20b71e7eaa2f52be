"""From a trained network to integers: lower, quantize, check ranges. Numpy alone."""

from tssl.exporter.quantize import LayerReport, Quantized, quantize

__all__ = ["LayerReport", "Quantized", "quantize"]

"""From a trained network to integers: lower, quantize, check ranges. Numpy alone."""

from tssl.exporter.quantization import LayerReport, Precision, Quantized, quantize

__all__ = ["LayerReport", "Precision", "Quantized", "quantize"]

"""Train spiking networks with TSSL-BP, export them for Loihi, prove and price them."""

__all__ = ["__version__"]

__version__ = "0.1.0"

"""What training finds, by name."""

from collections.abc import ItemsView, Iterator, KeysView, ValuesView

from torch import nn

__all__ = ["Weights"]


class Weights(nn.Module):
    """Parameters by any name.

    PyTorch's ``ParameterDict`` makes attributes of them, and refuses a layer named ``train``.
    """

    def __getitem__(self, name: str) -> nn.Parameter:
        return self._present[name]

    def __setitem__(self, name: str, parameter: nn.Parameter) -> None:
        self._present[name] = parameter

    def __iter__(self) -> Iterator[str]:
        return iter(self._present)

    def keys(self) -> KeysView[str]:
        """Return the names, in the order of the layers."""
        return self._present.keys()

    def values(self) -> ValuesView[nn.Parameter]:
        """Return the parameters, in the order of the layers."""
        return self._present.values()

    def items(self) -> ItemsView[str, nn.Parameter]:
        """Return names and parameters, in the order of the layers."""
        return self._present.items()

    @property
    def _present(self) -> dict[str, nn.Parameter]:
        return self._parameters  # type: ignore[return-value]  # there may be None in others

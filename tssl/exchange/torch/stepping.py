"""Run a network of modules one time step at a time, as its library does."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

from tssl.exchange.torch.neurons import NEURONS
from tssl.exchange.torch.place import Module, Place, library_of
from tssl.exchange.torch.recurrence import RECURRENT
from tssl.exchange.torch.sequences import in_sequence

__all__ = ["Stepped"]

_RESTS = {"snntorch": "reset_mem", "spikingjelly": "reset"}
"""What modules call their return to rest, by library."""


class Stepped:
    """A network of modules that takes a batch at a step and says which of its last neurons fire.

    Of neurons that never fire, it says the potential.

    Parameters
    ----------
    module
        One that :func:`tssl.exchange.torch.modules.read` takes.
    """

    def __init__(self, module: Module) -> None:
        self._whole: Any = module
        self._places = list(in_sequence(Place(type(module).__name__, "", module)))
        self._states: dict[str, Any] = {}
        self._read = {each.path for each in self._places if _is_read(each)}

    @property
    def is_read(self) -> bool:
        """Whether potentials leave the network."""
        return bool(self._read)

    def rest(self) -> None:
        """Begin with a new batch: no neuron has a potential."""
        self._states = {}
        for module in _all_in(self._whole):
            rest = getattr(module, _RESTS.get(library_of(module), ""), None)
            if rest is not None:
                rest()
        for place in self._places:
            if place.library == "spikingjelly" and place.path in self._read:
                own: Any = place.module
                own.v = 0.0  # it has no reset

    def __call__(self, signal: Any) -> Any:  # noqa: ANN401 - tensors, and torch is not imported here
        """Return what leaves the network for what enters it at this step, ``(batch, ...)``."""
        for place in self._places:
            signal = self._through(place, signal)
        return signal

    def _through(self, place: Place, signal: Any) -> Any:  # noqa: ANN401 - tensors
        module: Any = place.module
        if place.library == "spikingjelly" and place.path in self._read:
            module.neuronal_charge(signal)  # its forward takes all steps, and begins anew
            return module.v
        if getattr(module, "step_mode", "s") == "m":  # of SpikingJelly: takes time in front
            return module(signal[None])[0]
        if (place.library, place.kind) not in {*NEURONS, *RECURRENT}:
            return module(signal)
        if place.library == "norse":
            signal, self._states[place.path] = module(signal, self._states.get(place.path))
            return signal
        found = module(signal)
        if place.path in self._read:
            return module.mem
        return found[0] if isinstance(found, tuple) else found  # of snnTorch, with its potential

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Evaluate, and leave every module as it was: mode, potentials and all."""
        modules = list(_all_in(self._whole))
        kept = [{key: _same(value) for key, value in vars(each).items()} for each in modules]
        self._whole.eval()
        try:
            yield
        finally:
            for each, values in zip(modules, kept, strict=True):
                vars(each).clear()
                vars(each).update(values)


def _is_read(place: Place) -> bool:
    """Return whether a module is of neurons that never fire."""
    make = NEURONS.get((place.library, place.kind))
    return make is not None and not make(place).of.fires


def _all_in(module: Any) -> Iterator[Any]:  # noqa: ANN401 - modules
    yield module
    for child in module._modules.values():
        if child is not None:
            yield from _all_in(child)


def _same(value: object) -> object:
    """Return a table as one of its own with the same entries, anything else as it is."""
    return copy(value) if isinstance(value, dict) else value

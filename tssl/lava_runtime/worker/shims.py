"""Lets Lava be imported on current Pythons: ``import_lava()``, then anything of Lava.

This file needs no other, neither of the worker nor of tssl. Under the name ``lava_worker.py``
anybody may use it: ``from lava_worker import import_lava``.
"""

import dataclasses
import functools
import importlib.util
import multiprocessing
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Foreign: TypeAlias = Any
"""An object of Lava, which has no types."""


class WithoutTorch:
    """Import hook that hides torch: Lava's model search would load it for nothing."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """Refuse torch, leave everything else to the other finders."""
        if name == "torch":
            raise ModuleNotFoundError("torch is hidden from Lava", name=name)


def import_lava() -> None:
    """Import ``netx`` and the process models, cured of what breaks them today."""
    warnings.filterwarnings("ignore", message="Cannot import module")
    # Lava sets the start method when it is imported, and fails where one is set already
    multiprocessing.set_start_method(None, force=True)
    import_var_model()
    stub_slayer()
    from lava.lib.dl import netx
    from lava.magma.core import run_configs
    from lava.proc.io import sink, source  # noqa: F401

    if not hasattr(run_configs, "Loihi2SimCfg"):
        raise ImportError(f"{netx.__file__}: this lava-nc has no Loihi2SimCfg", name="lava")
    # its processes need what their parent has in memory; Python 3.14 no longer forks by itself
    multiprocessing.set_start_method("fork", force=True)
    patch_reshape()
    patch_convolution()
    patch_scalars()


def import_var_model() -> None:
    """Import a module whose dataclass default is unhashable, which Python 3.11 refuses."""
    name = "lava.magma.compiler.var_model"
    original = dataclasses.dataclass

    def dataclass(cls: Foreign = None, /, **options: Foreign) -> Foreign:
        def decorated(owner: Foreign) -> Foreign:
            owner = original(owner, **options)
            if owner.__module__ == name and owner.__hash__ is None:
                owner.__hash__ = object.__hash__
            return owner

        return decorated if cls is None else decorated(cls)

    dataclasses.dataclass = dataclass
    try:
        importlib.import_module(name)
    finally:
        dataclasses.dataclass = original


def stub_slayer() -> None:
    """Put empty modules where netx wants slayer, which needs torch, OpenCV and matplotlib."""

    def neuron_params(*_: object) -> None:
        raise NotImplementedError("resonate-and-fire neurons need lava-dl's slayer")

    for name in ("lava.lib.dl.slayer", "lava.lib.dl.slayer.neuron"):
        sys.modules[name] = types.ModuleType(name)
    resonators: Foreign = types.ModuleType("lava.lib.dl.slayer.neuron.rf")
    resonators.neuron_params = neuron_params
    sys.modules[resonators.__name__] = resonators
    name = "lava.lib.dl.netx.sequential_modules"
    stub = types.ModuleType(name)
    folder = importlib.util.find_spec("lava.lib.dl.netx")
    if folder is not None and folder.origin is not None:  # Lava's model search asks for the file
        stub.__file__ = str(Path(folder.origin).with_name("sequential_modules.py"))
    sys.modules[name] = stub


def reshape(shape: tuple[int, ...], values: Array) -> Array:
    """Call ``numpy.reshape`` without the keyword that numpy 2.4 dropped."""
    return np.reshape(values, shape)


def patch_reshape() -> None:
    """Replace the two transforms of flattened connections."""
    from lava.magma.core.process.ports import ports

    def forward(port: Foreign) -> Callable[[Array], Array]:
        return functools.partial(reshape, port.shape)

    def backward(port: Foreign) -> Callable[[Array], Array]:
        return functools.partial(reshape, port.old_shape)

    ports.ReshapePort.get_transform_func_fwd = forward
    ports.ReshapePort.get_transform_func_bwd = backward


def patch_convolution() -> None:
    """Pass geometry as Python integers: Lava keeps it in int8, where numpy 2 overflows."""
    from lava.proc.conv import utils

    def plain(value: Foreign) -> Foreign:
        return int(value) if np.ndim(value) == 0 else tuple(int(item) for item in value)

    def with_plain_geometry(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(first: Foreign, second: Foreign, *geometry: Foreign, **named: Foreign) -> Foreign:
            named = {key: plain(value) for key, value in named.items()}
            return function(first, second, *map(plain, geometry), **named)

        return call

    for name in ("output_shape", "conv", "conv_scipy"):
        setattr(utils, name, with_plain_geometry(getattr(utils, name)))


def patch_scalars() -> None:
    """Give one-element weights and biases as scalars: numpy 2.4 has no ``int()`` of arrays."""
    from lava.lib.dl.netx.utils import NetDict

    original = NetDict.__getitem__

    def item(self: Foreign, key: Foreign) -> Foreign:
        value = original(self, key)
        is_input = key in ("weight", "bias") and original(self, "type") == "input"
        return value.reshape(()) if is_input and np.size(value) == 1 else value

    NetDict.__getitem__ = item

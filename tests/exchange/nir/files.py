"""NIR files for tests, written with h5py, in the layout of the package ``nir``."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tssl.exchange.nir import Nir, NirNode

Fields = Mapping[str, Any]


def write(
    path: Path,
    nodes: Mapping[str, Fields],
    edges: Sequence[tuple[str, str]],
    metadata: Mapping[str, Any] | None = None,
    version: str = "1.0.8",
) -> Path:
    """Write a file; a node that has ``nodes`` and ``edges`` is a graph."""
    with h5py.File(path, "w") as file:
        file["version"] = version
        root = file.create_group("node")
        _put(root, {"type": "NIRGraph", "nodes": nodes, "edges": list(edges)})
        if metadata:
            _put(root.create_group("metadata"), metadata)
    return path


def _put(group: h5py.Group, fields: Fields) -> None:
    for key, value in fields.items():
        if isinstance(value, Mapping):
            _put(group.create_group(key), value)
        elif key == "edges":
            group[key] = np.array(value, dtype=h5py.string_dtype())
        else:
            group[key] = value


def chain(*names: str) -> list[tuple[str, str]]:
    return list(pairwise(names))


def ends(inputs: Sequence[int], outputs: Sequence[int]) -> dict[str, Fields]:
    return {
        "input": {"type": "Input", "shape": np.array(inputs)},
        "output": {"type": "Output", "shape": np.array(outputs)},
    }


def lif(shape: Any, *, tau: Any = 0.01, dt: float = 1e-3, **changes: Any) -> Fields:
    """Return a LIF whose gain is one at this step."""
    ones = np.ones(shape)
    fields = {
        "type": "LIF", "tau": tau * ones, "r": tau * ones / dt, "v_leak": 0 * ones,
        "v_threshold": ones,
    }  # fmt: skip
    return {**fields, **changes}


def cuba(
    shape: Any, *, tau_mem: Any = 0.01, tau_syn: Any = 0.004, dt: float = 1e-3, **changes: Any
) -> Fields:
    """Return a CubaLIF whose gain is one at this step."""
    ones = np.ones(shape)
    fields = {
        "type": "CubaLIF", "tau_mem": tau_mem * ones, "tau_syn": tau_syn * ones,
        "r": tau_mem * ones / dt, "w_in": tau_syn * ones / dt, "v_leak": 0 * ones,
        "v_threshold": ones,
    }  # fmt: skip
    return {**fields, **changes}


def integrate(shape: Any, *, dt: float = 1e-3, **changes: Any) -> Fields:
    return {"type": "IF", "r": np.ones(shape) / dt, "v_threshold": np.ones(shape), **changes}


def linear(weight: Any, bias: Any = None) -> Fields:
    if bias is None:
        return {"type": "Linear", "weight": np.asarray(weight, float)}
    return {"type": "Affine", "weight": np.asarray(weight, float), "bias": np.asarray(bias, float)}


def conv(weight: Any, **changes: Any) -> Fields:
    fields = {
        "type": "Conv2d", "weight": np.asarray(weight, float), "stride": np.array([1, 1]),
        "padding": np.array([0, 0]), "dilation": np.array([1, 1]), "groups": 1,
        "bias": np.zeros(len(weight)),
    }  # fmt: skip
    return {**fields, **changes}


def pool(kind: str, kernel: Any, stride: Any = None, padding: Any = (0, 0)) -> Fields:
    return {
        "type": kind,
        "kernel_size": np.array(kernel),
        "stride": np.array(kernel if stride is None else stride),
        "padding": np.array(padding),
    }


def flatten(start: int = 0, end: int = -1) -> Fields:
    return {"type": "Flatten", "start_dim": start, "end_dim": end}


def in_memory(nodes: Mapping[str, Fields], edges: Sequence[tuple[str, str]]) -> Nir:
    """Return the graph without a file."""
    made = {
        name: NirNode(
            name=name,
            kind=fields["type"],
            numbers={
                key: np.asarray(value)
                for key, value in fields.items()
                if not isinstance(value, str)
            },
            words={
                key: value
                for key, value in fields.items()
                if isinstance(value, str) and key != "type"
            },
        )
        for name, fields in nodes.items()
    }
    return Nir(origin="made.nir", nodes=made, edges=tuple(edges))

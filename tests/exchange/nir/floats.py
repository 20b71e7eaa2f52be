"""A lowered network in double precision, by PyTorch's maps: shares nothing with the reference."""

import numpy as np
import torch
from torch.nn.functional import conv2d

from tssl.checkpoint import Checkpoint
from tssl.chip import INPUT
from tssl.exporter.lower import Arrival, lower


def spikes_of(checkpoint: Checkpoint, train: np.ndarray) -> dict[str, np.ndarray]:
    """Return spikes ``(time, batch, neurons)`` of each layer, with decays that are not rounded."""
    return _run(checkpoint, train)[0]


def potential_of(checkpoint: Checkpoint, train: np.ndarray) -> np.ndarray:
    """Return the potential of the last layer after the last step, ``(batch, neurons)``."""
    return _run(checkpoint, train)[1]


def _run(checkpoint: Checkpoint, train: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    stages = lower(checkpoint)
    sent = {INPUT: torch.from_numpy(train.astype(np.float64))}
    potential = torch.empty(0)
    for stage in stages:
        drives = [weighted(each, sent[each.source]) for each in stage.arriving]
        drive = sum(drives[1:], start=drives[0])
        own = next((each for each in stage.connections if each.source == stage.name), None)
        neuron = stage.neuron
        bias = 0.0
        if stage.bias is not None:
            bias = torch.from_numpy(np.repeat(stage.bias, drive.shape[2] // len(stage.bias)))
        current = potential = torch.zeros_like(drive[0])
        fired = torch.zeros_like(drive[0])
        steps = []
        for arriving in drive:
            if own is not None:
                arriving = arriving + weighted(own, fired[None])[0]
            current = (1 - 1 / neuron.tau_s) * current + arriving
            potential = (1 - 1 / neuron.tau_m) * potential + current + bias
            fired = (potential > neuron.threshold).double()
            potential = potential * (1 - fired)
            steps.append(fired)
        sent[stage.name] = torch.stack(steps)
    spikes = {name: values.numpy() > 0 for name, values in sent.items() if name != INPUT}
    return spikes, potential.numpy()


def weighted(each: Arrival, values: torch.Tensor) -> torch.Tensor:
    weight = torch.from_numpy(each.weight)
    of = each.geometry
    if of is None:
        return values @ weight.T
    images = values.reshape(-1, *each.input_shape)
    sums = conv2d(images, weight, None, of.stride, of.padding, of.dilation, of.groups)
    return sums.reshape(*values.shape[:2], -1)

r"""Neurons of other libraries as NIR's, with a step of one and Euler's rule.

.. math::
    I_t &= (1 - \alpha) I_{t-1} + x_t \\
    v_t &= (1 - \beta) v_{t-1} + \beta v_{reset} + g I_t

and a spike, after which the potential is :math:`v_{reset}`, where it exceeds the threshold. Neurons
that never fire have no threshold, and their potential is read.
"""

from collections.abc import Callable, Mapping

import numpy as np

from tssl.exchange.nir import NirNode
from tssl.exchange.torch.place import Floats, Place

__all__ = ["INNER_WEIGHTS", "NEURONS", "lif_cell", "recurrent_leaky"]

_FOREVER = float(1 << 40)
"""Steps that stand for a membrane without a leak."""
_HARD = "the chip's neurons begin again at one potential"


def _node(
    place: Place,
    *,
    beta: Floats,
    gain: Floats | float,
    threshold: Floats | None,
    v_reset: Floats | float = 0.0,
    alpha: Floats | float = 1.0,
) -> NirNode:
    """Return the node whose Euler steps are those of the equations above."""
    alpha, gain = np.asarray(alpha, np.float64), np.asarray(gain, np.float64)
    reset = np.asarray(v_reset, np.float64)
    fires = {} if threshold is None else {"v_threshold": threshold, "v_reset": reset}
    f = "F" if fires else ""
    if (beta == 0).all() and (alpha == 1).all():
        return NirNode(name=place.name, kind=f"I{f}", numbers={"r": gain, **fires})
    steps = np.where(beta > 0, 1 / np.where(beta > 0, beta, 1), _FOREVER)
    numbers = {"r": gain * steps, "v_leak": reset, **fires}
    if (alpha == 1).all():
        return NirNode(name=place.name, kind=f"LI{f}", numbers={"tau": steps, **numbers})
    numbers |= {"tau_mem": steps, "tau_syn": 1 / alpha, "w_in": 1 / alpha}
    return NirNode(name=place.name, kind=f"CubaLI{f}", numbers=numbers)


def _share(place: Place, losses: Floats, what: str) -> Floats:
    """Return shares lost in a step; refuse those that are none."""
    if losses.min() < 0 or losses.max() > 1:
        raise place.refusal(
            f"{what} makes it lose {losses.reshape(-1)[losses.argmin()]:g} to {losses.max():g} of "
            "its state in a step; 0 to 1 are possible"
        )
    return losses


def _leaky(place: Place) -> NirNode:
    """Return ``snntorch.Leaky``: its reset is the same one step later, before anything is added."""
    _check_snntorch(place)
    beta = 1 - np.clip(place.array("beta"), 0, 1)
    place.refuse_unless(
        "graded_spikes_factor", "spikes count as 1; multiply the next weights", wanted=1
    )
    return _node(place, beta=beta, gain=1.0, threshold=_threshold_of_snntorch(place))


def _synaptic(place: Place) -> NirNode:
    """Return ``snntorch.Synaptic``."""
    _check_snntorch(place)
    threshold = _threshold_of_snntorch(place)
    if threshold is not None:
        _check_reset_at_once(place)
    alpha, beta = (1 - np.clip(place.array(key), 0, 1) for key in ("alpha", "beta"))
    if not alpha.all():
        raise place.refusal("alpha = 1: its current never decays; use an alpha below 1")
    return _node(place, beta=beta, gain=1.0, threshold=threshold, alpha=alpha)


def recurrent_leaky(place: Place) -> NirNode:
    """Return ``snntorch.RLeaky`` without what its own spikes do."""
    _check_reset_to_zero(place)
    _check_reset_at_once(place)
    return _leaky(place)


def _check_reset_at_once(place: Place) -> None:
    place.refuse_unless(
        "reset_delay",
        "with reset_mechanism='zero' its potential then stays 0 for a whole step after a spike, "
        "which the chip's does not; train with reset_delay=False",
        wanted=False,
    )


def _check_reset_to_zero(place: Place) -> None:
    place.refuse_unless(
        "reset_mechanism", f"{_HARD}; train with reset_mechanism='zero'", wanted="zero"
    )


def _threshold_of_snntorch(place: Place) -> Floats | None:
    """Return the threshold; none where nothing resets the potential, which then is read."""
    if place.value("reset_mechanism") == "none":
        return None
    _check_reset_to_zero(place)
    return place.array("threshold")


def _check_snntorch(place: Place) -> None:
    place.refuse_unless(
        "inhibition", "the chip has no winner-take-all inhibition; leave it out", wanted=False
    )
    place.refuse_unless(
        "state_quant", "the chip's states have grids of their own; leave it out", wanted=False
    )


def _lif_node(place: Place) -> NirNode:
    """Return ``spikingjelly``'s ``LIFNode``."""
    tau = place.array("tau")
    if tau.min() < 1:
        raise place.refusal(f"tau = {tau.min():g}; at least 1 is possible")
    return _decaying(place, 1 / tau)


def _parametric_node(place: Place) -> NirNode:
    r"""Return ``spikingjelly``'s ``ParametricLIFNode``, whose :math:`1/\tau` is a sigmoid."""
    return _decaying(place, 1 / (1 + np.exp(-place.array("w"))))


def _non_spiking_lif_node(place: Place) -> NirNode:
    """Return ``spikingjelly``'s ``NonSpikingLIFNode``."""
    _check_decoding(place)
    beta = 1 / place.array("tau")
    return _node(place, beta=_share(place, beta, "tau"), gain=beta, threshold=None)


def _non_spiking_if_node(place: Place) -> NirNode:
    """Return ``spikingjelly``'s ``NonSpikingIFNode``."""
    _check_decoding(place)
    return _node(place, beta=np.zeros(1), gain=1.0, threshold=None)


def _check_decoding(place: Place) -> None:
    if place.value("decode") not in (None, "last_mem"):
        raise place.refusal(
            f"decode = {place.value('decode')!r:.40}; the potential after the last step is read; "
            "use 'last_mem'"
        )


def _decaying(place: Place, beta: Floats) -> NirNode:
    gain = beta if place.value("decay_input") else 1.0
    return _node(place, beta=beta, gain=gain, **_of_spikingjelly(place))


def _if_node(place: Place) -> NirNode:
    """Return ``spikingjelly``'s ``IFNode``."""
    return _node(place, beta=np.zeros(1), gain=1.0, **_of_spikingjelly(place))


def _of_spikingjelly(place: Place) -> dict[str, Floats]:
    if place.value("v_reset") is None:
        raise place.refusal(
            f"v_reset = None subtracts the threshold; {_HARD}; train with v_reset=0."
        )
    if not getattr(place.value("surrogate_function"), "spiking", True):
        raise place.refusal("its surrogate_function sends no spikes; use spiking=True")
    return {"threshold": place.array("v_threshold"), "v_reset": place.array("v_reset")}


def lif_cell(place: Place) -> NirNode:
    """Return ``norse``'s ``LIFCell``, which takes input in before the current drives and decays."""
    step = place.array("dt")
    alpha = _share(place, step * place.array("p.tau_syn_inv"), "dt * tau_syn_inv")
    if not alpha.all():
        raise place.refusal("tau_syn_inv = 0: its current never decays; use a larger one")
    return _of_norse(place, alpha)


def _lif_box_cell(place: Place) -> NirNode:
    """Return ``norse``'s ``LIFBoxCell``, which has no synapse."""
    reset = getattr(place.value("p.reset_method"), "__name__", "")
    if reset != "reset_value":
        raise place.refusal(f"reset_method = {reset}; {_HARD}; train with reset_value")
    return _of_norse(place, np.ones(1))


def _of_norse(place: Place, alpha: Floats) -> NirNode:
    beta = _share(place, place.array("dt") * place.array("p.tau_mem_inv"), "dt * tau_mem_inv")
    leak, v_reset = place.array("p.v_leak"), place.array("p.v_reset")
    if (leak != v_reset).any():
        raise place.refusal(
            f"begins at v_leak = {leak.max():g} and begins again at v_reset = {v_reset.max():g}; "
            "the chip has one such potential; use the same for both"
        )
    return _node(
        place, beta=beta, gain=beta, threshold=place.array("p.v_th"), v_reset=v_reset, alpha=alpha
    )


def _li_cell(place: Place) -> NirNode:
    """Return ``norse``'s ``LICell``, or ``LILinearCell`` behind its weights."""
    return _read_of_norse(place, place.array("dt") * place.array("p.tau_syn_inv"))


def _li_box_cell(place: Place) -> NirNode:
    """Return ``norse``'s ``LIBoxCell``, which has no synapse."""
    return _read_of_norse(place, np.ones(1))


def _read_of_norse(place: Place, alpha: Floats) -> NirNode:
    place.refuse_unless("p.v_leak", "it begins there, and the chip's begin at 0; use 0", wanted=0)
    if not _share(place, alpha, "dt * tau_syn_inv").all():
        raise place.refusal("tau_syn_inv = 0: its current never decays; use a larger one")
    beta = _share(place, place.array("dt") * place.array("p.tau_mem_inv"), "dt * tau_mem_inv")
    return _node(place, beta=beta, gain=beta, threshold=None, alpha=alpha)


NEURONS: Mapping[tuple[str, str], Callable[[Place], NirNode]] = {
    ("snntorch", "Leaky"): _leaky,
    ("snntorch", "Synaptic"): _synaptic,
    ("spikingjelly", "LIFNode"): _lif_node,
    ("spikingjelly", "IFNode"): _if_node,
    ("spikingjelly", "ParametricLIFNode"): _parametric_node,
    ("norse", "LIFCell"): lif_cell,
    ("norse", "LIFBoxCell"): _lif_box_cell,
    ("spikingjelly", "NonSpikingLIFNode"): _non_spiking_lif_node,
    ("spikingjelly", "NonSpikingIFNode"): _non_spiking_if_node,
    ("norse", "LICell"): _li_cell,
    ("norse", "LIBoxCell"): _li_box_cell,
    ("norse", "LILinearCell"): _li_cell,
}
"""By library and class."""

INNER_WEIGHTS: Mapping[tuple[str, str], str] = {("norse", "LILinearCell"): "input_weights"}
"""By library and class of neurons: their attribute that holds the weights in front of them."""

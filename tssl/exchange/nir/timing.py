"""The time step and the rule of integration, which no NIR file says: from evidence, or asked for.

Writers of NIR scale ``r`` and ``w_in`` so that a spike counts as one in their own steps; that gives
their step away. Only quotients of times matter, so the step is in the unit of the file.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tssl.errors import ConfigError
from tssl.exchange.nir.description import Nir, NirNode
from tssl.exchange.nir.maps import shapes

__all__ = ["Rule", "Steps", "Timing", "timing"]

Rule = Literal["euler", "exp"]
Floats = NDArray[np.float64]

_EQUAL = 1e-6
_MOST_STEPS = 1e6
_SECONDS = 0.1
"""Time constants above it are hardly seconds."""
_TIMES = ("tau", "tau_mem", "tau_syn")
_GAINS = {"tau": "r", "tau_mem": "r", "tau_syn": "w_in"}


@dataclass(frozen=True, kw_only=True)
class Timing:
    r"""How differential equations become steps.

    .. math::
        I_t &= (1 - \alpha) I_{t-1} + g_s \sum W s_t \\
        v_t &= (1 - \beta) v_{t-1} + \beta v_{leak} + g_m I_t

    Parameters
    ----------
    dt
        In the unit of the file's time constants.
    rule
        ``euler``: the share lost in a step is :math:`dt/\tau`; ``exp``: :math:`1 - e^{-dt/\tau}`,
        exact for an input that is held for the step. Gains are the same shares of ``w_in`` and
        ``r``.
    unit_gain
        Whether a spike of weight one adds one whatever ``w_in`` and ``r``: Rockpool's writing.
    evidence
        Where this is from, in words.
    """

    dt: float
    rule: Rule
    unit_gain: bool = False
    evidence: str = ""

    def loss(self, tau: Floats) -> Floats:
        """Return the share that is lost in a step."""
        return self.dt / tau if self.rule == "euler" else -np.expm1(-self.dt / tau)

    def steps(self, node: NirNode) -> "Steps":
        """Return the numbers of a node's step."""
        one = np.ones(1)
        if "r" not in node.numbers:  # a threshold alone
            return Steps(one, one, one, one, 0 * one)
        if node.is_integrator:
            gain = one if self.unit_gain else node["r"] * self.dt
            return Steps(one, one, 0 * one, gain, 0 * one)
        is_cuba = "tau_syn" in node.numbers
        beta = self.loss(node["tau_mem" if is_cuba else "tau"])
        alpha = self.loss(node["tau_syn"]) if is_cuba else one
        into = node["w_in"] * alpha if is_cuba else one
        through = node["r"] * beta
        if self.unit_gain:
            into = through = one
        return Steps(alpha, into, beta, through, node["v_leak"])

    def delay(self, node: NirNode) -> NDArray[np.int64]:
        """Return the steps that a ``Delay`` waits.

        Raises
        ------
        ConfigError
            When it is no whole number of steps, or of more than a million.
        """
        with np.errstate(over="ignore"):
            steps = node["delay"] / self.dt
        whole = np.rint(steps)
        near = (steps < _MOST_STEPS) & (np.abs(steps - whole) <= _EQUAL * np.maximum(1, steps))
        if not near.all() or steps.min() < 0:
            raise ConfigError(
                f"{node.title}: a delay of {steps.reshape(-1)[0]:g} steps of {self.dt:g}; only "
                "whole steps, not below 0, are possible; use another --dt"
            )
        return whole.astype(np.int64)


class Steps(NamedTuple):
    """The numbers of one node's step: shares lost, gains, and where the potential leaks to."""

    alpha: Floats
    into: Floats
    beta: Floats
    through: Floats
    v_leak: Floats


class _Claim(NamedTuple):
    """What the file gives away."""

    dt: float
    rule: Rule
    unit_gain: bool
    text: str


def timing(nir: Nir, dt: float | None = None, rule: Rule | None = None) -> Timing:
    """Return step and rule: those asked for, otherwise those of which the file gives evidence.

    Raises
    ------
    ConfigError
        When neither is there, or a time constant is shorter than the step.
    NirFileError
        When parameters do not fit their neurons.
    """
    if dt is not None and not 0 < dt < math.inf:
        raise ConfigError(f"--dt {dt:g}: a time above 0 is needed")
    shapes(nir)  # refuses parameters that do not fit their neurons
    with np.errstate(all="ignore"):  # what is not finite is no evidence
        claim = _claim(nir)
    found = _asked(nir, claim, dt, rule)
    for node, key in _with_times(nir):
        shortest = float(node[key].min())
        if shortest < found.dt * (1 - _EQUAL):
            raise ConfigError(
                f"{nir.origin}: {node.title}: {key} = {shortest:g} is not as long as a step of "
                f"{found.dt:g}; use a smaller --dt"
            )
    return found


def _asked(nir: Nir, claim: _Claim | None, dt: float | None, rule: Rule | None) -> Timing:
    wanted_dt = dt or (claim.dt if claim else None)
    wanted_rule = rule or (claim.rule if claim else None)
    if not any(True for _ in _with_times(nir)):
        wanted_rule = wanted_rule or "euler"
    if wanted_dt is None or wanted_rule is None:
        raise ConfigError(_question(nir, wanted_dt))
    if claim and wanted_rule == claim.rule and math.isclose(wanted_dt, claim.dt, rel_tol=_EQUAL):
        return Timing(
            dt=wanted_dt, rule=wanted_rule, unit_gain=claim.unit_gain, evidence=claim.text
        )
    asked = " and ".join(
        name for name, value in (("--dt", dt), ("--rule", rule)) if value is not None
    )
    return Timing(dt=wanted_dt, rule=wanted_rule, evidence=f"as asked with {asked}")


def _question(nir: Nir, dt: float | None) -> str:
    missing = (
        "--rule euler or --rule exp"
        if dt is not None
        else "--dt DT, and --rule euler or --rule exp"
    )
    text = (
        f"{nir.origin}: NIR files do not state their time step or rule of integration, and the "
        f"gains of this file do not show them: give {missing}"
    )
    longest = max((float(node[key].max()) for node, key in _with_times(nir)), default=0.0)
    if dt is None and longest > _SECONDS:
        text += (
            f"; its longest time constant is {longest:g}, which is hardly seconds: DT is in the "
            "same unit"
        )
    elif dt is None:
        text += f"; its longest time constant is {longest:g}, and DT is in the same unit"
    return text


def _claim(nir: Nir) -> _Claim | None:
    """Return what gains and time constants have in common, or None."""
    pairs = [(node[key], node[_GAINS[key]]) for node, key in _with_times(nir)]
    if not pairs:
        return _of_integrators(nir)
    shaped = [np.broadcast_arrays(tau, gain) for tau, gain in pairs]
    taus = np.concatenate([tau.reshape(-1) for tau, _ in shaped])
    gains = np.concatenate([gain.reshape(-1) for _, gain in shaped])
    if gains.min() <= 0 or taus.min() <= 0:
        return None
    euler = _common(taus / gains, taus, gains.max() > 1 + _EQUAL)
    if euler is not None:
        text = f"r = tau/dt and w_in = tau_syn/dt give dt = {euler:g} and a gain of 1: Euler"
        return _Claim(euler, "euler", unit_gain=False, text=text)
    membranes = [(tau, r) for (_, key), (tau, r) in zip(_with_times(nir), shaped, strict=True)
                 if key != "tau_syn"]  # fmt: skip
    taus = np.concatenate([tau.reshape(-1) for tau, _ in membranes])
    gains = np.concatenate([r.reshape(-1) for _, r in membranes])
    shares = np.array([_rockpool_share(r) for r in gains])
    rockpool = _common(taus * shares, taus, enough=True)
    if rockpool is None:
        return None
    text = f"r = tau exp(-dt/tau)/dt gives dt = {rockpool:g}, as Rockpool writes: exponential"
    return _Claim(rockpool, "exp", unit_gain=True, text=text)


def _of_integrators(nir: Nir) -> _Claim | None:
    """Without a time constant, only how much a spike counts depends on the step."""
    gains = [node["r"].reshape(-1) for node in nir if node.is_integrator]
    values = np.concatenate(gains) if gains else np.ones(1)
    if values.min() <= 0 or values.max() > values.min() * (1 + _EQUAL):
        return None
    dt = float(1 / values[0])
    text = (
        f"no time constants, and r = 1/dt = {values[0]:g} everywhere: a spike counts as its weight"
    )
    return _Claim(dt, "euler", unit_gain=False, text=text)


def _common(found: Floats, taus: Floats, enough: bool) -> float | None:
    """Return the one step that all give, if it can be no chance.

    It is none where different time constants agree, or where the step is a round number.
    """
    if not enough or found.max() > found.min() * (1 + _EQUAL):
        return None
    dt = float(f"{float(np.median(found)):.7g}")
    round_dt = float(f"{dt:.3g}")
    is_round = math.isclose(dt, round_dt, rel_tol=_EQUAL)
    if not is_round and taus.max() <= taus.min() * (1 + 1e-3):
        return None
    return round_dt if is_round else dt


def _rockpool_share(r: float) -> float:
    """Return x with r = exp(-x)/x, by Newton's method on x + log x = -log r."""
    x = 1 / (1 + r)
    for _ in range(50):
        x -= (x + math.log(x) + math.log(r)) / (1 + 1 / x)
        x = max(x, 1e-300)
    return x


def _with_times(nir: Nir) -> Iterator[tuple[NirNode, str]]:
    """Yield each node that has time constants, with the name of each."""
    for node in nir.order:
        for key in _TIMES:
            if key in node.numbers:
                yield node, key

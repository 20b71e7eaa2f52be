"""How a network is trained."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tssl.settings import Above0, AtLeast0, Entries, NonNegative, Positive, Seed

__all__ = ["TrainingSpec"]

Setting = bool | int | float | str


class TrainingSpec(Entries):
    """How the network is trained.

    Parameters
    ----------
    rule
        Learning method, see ``tssl.trainer.methods.METHODS``.
    forward
        ``chip`` computes spikes in the integers of a chip, so that the accuracy is that of the
        exported network; it goes on from a run trained in ``float``, or is so for the last quarter
        of its epochs.
    precision
        Of a training step's products: ``tf32`` rounds their factors to 10 bits of mantissa,
        ``bfloat16`` factors and results to 7. Weights, neurons and evaluation stay in float32,
        and so do the products among the neurons of a recurrent layer.
    reset_term
        What the rule tssl-bp makes of the reset after a spike: ``official`` as the official
        code, ``chain`` as the chain rule gives, or ``none``.
    warm_up
        When the rule tssl-bp takes a surrogate gradient: ``neuron`` for neurons that did not
        fire recently, as the official code; ``layer`` for whole layers of which fewer than a
        tenth fire at a step, as it did when the paper came out; ``none`` never.
    settings
        Of the rule alone, by name; which there are is said on the page of the rule.
    loss
        One that the rule has; its usual one when None. Rules that train on potentials have
        ``kernel``, which compares post-synaptic potentials with a desired one, ``count``, their
        sums with ``desired_count`` and ``undesired_count``, and ``softmax``, cross-entropy over
        the sums.
    target_filter
        How often the desired spike train passes the synapse filter before the kernel loss
        compares it: ``once`` as the output, or ``twice`` as the official code does.
    operations_penalty
        Factor of the share of possible synaptic operations that a sample causes, added to its
        loss: spikes then cost something. Rules that train on potentials have it.
    clip_norm
        Largest norm of the gradient of all weights together.
    weight_limit
        Weights are clamped to plus or minus this after every step.
    lr_schedule
        ``constant``; ``cosine`` falls to zero over all epochs; ``step`` multiplies by
        ``lr_factor`` after every ``lr_step`` epochs.
    validation
        Share of the training set held out to choose the best epoch.
    patience
        Training ends after so many epochs without a better held-out accuracy; 0: never.
    smallest_rate
        Layers that fire less often than this, in spikes per neuron and step, start with larger
        weights; 0 leaves the weights as they are.
    """

    rule: str = "tssl-bp"
    settings: dict[str, Setting] = Field(default_factory=dict)
    forward: Literal["float", "chip"] = "float"
    precision: Literal["float32", "tf32", "bfloat16"] = "float32"
    reset_term: Literal["official", "chain", "none"] = "official"
    warm_up: Literal["neuron", "layer", "none"] = "neuron"
    loss: str | None = None
    target_filter: Literal["once", "twice"] = "twice"
    desired_count: AtLeast0 = 5.0
    undesired_count: AtLeast0 = 1.0
    operations_penalty: AtLeast0 = 0.0
    epochs: Positive = 10
    batch_size: Positive = 50
    lr: Above0 = 5e-4
    weight_decay: AtLeast0 = 0.01
    clip_norm: Above0 = 1.0
    weight_limit: Above0 = 4.0
    lr_schedule: Literal["constant", "cosine", "step"] = "constant"
    lr_step: Positive = 30
    lr_factor: Annotated[Above0, Field(le=1)] = 0.1
    validation: Annotated[AtLeast0, Field(le=0.5)] = 0.1
    patience: NonNegative = 0
    smallest_rate: Annotated[AtLeast0, Field(lt=0.5)] = 0.001
    seed: Seed = 0

    @model_validator(mode="after")
    def _check_precision(self) -> "TrainingSpec":
        if self.forward == "chip" and self.precision != "float32":
            raise ValueError(
                f"precision = {self.precision!r} would round the integers of forward = 'chip'; "
                "use 'float32'"
            )
        return self

    @model_validator(mode="after")
    def _check_patience(self) -> "TrainingSpec":
        if self.patience and not self.validation:
            raise ValueError("patience needs held-out samples: set validation above 0")
        return self

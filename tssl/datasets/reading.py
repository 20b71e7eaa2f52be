"""What a user says of files of their own, where the files do not say it themselves."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

from tssl.errors import UnusedSettingError

__all__ = ["Reading"]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How data by path are read; None stands for what the files say, or for the default.

    Parameters
    ----------
    time
        Arrays: whether their second axis is time.
    range
        Arrays: the values that become the darkest and the brightest pixel.
    targets
        Arrays: whether what is to be said of samples are ``classes`` or ``numbers``. Whole numbers
        and text are classes, others numbers, where nothing is said.
    size
        Height and width: of pictures, which are made so large; of a sensor of events.
    time_unit
        Lists of events: ``us``, ``ms`` or ``s``.
    frames
        Events: whether a frame holds their ``presence``, their ``counts``, or ``signed`` counts.
    bands, band_hz, spike_threshold
        Sound: of the cochlea, see :mod:`tssl.datasets.formats.sound`.
    test_share, split_seed
        Of data without a test split: the share of each class that is held out for it, and what
        draws it. Not the seed of training, so that runs with several of those share a test split.
    """

    time: bool | None = None
    range: tuple[float, float] | None = None
    targets: str | None = None
    size: tuple[int, int] | None = None
    time_unit: str | None = None
    frames: str | None = None
    bands: int | None = None
    band_hz: tuple[float, float] | None = None
    spike_threshold: float | None = None
    test_share: float | None = None
    split_seed: int | None = None

    def only(self, what: str, keys: Iterable[str]) -> None:
        """Refuse settings that would be ignored.

        Raises
        ------
        UnusedSettingError
            When one is given that is none of ``keys``.
        """
        for field in fields(self):
            if getattr(self, field.name) is not None and field.name not in keys:
                raise UnusedSettingError(
                    f"data.{field.name}: {what} have no use for it; leave it out", field.name
                )

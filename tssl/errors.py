"""Everything a user can cause and fix, one class per kind of cause.

The number is the exit status of the ``tssl`` command::

    TsslError                        2
    ├── ConfigError                  2   recipe, profile, flag
    │   └── UnusedSettingError       2   a setting that these data have no use for
    ├── DataError                    2   data set missing, corrupt, wrong shape
    ├── CheckpointError              2   run directory or checkpoint
    ├── NetFileError                 2   .net file
    ├── NirFileError                 2   .nir file
    ├── OutputError                  2   a file cannot be written
    ├── TrainingError                2   the loss is not a number
    ├── TargetError                  3   the target chip cannot do it
    │   ├── UnsupportedLayerError    3
    │   ├── RangeError               3   a number leaves its field
    │   └── CapacityError            3   too many cores, axons, synapses
    ├── VerificationError            4   two backends disagree
    ├── BackendError                 5   a backend failed
    │   └── BackendUnavailableError  5   it, or what it needs, is not installed
    └── BackendTimeoutError          6

A message says who, what value, what is allowed and what to do.
"""

INTERRUPTED = 130
"""Exit status after Ctrl-C, which is no error."""


class TsslError(Exception):
    """Base of all errors that a user can cause and fix."""

    exit_code = 2


class ConfigError(TsslError):
    """A recipe, profile or flag is wrong."""


class UnusedSettingError(ConfigError):
    """A setting says how data are read, and these data have no use for it.

    Parameters
    ----------
    key
        Of the recipe's section ``data``.
    """

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(message)
        self.key = key


class DataError(TsslError):
    """A data set is missing, corrupt or does not fit the network."""


class CheckpointError(TsslError):
    """A run directory or checkpoint cannot be used."""


class NetFileError(TsslError):
    """A ``.net`` file cannot be read."""


class NirFileError(TsslError):
    """A ``.nir`` file cannot be read, or is no network."""


class OutputError(TsslError):
    """A file cannot be written; nothing half-written is left behind."""


class TrainingError(TsslError):
    """Training cannot go on; the last good checkpoint is kept."""


class TargetError(TsslError):
    """The target chip cannot do what is asked."""

    exit_code = 3


class UnsupportedLayerError(TargetError):
    """The target or the file format has no such layer."""


class RangeError(TargetError):
    """A number does not fit its field on the chip."""


class CapacityError(TargetError):
    """The network does not fit the chip."""


class VerificationError(TsslError):
    """Two backends computed different integers."""

    exit_code = 4


class BackendError(TsslError):
    """A backend failed while running."""

    exit_code = 5


class BackendUnavailableError(BackendError):
    """A backend, or something it needs, is not installed."""


class BackendTimeoutError(TsslError):
    """A backend did not answer in time and was stopped."""

    exit_code = 6

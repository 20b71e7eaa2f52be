"""``make fuzz``: spoilt files from a fresh seed that is printed, until Ctrl-C.

``python -m tests.contract.fuzz [SECONDS [SEED]]`` runs so long, or that seed again.
"""

import itertools
import secrets
import sys
import tempfile
import time
from pathlib import Path

from tests.contract.test_fuzz import KINDS, run_case


def main(seconds: float, seed: int) -> int:
    """Run a case of each kind again and again; return 1 when one failed."""
    print(f"seed {seed}; Ctrl-C ends it", flush=True)  # noqa: T201
    until, cases, failures = time.monotonic() + seconds, 0, 0
    try:
        for number in itertools.count(seed):
            if time.monotonic() > until:
                break
            for kind in KINDS:
                cases += 1
                failures += not passes(kind, number)
    except KeyboardInterrupt:
        pass
    print(f"{cases} cases, {failures} failed")  # noqa: T201
    return int(failures > 0)


def passes(kind, number) -> bool:
    """Return whether a case does; print what is wrong with it otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            run_case(kind, number, Path(folder))
        except AssertionError as error:
            print(f"{error}", flush=True)  # noqa: T201
            return False
    return True


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(
        main(
            float(given[0]) if given else float("inf"),
            int(given[1]) if given[1:] else secrets.randbits(31),
        )
    )

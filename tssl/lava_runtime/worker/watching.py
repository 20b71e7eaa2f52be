"""Noticing that a process of Lava failed, for which Lava itself would wait for ever."""

import errno
import os
import shutil
import signal
import threading
import time
from pathlib import Path

from .failures import LavaProcessError, describe, end_children, out_of_space, report_and_exit
from .shims import Foreign

WATCH_SECONDS = 0.2
"""Time between looks at Lava's processes."""
PARENT = os.getppid()
"""Who started us: tssl, or a wrapper script around the interpreter."""


class Watchdog(threading.Thread):
    """Ends the worker when a process of Lava fails, or the parent is gone.

    Lava itself would wait for ever, in a run as well as in reading or setting a variable.
    """

    def __init__(self, folder: Path, runtime: Foreign) -> None:
        super().__init__(daemon=True)
        self.folder = folder
        self.actors = runtime._messaging_infrastructure.actors
        self.disarmed = threading.Event()

    def run(self) -> None:
        """Look at all processes again and again, until disarmed."""
        while not self.disarmed.wait(WATCH_SECONDS):
            if os.getppid() != PARENT:
                end_children()
                shutil.rmtree(self.folder, ignore_errors=True)
                os._exit(1)
            if not all(actor.is_alive() for actor in self.actors):
                report_and_exit(self.folder, self.failure())

    def failure(self) -> Exception:
        """Return why a process of Lava has ended."""
        self.disarmed.wait(WATCH_SECONDS)  # one that raised may be just writing down why
        for actor in self.actors:
            if actor.exception:
                error, details = actor.exception
                if out_of_space(error):
                    return OSError(error.errno, error.strerror)
                return LavaProcessError(describe(error), details)
        code = next((actor.exitcode for actor in self.actors if actor.exitcode), 0)
        if code == -signal.SIGBUS:  # a mapped file that cannot grow
            return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        hint = "; it was killed, perhaps because memory ran out" if code < 0 else ""
        return LavaProcessError(f"a process of Lava ended with code {code}{hint}", "")


def await_answer(runtime: Foreign) -> bool:
    """Wait until the run under way is over; return whether it succeeded."""
    from lava.magma.runtime.mgmt_token_enums import MGMT_RESPONSE, enum_equal

    port = runtime.service_to_runtime[0]
    pause = 0.0001
    while not port.probe():
        time.sleep(pause)
        pause = min(2 * pause, 0.005)
    return not enum_equal(port.peek(), MGMT_RESPONSE.ERROR)

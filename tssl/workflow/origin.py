"""When, by what and on what something was computed."""

import platform
from datetime import datetime, timezone

from tssl.machine.processor import processor
from tssl.version import __version__

__all__ = ["made_here", "now"]


def made_here() -> dict[str, str]:
    """Return date, versions and processor, as a result keeps them."""
    return {
        "date": now(),
        "tssl": __version__,
        "python": platform.python_version(),
        "processor": processor(),
    }


def now() -> str:
    """Return date and time in words that need no time zone: universal time."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")

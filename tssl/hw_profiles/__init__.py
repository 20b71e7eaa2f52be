"""Chips as data: what they hold, what an operation costs there, and what a network then costs."""

from tssl.hw_profiles.capacity import map_to_cores
from tssl.hw_profiles.cost import CostOptions, estimate
from tssl.hw_profiles.fields import check_limits
from tssl.hw_profiles.figure import Figure
from tssl.hw_profiles.library import load_profile, profile_names
from tssl.hw_profiles.profile import Profile
from tssl.hw_profiles.relays import relayed_counts

__all__ = [
    "CostOptions",
    "Figure",
    "Profile",
    "check_limits",
    "estimate",
    "load_profile",
    "map_to_cores",
    "profile_names",
    "relayed_counts",
]

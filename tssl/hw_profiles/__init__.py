"""Chips as data: what they hold, what an operation costs there, and what a network then costs."""

from tssl.hw_profiles.capacity import map_to_cores
from tssl.hw_profiles.cost import estimate
from tssl.hw_profiles.fields import check_limits
from tssl.hw_profiles.profile import Figure, Profile, load_profile, profile_names

__all__ = [
    "Figure",
    "Profile",
    "check_limits",
    "estimate",
    "load_profile",
    "map_to_cores",
    "profile_names",
]

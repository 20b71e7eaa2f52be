"""Chips as data: what they hold, what an operation costs there, and what a network then costs."""

from tssl.hw_profiles.cost.estimate import CostOptions, estimate
from tssl.hw_profiles.mapping.capacity import map_to_cores
from tssl.hw_profiles.mapping.fields import check_limits
from tssl.hw_profiles.mapping.relays import relayed_counts
from tssl.hw_profiles.profile.figure import Figure
from tssl.hw_profiles.profile.library import load_profile, profile_names, target_names
from tssl.hw_profiles.profile.tables import Profile
from tssl.hw_profiles.quoted import quoted_for

__all__ = [
    "CostOptions",
    "Figure",
    "Profile",
    "check_limits",
    "estimate",
    "load_profile",
    "map_to_cores",
    "profile_names",
    "quoted_for",
    "relayed_counts",
    "target_names",
]

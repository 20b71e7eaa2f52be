"""Processes and machines that share the work of one run, as ``concurrent.futures`` executors."""

from tssl.clusters.chosen import chosen_cluster
from tssl.clusters.cluster import Cluster, Crew

__all__ = ["Cluster", "Crew", "chosen_cluster"]

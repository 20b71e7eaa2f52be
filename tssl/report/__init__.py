"""What a run was worth and what it costs, for a terminal and as one web page."""

from tssl.report.page import render_page
from tssl.report.terminal import show_costs, show_result

__all__ = ["render_page", "show_costs", "show_result"]

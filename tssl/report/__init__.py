"""What a run was worth and what it costs, for a terminal and as one web page."""

from tssl.report.operations import amounts
from tssl.report.page import render_page
from tssl.report.sheet import LayerTrace, Sheet
from tssl.report.terminal import show_comparison, show_costs, show_operations, show_result

__all__ = [
    "LayerTrace",
    "Sheet",
    "amounts",
    "render_page",
    "show_comparison",
    "show_costs",
    "show_operations",
    "show_result",
]

"""What a run was worth and what it costs, for a terminal and as one web page."""

from tssl.reporting.comparison import comparison_table, quoted_table
from tssl.reporting.operations import amounts
from tssl.reporting.page import render_page
from tssl.reporting.sheet import Accuracies, LayerTrace, LearningCurve, Sheet
from tssl.reporting.sweep_page import SweepEntry, SweepPage
from tssl.reporting.terminal import (
    show_comparison,
    show_costs,
    show_operations,
    show_quoted,
    show_result,
)

__all__ = [
    "Accuracies",
    "LayerTrace",
    "LearningCurve",
    "Sheet",
    "SweepEntry",
    "SweepPage",
    "amounts",
    "comparison_table",
    "quoted_table",
    "render_page",
    "show_comparison",
    "show_costs",
    "show_operations",
    "show_quoted",
    "show_result",
]

"""Witnesses that share no arithmetic with what they testify about, and comparing what they say."""

from tssl.proof.compare import (
    Comparison,
    Difference,
    accumulate,
    compare,
    first_difference,
)
from tssl.proof.statements import Proof, Statement, compare_chunks, statement_table

__all__ = [
    "Comparison",
    "Difference",
    "Proof",
    "Statement",
    "accumulate",
    "compare",
    "compare_chunks",
    "first_difference",
    "statement_table",
]

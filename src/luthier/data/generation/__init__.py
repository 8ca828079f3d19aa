"""Instruction rows that a model writes from examples: self-instruct (Wang et al. 2022, https://arxiv.org/abs/2212.10560).

The journal is the truth: a line for every request before it is sent, and one for every answer as soon as it is there,
synced to disk. Which rows are accepted follows from the journal alone, so the files of accepted and refused rows are
written anew when a generation goes on, and whatever instant it was killed at, nothing is in them twice or missing.
"""

from luthier.data.generation.generator import Generated, Wishes, generate
from luthier.data.generation.journal import Budget

__all__ = ["Budget", "Generated", "Wishes", "generate"]

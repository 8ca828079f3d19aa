"""Data sets of the hub, which both tools name by owner and name, perhaps with a subset and a split."""

from __future__ import annotations

import re
from typing import Any

NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
"""What a data set of the hub is called: OWNER/NAME, of the oldest ones NAME alone."""

_SPLIT = re.compile(r"\w[\w.-]*")


def source(name: str, subset: Any, split: str) -> tuple[dict[str, Any], str]:
    """A data set of the hub as a source of rows, and what to know about it.

    Args:
        name: OWNER/NAME, perhaps with @REVISION.
        subset: which configuration of it, None for the default one.
        split: the name of a split; of a part such as train[:10%] only the name is taken, and that is said.
    """
    whole = _SPLIT.match(split)
    read = whole[0] if whole else "train"
    note = "" if read == split else f"split '{split}' has no equivalent: the whole split {read} is read"
    return {"path": f"hub:{name}", "subset": subset, "split": read}, note


def not_taken(split: str) -> str:
    """What to know about the split of a file, which has none: every row of it is read."""
    return "" if split == "train" else f"split '{split}' has no equivalent: every row is read"

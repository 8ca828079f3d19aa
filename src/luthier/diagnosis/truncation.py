"""Many rows longer than `data.max_length`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from luthier.data.ledger import Entry, read_ledger
from luthier.diagnosis import Finding, Symptom
from luthier.diagnosis._case import Case

SHARE = 0.05
"""Share of rows that may be too long."""

COVERED = 0.95
"""Share of the long rows that the suggested length covers."""


class Truncation(Symptom):
    """Rows were cut or left out because of their length."""

    def find(self, case: Case) -> Iterator[Finding]:
        """See `luthier.diagnosis.Symptom`."""
        if case.ledger.over_length <= SHARE * case.ledger.rows_in:
            return
        lengths = {"cut": list[int](), "left out": list[int]()}
        for entry in read_ledger(case.run.ledger_file):
            if long := _too_long(entry):
                lengths[long[0]].append(long[1])
        needed = sorted(lengths["cut"] + lengths["left out"])
        if len(needed) <= SHARE * case.ledger.rows_in:
            return
        covering = needed[math.ceil(COVERED * len(needed)) - 1]
        cut, out = len(lengths["cut"]), len(lengths["left out"])
        yield Finding(
            "Many rows are too long",
            "warning",
            f"of {case.ledger.rows_in} rows {cut} were cut and {out} were left out at data.max_length "
            f"{case.config.data.max_length}; the longest has {needed[-1]} tokens",
            "what is cut or left out is not learned, and long rows may be of a kind of their own",
            {"data.max_length": 64 * math.ceil(covering / 64)},
            f"that covers {COVERED:.0%} of the long rows and takes more memory: ask `luthier plan`",
        )


def _too_long(entry: Entry) -> tuple[str, int] | None:
    """What became of a row that was too long, and how many tokens it has."""
    if found := re.match(r"truncated by (\d+) tokens", entry.changes):
        return "cut", entry.tokens + int(found[1])
    if found := re.match(r"too long: (\d+) tokens", entry.reason):
        return "left out", int(found[1])
    return None

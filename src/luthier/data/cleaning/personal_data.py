"""Masks personal data with consistent placeholders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Literal

from pydantic import Field

from luthier.data.cleaning import CleaningStep, TextRepair
from luthier.data.examples import Example, Row
from luthier.data.personal import KINDS, Found, Kind, find_personal, replaced
from luthier.data.texts import map_texts
from luthier.registry import Options

_WORDS: dict[Kind, str] = {
    "email": "e-mail addresses",
    "iban": "IBANs",
    "chinese_id": "Chinese ID numbers",
    "bank_card": "bank card numbers",
    "us_ssn": "US social security numbers",
    "phone": "phone numbers",
    "medical_record": "medical record numbers",
    "ip_address": "IP addresses",
    "name": "names",
}


def _most_kinds() -> list[Kind]:
    return [kind for kind in KINDS if kind != "ip_address"]


class PersonalDataOptions(Options):
    """Personal data becomes placeholders such as [EMAIL_1]: the same value, the same placeholder in the whole run.

    Numbers count only with their checksum (bank cards, IBANs, Chinese IDs), by their form (US social security numbers,
    phone numbers) or behind a word (medical records, `Tel:`), so that prices and dates stay.
    """

    name: Literal["personal_data"] = "personal_data"
    kinds: list[Kind] = Field(
        default_factory=_most_kinds,
        description="What is masked. ip_address is left out by default: version numbers look the same.",
    )
    name_columns: list[str] = Field(
        default_factory=list,
        description="Columns of the file that hold a person's name, which is masked wherever the row's texts have it, "
        "in whatever case; a single word in small letters is not, for Will is not will. Names behind `Name:` and "
        "姓名： are found without.",
    )


class PersonalData(CleaningStep):
    """Placeholders are numbered in reading order; only a hash of each value is kept, and no value is reported."""

    Options = PersonalDataOptions
    private = True

    def __init__(self, options: PersonalDataOptions) -> None:
        super().__init__(options)
        self._kinds = frozenset(options.kinds)
        self._numbers: dict[Kind, dict[bytes, int]] = {kind: {} for kind in options.kinds}
        self._masked: Counter[Kind] = Counter()

    def repair(self, example: Example, row: Row) -> tuple[Example, str | None]:
        """Masks what is found in every text."""
        names = self.secrets(row)
        kinds: dict[Kind, None] = {}

        def masked(text: str) -> str:
            found = find_personal(text, self._kinds, names)
            kinds.update(dict.fromkeys(each.kind for each in found))
            return replaced(text, found, self._placeholder) if found else text

        repaired = map_texts(example, masked)
        return repaired, "; ".join(f"personal data masked: {_WORDS[kind]}" for kind in kinds) or None

    def secrets(self, row: Row) -> Sequence[str]:
        """The names in the row's columns, as they stand there and as the steps before leave them."""
        values = (row.values.get(column) for column in self.options.name_columns)
        names = (name for value in values if isinstance(value, str) for name in self._spellings(value))
        return [name for name in dict.fromkeys(names) if len(name) > 1]

    def _spellings(self, name: str) -> Iterator[str]:
        yield name.strip()
        for step in self.before:
            if isinstance(step, TextRepair):
                name = step.changed(name)
                yield name.strip()

    def counts(self) -> Mapping[str, int]:
        """How often each kind was masked, and how many different ones there were."""
        counts: dict[str, int] = {}
        for kind in self.options.kinds:
            if self._masked[kind]:
                counts[_WORDS[kind]] = self._masked[kind]
                counts[f"different {_WORDS[kind]}"] = len(self._numbers[kind])
        return counts

    def notes(self) -> Sequence[str]:
        """What was masked, without any value."""
        masked = [f"{self._masked[kind]} {_WORDS[kind]}" for kind in self.options.kinds if self._masked[kind]]
        return [f"personal_data: masked {', '.join(masked)}"] if masked else []

    def _placeholder(self, found: Found) -> str:
        numbers = self._numbers[found.kind]
        digest = blake2b(found.value.encode(), digest_size=8).digest()
        self._masked[found.kind] += 1
        return f"[{KINDS[found.kind]}_{numbers.setdefault(digest, len(numbers) + 1)}]"

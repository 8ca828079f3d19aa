"""What a run was begun with, by its digests in run.json, and whether it is still there when the run is opened again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields

from luthier.data.rendering import Renderer
from luthier.errors import ConfigError
from luthier.models.base import ModelFiles
from luthier.models.digests import tokenizer_digest
from luthier.runs import Run

_NAMES = {
    "base": "the weights of the base",
    "tokenizer": "the tokenizer",
    "template": "the chat template",
    "data": "the rows (their files, or how this version of Luthier prepares them)",
}


@dataclass(frozen=True)
class Origins:
    """Digests of what a run is made from; None where that is not known.

    Attributes:
        base: of the weights' files.
        tokenizer: of the tokenizer's files.
        template: of the chat template's text.
        data: of everything that the rows were made from.
    """

    base: str | None
    tokenizer: str | None
    template: str | None
    data: str | None

    @classmethod
    def now(cls, files: ModelFiles, renderer: Renderer, data: str | None = None) -> Origins:
        """As it is found now."""
        template = hashlib.sha256(renderer.template_text.encode()).hexdigest()[:32]
        return cls(files.digest, tokenizer_digest(files.folder), template, data)

    @classmethod
    def recorded(cls, run: Run) -> Origins:
        """As it was when the run's training began."""
        record = run.record
        return cls(
            record.get("base", {}).get("digest"),
            record.get("tokenizer_digest"),
            record.get("template_digest"),
            record.get("data", {}).get("digest"),
        )

    def changed(self, run: Run) -> list[str]:
        """What is no longer as the run has it on record, in words; what either does not know is left out."""
        before = Origins.recorded(run)
        pairs = ((field.name, getattr(before, field.name), getattr(self, field.name)) for field in fields(self))
        return [_NAMES[name] for name, then, now in pairs if None not in (then, now) and then != now]

    def check(self, run: Run) -> None:
        """Refuses to open a run with anything else than what it was begun with.

        Raises:
            ConfigError: something changed; says what.
        """
        if changed := self.changed(run):
            raise ConfigError(
                f"no longer what the run was begun with: {', '.join(changed)}",
                where=str(run.path),
                hint=f"put it back as it was, or train anew: luthier train {run.config_file}",
            )

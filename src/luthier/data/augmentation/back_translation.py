"""Texts into another language and back (Sennrich et al. 2016, https://arxiv.org/abs/1511.06709)."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib.metadata import entry_points
from threading import Lock
from typing import Any, Literal

from pydantic import Field, model_validator

from luthier.data.augmentation import Augmentation, AugmentationOptions, NewRow, asked_text, with_asked_text
from luthier.data.examples import Example
from luthier.endpoint import Endpoint
from luthier.errors import ConfigError

GROUP = "luthier.translator"
"""Entry points of functions (text, source language, target language) -> text."""

_TASK = (
    "You are a translator. Translate the user's text from {source} to {target}. Keep names, numbers and the tone. "
    "Write the translation and nothing else."
)

Translate = Callable[[str, str, str], str]


class BackTranslationOptions(AugmentationOptions):
    """Texts translated and back, by a model behind an endpoint or by a function of your own."""

    name: Literal["back_translation"] = "back_translation"
    endpoint: str | None = Field(
        None, description="Address of an OpenAI-compatible endpoint up to and with /v1; its key is in the environment."
    )
    model: str | None = Field(None, description="The model's name at the endpoint.")
    key_variable: str = Field("OPENAI_API_KEY", description="Environment variable that holds the endpoint's key.")
    translator: str | None = Field(
        None,
        description="Name of an entry point of the group luthier.translator, in place of an endpoint: a function "
        "(text, source, target) -> text.",
    )
    language: str = Field("English", description="The language of the texts.")
    via: list[str] = Field(
        default_factory=lambda: ["German"], min_length=1, description="Languages to go through, a new row for each."
    )
    at_once: int = Field(4, ge=1, description="Translations asked for at the same time.")

    @model_validator(mode="after")
    def _one_translator(self) -> BackTranslationOptions:
        if (self.endpoint is None) == (self.translator is None):
            raise ValueError("back_translation needs either an endpoint with a model, or a translator")
        if self.endpoint is not None and self.model is None:
            raise ValueError("back_translation needs the model's name at the endpoint")
        return self


class BackTranslation(Augmentation):
    """Asks for both ways; what an endpoint answered is kept in the cache, so an interrupted preparation goes on."""

    Options = BackTranslationOptions

    def make(self, rows: Sequence[tuple[int, Example]]) -> Iterator[NewRow]:
        """A new row for each language on the way."""
        asked = [
            (row_id, example, text)
            for row_id, example, _ in self.chosen(rows)
            if (text := asked_text(example)) is not None and text.strip()
        ]
        if not asked:
            return
        home, texts = self.options.language, [text for _, _, text in asked]
        with closing(_translator(self.options)) as translate, ThreadPoolExecutor(self.options.at_once) as pool:
            for via in self.options.via:
                away = list(pool.map(lambda text, via=via: translate(text, home, via), texts))
                back = list(pool.map(lambda text, via=via: translate(text, via, home) if text else "", away))
                for (row_id, example, _), text in zip(asked, back, strict=True):
                    change = f"translated to {via} and back"
                    if text:
                        yield NewRow(row_id, with_asked_text(example, text), change)
                    else:
                        yield NewRow(row_id, example, change, refused="the translation is empty")


class _Own:
    """A translator's function from an entry point."""

    def __init__(self, name: str) -> None:
        found = {point.name: point for point in entry_points(group=GROUP)}
        if name not in found:
            raise ConfigError(
                f"there is no translator '{name}'",
                where="data.augment: back_translation",
                expected=f"an entry point of the group {GROUP}" + (f": {', '.join(found)}" if found else ""),
            )
        self._translate: Translate = found[name].load()

    def __call__(self, text: str, source: str, target: str) -> str:
        return self._translate(text, source, target).strip()

    def close(self) -> None:
        """Nothing is held."""


class _Asked:
    """A translator behind an endpoint, with its answers in the cache."""

    def __init__(self, options: BackTranslationOptions) -> None:
        from luthier.runs.files import cache_folder  # a run's folder knows configurations, which know this file

        self._endpoint = Endpoint(options.endpoint or "", options.model or "", options.key_variable)
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = Lock()
        self._answers = sqlite3.connect(folder / "translations.sqlite", check_same_thread=False, timeout=60)
        self._answers.execute("create table if not exists answers (question text primary key, answer text)")

    def __call__(self, text: str, source: str, target: str) -> str:
        task = _TASK.format(source=source, target=target)
        parts = (self._endpoint.url, self._endpoint.model, task, text)
        question = hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()
        with self._lock:
            known = self._answers.execute("select answer from answers where question = ?", (question,)).fetchone()
        if known:
            return str(known[0])
        messages = [{"role": "system", "content": task}, {"role": "user", "content": text}]
        answer = self._endpoint.ask(messages, temperature=0).text.strip()
        with self._lock, self._answers:
            self._answers.execute("insert or replace into answers values (?, ?)", (question, answer))
        return answer

    def close(self) -> None:
        """Closes the cache."""
        self._answers.close()


def _translator(options: Any) -> _Own | _Asked:
    return _Own(options.translator) if options.translator is not None else _Asked(options)

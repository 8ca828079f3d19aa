"""The text of whole files, with an empty line between the blocks of HTML, the paragraphs of DOCX, the pages of PDF.

The libraries that know these formats come with the extra `documents`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, BinaryIO

from luthier.errors import DataError


def extract(kind: str, source: str | BinaryIO) -> tuple[str, str | None]:
    """(a file's text, why it cannot be read or None).

    Args:
        kind: plain | html | docx | pdf.
        source: the text of the first two, the bytes of the others.

    Raises:
        DataError: the library for this kind is not installed.
    """
    try:
        return EXTRACTORS[kind](source), None
    except ImportError as error:
        raise DataError(
            f"reading {kind.upper()} needs the package {error.name}", hint="pip install 'luthier[documents]'"
        ) from error
    except Exception as error:  # what these parsers raise on a damaged file is not documented anywhere
        return "", f"a damaged or protected {kind.upper()} file: {str(error) or type(error).__name__}"


def _html(source: Any) -> str:
    from html_text import extract_text

    return str(extract_text(source)) if source.strip() else ""


def _docx(source: Any) -> str:
    import docx
    from docx.table import Table

    inside = docx.Document(source).iter_inner_content()
    blocks = [_table(block) if isinstance(block, Table) else block.text for block in inside]
    return "\n\n".join(block for block in blocks if block.strip())


def _table(table: Any) -> str:
    """A table's rows, a line each."""
    return "\n".join("| " + " | ".join(cell.text.strip() for cell in row.cells) + " |" for row in table.rows)


def _pdf(source: Any) -> str:
    from pypdf import PdfReader

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what it cannot read becomes the row's reason
    pages = [page.extract_text().strip() for page in PdfReader(source).pages]
    return "\n\n".join(filter(None, pages))


EXTRACTORS: dict[str, Callable[[Any], str]] = {"plain": str, "html": _html, "docx": _docx, "pdf": _pdf}
"""By kind of file."""

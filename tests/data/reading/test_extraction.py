import sys
from pathlib import Path

import pytest

from luthier.config import SourceConfig
from luthier.data.examples import BadRow, Row
from luthier.data.intake import OpenSource
from luthier.data.reading.sources import data_files, read_rows
from luthier.errors import DataError


def one(path: Path, **options: object) -> str:
    [row] = read_rows(SourceConfig.model_validate({"path": str(path), **options}))
    assert isinstance(row, Row), row
    return str(row.values["text"])


def why(path: Path) -> str:
    [row] = read_rows(SourceConfig(path=str(path)))
    assert isinstance(row, BadRow)
    return row.reason


def test_markdown_is_one_document_and_text_is_when_asked(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Results\n\nProfit rose.\n")
    (tmp_path / "b.txt").write_text("Profit rose.\n\nCosts fell.\n")
    assert one(tmp_path / "a.md") == "# Results\n\nProfit rose."
    assert len(list(read_rows(SourceConfig(path=str(tmp_path / "b.txt"))))) == 2
    assert one(tmp_path / "b.txt", documents=True) == "Profit rose.\n\nCosts fell."


def test_a_folder_of_documents_and_one_of_rows(tmp_path: Path) -> None:
    for name in ("a.md", "sub/b.md", "c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("Profit rose.\n\nCosts fell.")
    files, unknown = data_files(SourceConfig(path=str(tmp_path), documents=True))
    assert [Path(file.name).name for file in files] == ["a.md", "c.txt", "b.md"]
    assert unknown == []
    opened = OpenSource.open(SourceConfig(path=str(tmp_path), documents=True), lambda note: None)
    assert opened.name == "text"
    files, unknown = data_files(SourceConfig(path=str(tmp_path)))  # a README beside rows is no row
    assert [file.kind for file in files] == ["txt"]
    assert [Path(name).name for name in unknown] == ["a.md", "b.md"]
    (tmp_path / "c.txt").unlink()
    assert [file.kind for file in data_files(SourceConfig(path=str(tmp_path)))[0]] == ["plain", "plain"]


def test_html_keeps_blocks_and_entities_and_leaves_scripts_out(tmp_path: Path) -> None:
    pytest.importorskip("html_text", reason="pip install 'luthier[documents]'")
    head = "<head><style>p {}</style><script>x()</script></head>"
    page = f"<html>{head}<body><h1>Results</h1><p>Profit&nbsp;rose <b>by</b> 3&percnt;.</p><p>公司</p></body></html>"
    (tmp_path / "a.html").write_bytes(page.encode("utf-8"))
    assert one(tmp_path / "a.html") == "Results\n\nProfit rose by 3%.\n\n公司"
    (tmp_path / "b.htm").write_bytes("<p>公司净利润同比增长，营业收入也有所增长。</p>".encode("gb18030"))
    assert one(tmp_path / "b.htm") == "公司净利润同比增长，营业收入也有所增长。"


def test_docx_has_paragraphs_and_tables_in_their_order(tmp_path: Path) -> None:
    docx = pytest.importorskip("docx", reason="pip install 'luthier[documents]'")
    document = docx.Document()
    document.add_heading("Results")
    document.add_paragraph("Profit rose.")
    cells = document.add_table(rows=1, cols=2).rows[0].cells
    cells[0].text, cells[1].text = "Sales", "12"
    document.add_paragraph("Costs fell.")
    document.save(str(tmp_path / "a.docx"))
    assert one(tmp_path / "a.docx") == "Results\n\nProfit rose.\n\n| Sales | 12 |\n\nCosts fell."


def pdf(*texts: str) -> bytes:
    """A minimal PDF of a page a text; an empty text is a page without any."""
    kids = " ".join(f"{4 + 2 * place} 0 R" for place in range(len(texts)))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {len(texts)}/Kids[{kids}]>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for text in texts:
        drawn = f"BT /F1 12 Tf 20 200 Td ({text}) Tj ET" if text else ""
        contents = f"/Contents {len(objects) + 2} 0 R/Resources<</Font<</F1 3 0 R>>>>"
        objects.append(f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]{contents}>>")
        objects.append(f"<</Length {len(drawn)}>>stream\n{drawn}\nendstream")
    written, places = "%PDF-1.4\n", []
    for number, item in enumerate(objects, start=1):
        places.append(len(written))
        written += f"{number} 0 obj{item}endobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    end = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer<</Size {size}/Root 1 0 R>>\nstartxref\n{len(written)}\n"
    return f"{written}{end}%%EOF\n".encode()


@pytest.mark.filterwarnings("ignore")
def test_pdf_pages_are_parted_and_pictures_are_named(tmp_path: Path) -> None:
    pytest.importorskip("pypdf", reason="pip install 'luthier[documents]'")
    (tmp_path / "a.pdf").write_bytes(pdf("Profit rose.", "", "Costs fell."))
    assert one(tmp_path / "a.pdf") == "Profit rose.\n\nCosts fell."
    (tmp_path / "b.pdf").write_bytes(pdf(""))
    assert why(tmp_path / "b.pdf") == "the document has no text: pictures of pages?"
    (tmp_path / "c.pdf").write_bytes(b"%PDF-1.4 and nothing else")
    assert why(tmp_path / "c.pdf").startswith("a damaged or protected PDF file")


def test_a_missing_library_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypdf", None)
    (tmp_path / "a.pdf").write_bytes(pdf("Profit rose."))
    with pytest.raises(DataError, match=r"luthier\[documents\]"):
        one(tmp_path / "a.pdf")


def test_empty_and_undecodable_documents(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(" \n")
    assert why(tmp_path / "a.md") == "the document has no text"
    (tmp_path / "b.md").write_bytes(b"\x00\x01\x02" * 100)
    assert why(tmp_path / "b.md") == "a binary file, not text"

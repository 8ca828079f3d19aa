"""Long and short documents: pieces with overlap in the ledger, and short ones packed into full rows."""

import json

import pytest
import torch

from luthier.config import load_config
from luthier.data.ledger import read_ledger
from luthier.errors import ConfigError

pytestmark = pytest.mark.integration

WORDS = ("amber", "bridge", "candle", "dolphin", "engine", "forest", "garden", "harbour", "island", "jacket")


@pytest.fixture
def texts(tmp_path):
    """Forty short documents of uneven length, and a long one."""
    lengths = [3 + number % 9 for number in range(40)] + [60]
    lines = [
        " ".join(
            f"{WORDS[(number * 3 + place * (number % 7 + 1)) % 10]}{number * place % 17}" for place in range(length)
        )
        for number, length in enumerate(lengths)
    ]
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
    return file


@pytest.fixture
def documents(texts):
    """Keys of `data` for them."""
    split = {"test": 0, "validation": 0, "by": "random"}
    common = {"train": str(texts), "labels": None, "instruction": None, "split": split, "clean": []}
    return lambda **data: common | {"max_length": 128, "too_long": "split"} | data


def test_pieces_overlap_and_each_has_its_line(bench, documents):
    plain = bench.materials(data=documents()).prepared
    prepared = bench.materials(data=documents(overlap=32)).prepared
    assert prepared.digest != plain.digest
    lines = list(read_ledger(prepared.ledger))
    whole = next(line for line in lines if line.row_id == 40)
    pieces = [line for line in lines if line.parent_id == 40]
    assert whole.changes == f"split into {len(pieces)} pieces"
    assert [line.origin for line in pieces] == ["split"] * len(pieces)
    length = sum(line.tokens for line in pieces) - 32 * (len(pieces) - 1)
    assert sum(line.supervised for line in pieces) == length - 1, "every token but the first is learned once"
    records = {row.row_id: row for row in prepared.train}
    first, second = (list(records[line.row_id].ids) for line in pieces[:2])
    assert first[-32:] == second[:32]
    assert list(records[pieces[1].row_id].supervised[:33]) == [False] * 32 + [True]


def test_packed_rows_change_neither_rows_nor_ledger(bench, documents):
    packed = bench.materials(data=documents(pack=True))
    assert packed.prepared.digest == bench.materials(data=documents()).prepared.digest
    trainer = bench.trainer(packed)
    order = trainer.session.order
    tokens = [sum(len(row.ids) for row in (packed.prepared.train[n] for n in rows)) for rows in order.packs]
    assert max(tokens) <= 128
    assert len(order.packs) < len(packed.prepared.train)
    assert trainer.total == -(-len(order.packs) // 8) * 2


@pytest.mark.parametrize("engine", ["reference", "fast"])
def test_documents_in_a_row_do_not_see_each_other(bench, documents, engine):
    """The loss of a packed row is that of its documents one by one, in the plain model."""
    training = {"batch_size": 1, "engine": engine, "epochs": 1}
    trainer = bench.trainer(bench.materials(data=documents(pack=True), training=training))
    assert trainer.session.choice.engine.name == engine
    step = next(step for step in range(1, 10) if len(trainer.rows(step)) > 2)
    trainer.begin(trainer.materials.prepared.train)
    found, _, _ = trainer.gradient(step)
    losses, count = 0.0, 0
    with torch.no_grad():
        for row in trainer.rows(step):
            ids = torch.tensor([list(row.ids)])
            labels = ids.masked_fill(~torch.tensor([list(row.supervised)]), -100)
            losses += float(trainer.network(ids, labels=labels).loss) * sum(row.supervised)
            count += sum(row.supervised)
    assert found == pytest.approx(losses / count, rel=1e-5)


def test_a_packed_run_says_what_it_packed(bench, documents):
    from luthier.training.record import describe

    trainer = bench.trainer(bench.materials(data=documents(pack=True)))
    assert any(note.startswith("data.pack: ") for note in describe(trainer.session)["notes"])


@pytest.mark.parametrize(
    ("data", "found"),
    [({"overlap": 65}, "at most half of max_length"), ({"pack": True, "balance": "oversample"}, "do not go together")],
)
def test_what_does_not_fit_together_is_refused(bench, documents, data, found):
    file = bench.write(bench.folder / "run.yaml", bench.models["llama"], bench.rows, data=documents(**data))
    with pytest.raises(ConfigError, match=found):
        load_config(file)

from __future__ import annotations

import time
from pathlib import Path

import gguf
import numpy as np
import pytest
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from luthier.errors import ModelError
from luthier.models.files import resolve

TEMPLATE = "{% for message in messages %}<s>{{ message['content'] }}</s>{% endfor %}"


def write_gguf(file: Path, architecture: str = "llama") -> dict[str, np.ndarray]:
    """A random Llama of one layer, its MLP in Q8_0; returns the tensors by name as they were before."""
    random = np.random.default_rng(0)
    width, inner, heads = 64, 96, 4
    tokens = ["<unk>", "<s>", "</s>", *"abcdefghijklmnopqrstuvwxyz", "ab"]
    writer = gguf.GGUFWriter(file, architecture)
    writer.add_name("tiny")
    writer.add_context_length(128)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(TEMPLATE)
    shapes = {"token_embd": (len(tokens), width), "output_norm": (width,)}
    shapes |= {f"blk.0.attn_{part}": (width, width) for part in ("q", "k", "v", "output")}
    shapes |= {"blk.0.attn_norm": (width,), "blk.0.ffn_norm": (width,)}
    shapes |= {"blk.0.ffn_gate": (inner, width), "blk.0.ffn_up": (inner, width), "blk.0.ffn_down": (width, inner)}
    tensors = {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    for name, tensor in tensors.items():
        if "ffn_" in name and tensor.ndim == 2:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(f"{name}.weight", gguf.quantize(tensor, kind), raw_dtype=kind)
        else:
            writer.add_tensor(f"{name}.weight", tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tensors


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_file_becomes_a_float32_folder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tiny.gguf"
    tensors = write_gguf(file)
    said: list[str] = []
    files = resolve(str(file), progress=said.append)
    assert len(said) == 1
    assert "dequantising tiny.gguf" in said[0]
    assert capfd.readouterr().err == ""
    weights = load_file(files.folder / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(weights["model.embed_tokens.weight"], tensors["token_embd"])
    quantised = gguf.quantize(tensors["blk.0.ffn_up"], gguf.GGMLQuantizationType.Q8_0)
    expected = gguf.dequantize(quantised, gguf.GGMLQuantizationType.Q8_0)
    np.testing.assert_array_equal(weights["model.layers.0.mlp.up_proj.weight"], expected)


def test_plain_transformers_loads_the_copy(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    folder = resolve(str(tmp_path / "tiny.gguf")).folder
    network = AutoModelForCausalLM.from_pretrained(folder)
    assert getattr(network.config, "quantization_config", None) is None
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.chat_template == TEMPLATE
    assert tokenizer.convert_ids_to_tokens(tokenizer("abc")["input_ids"]) == ["ab", "c"]
    assert "local_files_only" not in (folder / "tokenizer_config.json").read_text()


def test_the_second_time_takes_the_copy(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    first = resolve(str(tmp_path / "tiny.gguf"))
    (tmp_path / "elsewhere").mkdir()
    moved = (tmp_path / "tiny.gguf").rename(tmp_path / "elsewhere" / "tiny.gguf")
    assert resolve(str(moved), progress=lambda said: pytest.fail(said)).folder == first.folder
    assert resolve(str(moved.parent)).digest == first.digest


@pytest.mark.parametrize("damage", ["cut off", "another format", "cut inside the header"])
def test_a_damaged_file_leaves_nothing_behind(damage: str, tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "tiny.gguf"
    write_gguf(file)
    content = file.read_bytes()
    kept = {"cut off": content[:-1000], "another format": b"PK" + content, "cut inside the header": content[:200]}
    file.write_bytes(kept[damage])
    with pytest.raises(ModelError, match=r"tiny\.gguf") as error:
        resolve(str(file))
    assert "copied again" in str(error.value) or "download it again" in str(error.value)
    assert not list(cache.glob("models/*"))


def test_an_unknown_architecture(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf", architecture="no-such-net")
    with pytest.raises(ModelError, match="no-such-net"):
        resolve(str(tmp_path / "tiny.gguf"))


@pytest.mark.real
def test_the_real_file_loads_fast_the_second_time(smollm2: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LUTHIER_CACHE")  # the user's own: made once, not at every run of the tests
    resolve(smollm2)
    start = time.perf_counter()
    files = resolve(smollm2)
    assert time.perf_counter() - start < 1
    assert AutoTokenizer.from_pretrained(files.folder)("12")["input_ids"] == [33, 34]  # digits stay apart

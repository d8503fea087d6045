"""The TF-IDF join finds exactly the pairs of a brute-force table, with the weights of scikit-learn's formula."""

import math
import random
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dc_tools.dedup.pairs import cosine
from dc_tools.dedup.pairs.cosine import Corpus, find_cosine_pairs, least_head_product, word_bags

WORDS = ["a", "b", "sum", "array", "minimum", "lexicographically", "größe", "数", "x_1", "10", "the", "of"]


def corpus_of(texts, batch=100):
    """The texts as the product takes them in."""
    corpus = Corpus()
    for start in range(0, len(texts), batch):
        corpus.add(word_bags(texts[start : start + batch]))
    return corpus


def found_in(texts, threshold, batch=100, references=None):
    """(a, b) -> score."""
    found = find_cosine_pairs(corpus_of(texts, batch), threshold, references)
    pairs = list(zip(found.a.tolist(), found.b.tolist(), strict=True))
    assert pairs == sorted(set(pairs))
    assert found.candidates >= len(pairs)
    return dict(zip(pairs, found.score.tolist(), strict=True))


def brute_force(texts):
    """(a, b) -> cosine of all pairs of texts with words, in plain Python."""
    bags = [Counter(text.split()) for text in texts]
    df = Counter(word for bag in bags for word in bag)
    idf = {word: math.log((1 + len(texts)) / (1 + times)) + 1 for word, times in df.items()}
    vectors = [{word: times * idf[word] for word, times in bag.items()} for bag in bags]
    norms = [math.sqrt(sum(x * x for x in vector.values())) for vector in vectors]
    return {
        (a, b): sum(x * vectors[b].get(word, 0) for word, x in vectors[a].items()) / (norms[a] * norms[b])
        for a, b in combinations(range(len(texts)), 2)
        if norms[a] and norms[b]
    }


def agree(found, expected, threshold):
    """Whether the pairs are those at the threshold, give or take rounding, and their scores are right."""
    sure = {pair for pair, score in expected.items() if score >= threshold}
    near = {pair for pair, score in expected.items() if score >= threshold - 2e-9}
    return sure <= found.keys() <= near and all(abs(found[pair] - expected[pair]) < 1e-12 for pair in found)


@st.composite
def corpora(draw):
    """Texts of a few words each, many of them edits of earlier ones."""
    texts = []
    for _ in range(draw(st.integers(0, 14))):
        if texts and draw(st.booleans()):
            words = draw(st.sampled_from(texts)).split()
            for _ in range(draw(st.integers(0, 3))):
                place = draw(st.integers(0, len(words)))
                words[place : place + draw(st.integers(0, 2))] = draw(st.lists(st.sampled_from(WORDS), max_size=2))
        else:
            words = draw(st.lists(st.sampled_from(WORDS), max_size=30))
        texts.append(" ".join(words))
    return texts


@settings(max_examples=150, deadline=None)
@given(corpora(), st.sampled_from([0.01, 0.3, 0.5, 2 / 3, 0.8, 0.9, 0.95, 1.0]), st.integers(1, 5))
@example(["", " ", "a", "a", "a a"], 1.0, 2)
def test_join_equals_brute_force(texts, threshold, batch):
    assert agree(found_in(texts, threshold, batch), brute_force(texts), threshold)


def long_corpus(seed, texts):
    """Texts of 40 to 120 words, the commonest of which is every fourteenth; a third are edits of another."""
    rng = random.Random(seed)
    found = []
    for _ in range(texts):
        if found and rng.random() < 0.35:
            text = list(rng.choice(found))
            for _ in range(rng.choice([1, 3, 10, 30])):
                text[rng.randrange(len(text))] = f"w{int(3000 * rng.random() ** 3)}"
        else:
            text = [f"w{int(3000 * rng.random() ** 3)}" for _ in range(rng.randint(40, 120))]
        found.append(text)
    return [" ".join(text) for text in found]


@pytest.mark.parametrize("chunk", [100, 5000, 1 << 22])
def test_join_equals_brute_force_on_long_texts_whatever_the_chunk_size(monkeypatch, chunk):
    monkeypatch.setattr(cosine, "CHUNK", chunk)
    texts = long_corpus(seed=3, texts=150)
    expected = brute_force(texts)
    for threshold in (0.6, 0.8, 0.95):
        found = found_in(texts, threshold)
        assert len(found) > 10
        assert agree(found, expected, threshold)


def test_scores_are_the_same_to_the_last_bit_in_any_order_and_batches():
    texts = long_corpus(seed=4, texts=300)
    order = random.Random(5).sample(range(len(texts)), len(texts))
    found = found_in(texts, 0.7, batch=300)
    shuffled = found_in([texts[i] for i in order], 0.7, batch=7)
    assert len(found) > 30
    assert {(min(order[a], order[b]), max(order[a], order[b])): score for (a, b), score in shuffled.items()} == found


def test_filter_leaves_few_candidates():
    texts = long_corpus(seed=6, texts=1500)
    found = find_cosine_pairs(corpus_of(texts), 0.95)
    assert len(found.a) > 100
    assert found.candidates < 4 * len(found.a)


def test_weights_by_hand():
    # n = 3. "x": df 2, idf ln(4/3) + 1; "y" and "z": df 1, idf ln 2 + 1.
    counts, idf = corpus_of(["x x y", "x z", ""]).matrix()
    assert idf.tolist() == pytest.approx([math.log(2) + 1, math.log(2) + 1, math.log(4 / 3) + 1], abs=1e-15)
    assert counts.toarray()[:, 2].tolist() == [2, 1, 0]
    x, y = math.log(4 / 3) + 1, math.log(2) + 1
    score = 2 * x * x / math.sqrt((4 * x * x + y * y) * (x * x + y * y))
    assert found_in(["x x y", "x z", ""], 0.5) == {(0, 1): pytest.approx(score, abs=1e-15)}
    assert found_in(["x x y", "x z", ""], score + 1e-6) == {}


def test_weights_are_those_of_scikit_learn():
    text = pytest.importorskip("sklearn.feature_extraction.text", reason="scikit-learn is not installed")
    texts = long_corpus(seed=7, texts=120)
    weights = text.TfidfVectorizer(token_pattern=r"\S+").fit_transform(texts)
    table = (weights @ weights.T).toarray()
    expected = {(a, b): table[a, b] for a, b in combinations(range(len(texts)), 2)}
    assert agree(found_in(texts, 0.5), expected, 0.5)


def test_texts_of_equal_bags_score_exactly_one():
    texts = ["one two two three", "two three two one", "one two three", "four"]
    assert found_in(texts, 1.0) == {(0, 1): 1.0}


def test_pairs_of_two_references_are_left_out():
    texts = ["a b c d", "a b c d e", "x y", "a b c d", "a b c d e"]
    references = np.array([True, False, False, True, True])
    whole = found_in(texts, 0.8)
    assert len(whole) == 6
    assert found_in(texts, 0.8, references=references) == {
        pair: score for pair, score in whole.items() if 1 in pair
    }
    assert found_in(texts, 0.8, references=np.ones(5, dtype=bool)) == {}


def test_words_that_occur_often_are_counted():
    often = " ".join(["a"] * 70_000 + ["b"] * 300)
    bags = word_bags([often, "a b"])
    assert sorted(bags.counts.tolist()) == [1, 1, 300, 70_000]
    assert found_in([often, "a b"], 0.5)[0, 1] == pytest.approx(70_300 / math.sqrt(2 * (70_000**2 + 300**2)), abs=1e-12)


def test_least_head_product_is_where_the_bound_meets_the_threshold():
    # h + .6 sqrt(1 - h^2) = 1 at h = (1 - .6 * .6) / 1.36
    assert least_head_product(1.0, 0.6) == pytest.approx(0.64 / 1.36, abs=1e-15)
    least = least_head_product(0.8, 0.72)
    assert least + 0.72 * math.sqrt(1 - least**2) == pytest.approx(0.8, abs=1e-15)


def test_no_texts_have_no_pairs():
    assert found_in([], 0.5) == {}
    assert found_in(["", "-"], 0.5) == {}

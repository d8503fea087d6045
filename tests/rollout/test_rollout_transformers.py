"""The transformers engine against transformers itself, on a tiny model."""

import json
import shutil
from pathlib import Path
from random import Random

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_model import SHOT, examples, messages_of

from dc_tools.core.errors import CannotRun
from dc_tools.core.records import Finish
from dc_tools.rollout.draw import draw
from dc_tools.rollout.engine import Prompt, Sample, Sampling, sample_seed
from dc_tools.rollout.transformers import TransformersEngine

FENCE = "```python\n"


def prompts(count: int, stop: tuple[str, ...] = ("```",)) -> list[Prompt]:
    """Fenced prompts of differing lengths."""
    found = [Prompt(f"p{i}", tuple(messages_of(s)), FENCE, stop) for i, (s, _) in enumerate(examples(11, count))]
    short = Prompt("short", ({"role": "user", "content": SHOT[0]},), FENCE, stop)
    return [*found[:1], short, *found[1:]][:count]


@pytest.fixture(scope="module")
def taught(taught_model: Path) -> TransformersEngine:
    return TransformersEngine.load(taught_model, device="cpu", batch_prompts=3)


@pytest.fixture(scope="module")
def wild(tiny_model: Path) -> TransformersEngine:
    """Random weights: a nearly flat distribution, the hardest to agree on."""
    return TransformersEngine.load(tiny_model, device="cpu", batch_prompts=3)


def flat(groups: list[list[Sample]]) -> list[Sample]:
    return [sample for group in groups for sample in group]


@torch.inference_mode()
def full_logits(engine: TransformersEngine, sample: Sample) -> torch.Tensor:
    """Logits at each sampled token from one forward pass without a cache."""
    ids = torch.tensor([sample.prompt_ids + sample.token_ids])
    logits = engine.model(input_ids=ids, use_cache=False).logits[0]
    return logits[len(sample.prompt_ids) - 1 : -1]


def test_log_probabilities_are_those_of_a_full_forward_pass(wild: TransformersEngine) -> None:
    samples = flat(list(wild.generate(prompts(4), Sampling(n=3, max_tokens=40, seed=5))))
    assert len(samples) == 12
    worst = 0.0
    for sample in samples:
        expected = full_logits(wild, sample).log_softmax(-1)[range(len(sample.token_ids)), sample.token_ids]
        worst = max(worst, (expected - torch.tensor(sample.logprobs)).abs().max().item())
    assert worst < 1e-4


def test_log_probabilities_are_those_after_temperature_and_top_p(taught: TransformersEngine) -> None:
    samples = flat(list(taught.generate(prompts(4), Sampling(n=3, max_tokens=40, temperature=0.7, top_p=0.9))))
    for sample in samples:
        logits = full_logits(taught, sample) / 0.7
        order = logits.sort(-1, descending=True)
        mass = order.values.softmax(-1).cumsum(-1)
        cut = mass - order.values.softmax(-1) >= 0.9
        kept = order.values.masked_fill(cut, -torch.inf).log_softmax(-1).gather(-1, order.indices.argsort(-1))
        expected = kept[range(len(sample.token_ids)), sample.token_ids]
        assert (expected - torch.tensor(sample.logprobs)).abs().max() < 1e-4


def test_samples_do_not_depend_on_the_batch_they_are_in(
    taught: TransformersEngine, wild: TransformersEngine
) -> None:
    for engine in (taught, wild):
        sampling = Sampling(n=4, max_tokens=40, temperature=0.9, top_p=0.95, seed=3)
        together = list(engine.generate(prompts(5), sampling))
        alone = [next(engine.generate([prompt], sampling)) for prompt in prompts(5)]
        assert [s.token_ids for s in flat(together)] == [s.token_ids for s in flat(alone)]
        fewer = list(engine.generate(prompts(5), Sampling(2, 0.9, 0.95, 40, 3)))
        assert [s.token_ids for group in together for s in group[:2]] == [s.token_ids for s in flat(fewer)]


def test_a_sample_is_drawn_with_one_uniform_number_a_token_from_its_own_seed(wild: TransformersEngine) -> None:
    sample = next(wild.generate(prompts(1), Sampling(n=2, max_tokens=20, seed=9)))[1]
    assert sample.seed == sample_seed(9, "p0", 1)
    rng = Random(sample.seed)
    uniform = [rng.random() for _ in sample.token_ids]
    assert draw(full_logits(wild, sample), uniform, 1.0, 1.0)[0].tolist() == sample.token_ids


def test_greedy_is_what_generate_gives(taught: TransformersEngine, wild: TransformersEngine) -> None:
    for engine in (taught, wild):
        groups = list(engine.generate(prompts(5, stop=()), Sampling(n=1, temperature=0, max_tokens=30)))
        for sample in flat(groups):
            ids = torch.tensor([sample.prompt_ids])
            whole = engine.model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=30)
            assert sample.token_ids == whole[0, ids.shape[1] :].tolist()


def test_other_seeds_give_other_samples(wild: TransformersEngine) -> None:
    texts = {
        s.text
        for seed in (0, 1)
        for s in flat(list(wild.generate(prompts(2), Sampling(n=4, max_tokens=12, seed=seed))))
    }
    assert len(texts) == 16


def test_a_stop_string_ends_the_answer_and_is_kept(taught: TransformersEngine) -> None:
    stopped = flat(list(taught.generate(prompts(4), Sampling(n=4, max_tokens=60, temperature=0.5))))
    ended = flat(list(taught.generate(prompts(4, stop=()), Sampling(n=4, max_tokens=60, temperature=0.5))))
    end = taught.tokenizer.eos_token_id
    whole = [(short, long) for short, long in zip(stopped, ended, strict=True) if long.finish is Finish.STOP]
    assert len(whole) >= 12
    for short, long in whole:
        assert short.finish is Finish.STOP
        assert short.text.startswith(FENCE) and short.text.endswith("```")
        assert long.token_ids[-1] == end
        assert short.token_ids == long.token_ids[: len(short.token_ids)]
        assert long.text.startswith(short.text)


def test_a_stop_string_inside_a_token_cuts_the_text_but_not_the_tokens(taught: TransformersEngine) -> None:
    cut = next(taught.generate(prompts(1, stop=("rin",)), Sampling(temperature=0, max_tokens=60)))[0]
    assert cut.finish is Finish.STOP
    assert cut.text.endswith("\nprin")
    assert FENCE + taught.tokenizer.decode(cut.token_ids) == cut.text + "t"


def test_the_token_budget_ends_an_answer_with_length(wild: TransformersEngine) -> None:
    sample = next(wild.generate(prompts(1), Sampling(max_tokens=7)))[0]
    assert (sample.finish, len(sample.token_ids), len(sample.logprobs)) == (Finish.LENGTH, 7, 7)


def test_an_answer_ends_with_length_at_the_last_position(taught: TransformersEngine) -> None:
    long = Prompt("long", ({"role": "user", "content": "é" * 246},), FENCE)
    assert 512 - len(taught.encode(long)) == 9
    sample = next(taught.generate([long], Sampling(max_tokens=100, temperature=0)))[0]
    assert (sample.finish, len(sample.token_ids)) == (Finish.LENGTH, 9)


def test_a_prompt_beyond_the_positions_is_an_error_and_leaves_its_neighbours_alone(wild: TransformersEngine) -> None:
    before, after = prompts(2)
    long = Prompt("long", ({"role": "user", "content": "n" * 600},), FENCE)
    sampling = Sampling(n=2, max_tokens=10)
    groups = list(wild.generate([before, long, after], sampling))
    assert [s.finish for s in groups[1]] == [Finish.ERROR] * 2
    assert "the model only 512 positions" in str(groups[1][0].error)
    without = list(wild.generate([before, after], sampling))
    assert [s.token_ids for s in groups[0] + groups[2]] == [s.token_ids for s in flat(without)]
    assert [s.finish for s in next(wild.generate([long], sampling))] == [Finish.ERROR] * 2


def test_prompts_are_taken_a_batch_at_a_time(wild: TransformersEngine) -> None:
    taken: list[str] = []

    def source() -> object:
        for prompt in prompts(5):
            taken.append(prompt.id)
            yield prompt

    next(wild.generate(source(), Sampling(max_tokens=1)))
    assert len(taken) == 3


def test_weights_are_shared_and_the_mode_is_given_back(tiny_model: Path) -> None:
    engine = TransformersEngine.load(tiny_model, device="cpu")
    model = engine.model.train()
    before = next(engine.generate(prompts(1), Sampling(max_tokens=8)))[0]
    assert model.training and before.version == ""
    ids = torch.tensor([before.prompt_ids])
    model(input_ids=ids, labels=ids).loss.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= 10 * parameter.grad
    engine.version = "step-1"
    after = next(engine.generate(prompts(1), Sampling(max_tokens=8)))[0]
    assert after.version == "step-1"
    assert after.token_ids != before.token_ids


def test_prompts_are_encoded_by_the_chat_template(taught: TransformersEngine) -> None:
    text = taught.tokenizer.decode(taught.encode(prompts(2)[1]))
    assert text == f"<|im_start|>user\n{SHOT[0]}<|im_end|>\n<|im_start|>assistant\n{FENCE}"


def test_a_tokenizer_without_a_template_gets_plain_text(tiny_model: Path) -> None:
    engine = TransformersEngine.load(tiny_model, device="cpu")
    engine.tokenizer.chat_template = None
    messages = ({"role": "system", "content": "Be short."}, {"role": "user", "content": "Go."})
    text = engine.tokenizer.decode(engine.encode(Prompt("x", messages, FENCE)))
    assert text == f"system: Be short.\n\nuser: Go.\n\nassistant: {FENCE}"


def test_a_template_that_knows_no_system_gets_it_from_the_user(tiny_model: Path) -> None:
    engine = TransformersEngine.load(tiny_model, device="cpu")
    engine.tokenizer.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
    )
    messages = ({"role": "system", "content": "Be short."}, {"role": "user", "content": "Go."})
    assert engine.tokenizer.decode(engine.encode(Prompt("x", messages))) == "[user] Be short.\n\nGo.\n"


def test_a_template_that_takes_no_chat_at_all_says_so(tiny_model: Path) -> None:
    engine = TransformersEngine.load(tiny_model, device="cpu")
    engine.tokenizer.chat_template = "{{ raise_exception('closed') }}"
    with pytest.raises(CannotRun, match="the chat template refuses the prompt: closed"):
        engine.encode(prompts(1)[0])


def test_a_folder_that_holds_no_model_says_so(tiny_model: Path, tmp_path: Path) -> None:
    adapter, broken = tmp_path / "adapter", tmp_path / "broken"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    shutil.copytree(tiny_model, broken)
    (broken / "model.safetensors").write_bytes(b"not weights")
    for folder, words in ((tmp_path / "none", "no config.json"), (adapter, "adapter"), (broken, "cannot be loaded")):
        with pytest.raises(CannotRun, match=words):
            TransformersEngine.load(folder, device="cpu")
    weights = load_file(tiny_model / "model.safetensors")
    weights.pop("model.norm.weight")
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(CannotRun, match=r"1 weights are missing, among them model\.norm\.weight"):
        TransformersEngine.load(broken, device="cpu")
    unknown = json.loads((broken / "config.json").read_text()) | {"model_type": "no-such-model"}
    (broken / "config.json").write_text(json.dumps(unknown))
    with pytest.raises(CannotRun, match="cannot be loaded"):
        TransformersEngine.load(broken, device="cpu")


def test_an_unknown_device_says_so(tiny_model: Path) -> None:
    with pytest.raises(CannotRun, match="--device abacus"):
        TransformersEngine.load(tiny_model, device="abacus")

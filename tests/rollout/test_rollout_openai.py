"""The openai engine against a real server around a real model, in good days and bad."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer, answers, cuts, drops, hangs, serving, status, trickles
from tiny_model import examples, messages_of

from dc_tools.core.errors import CannotRun, UsageError
from dc_tools.core.exchange import LONGEST_PAUSE_S, Exchange, read_key, retry_after
from dc_tools.core.records import Finish, Usage
from dc_tools.rollout.engine import Prompt, Sample, Sampling, sample_seed
from dc_tools.rollout.openai import OpenAIEngine, connect
from dc_tools.rollout.transformers import TransformersEngine

FENCE = "```python\n"
PROMPTS = [Prompt(f"p{i}", tuple(messages_of(s)), FENCE, ("```",)) for i, (s, _) in enumerate(examples(21, 6))]
SAMPLING = Sampling(n=3, temperature=0.8, top_p=0.95, max_tokens=40, seed=4)


@pytest.fixture(scope="module")
def local(taught_model: Path) -> TransformersEngine:
    return TransformersEngine.load(taught_model, device="cpu")


@pytest.fixture
def server(local: TransformersEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving(local) as found:
        yield found


@contextmanager
def engine_at(url: str, *, tokens: bool = False, concurrency: int = 4, **options: Any) -> Iterator[OpenAIEngine]:
    exchange = Exchange(url, concurrency=concurrency, **{"pause_s": 0.01, "tries": 3, **options})
    engine = OpenAIEngine(exchange, "tiny", concurrency=concurrency, tokens=tokens)
    try:
        yield engine
    finally:
        engine.close()


def expected(local: TransformersEngine, prompt: Prompt, sampling: Sampling, index: int, count: int) -> list[Sample]:
    """What the server must answer to a request for `count` samples from sample `index` on."""
    asked = Prompt("", prompt.messages, prompt.prefix, prompt.stop)
    seed = sample_seed(sampling.seed, prompt.id, index)
    given = Sampling(count, sampling.temperature, sampling.top_p, sampling.max_tokens, seed)
    return next(local.generate([asked], given))


def test_samples_are_what_the_model_behind_the_server_says(server: ChatServer, local: TransformersEngine) -> None:
    with engine_at(server.url, tokens=True) as engine:
        groups = list(engine.generate(PROMPTS, SAMPLING))
    assert len(groups) == 6
    for prompt, group in zip(PROMPTS, groups, strict=True):
        for mine, theirs in zip(group, expected(local, prompt, SAMPLING, 0, 3), strict=True):
            assert (mine.text, mine.finish, mine.error) == (theirs.text, theirs.finish, None)
            assert (mine.prompt_ids, mine.token_ids, mine.logprobs) == (
                theirs.prompt_ids, theirs.token_ids, theirs.logprobs,
            )
            assert mine.seed == sample_seed(4, prompt.id, 0)
            assert mine.usage == theirs.usage == Usage(len(theirs.prompt_ids), len(theirs.token_ids))
            assert mine.latency_s and theirs.latency_s
    assert len(server.bodies) == 6


def test_token_ids_are_asked_for_only_when_wanted(server: ChatServer) -> None:
    with engine_at(server.url) as engine:
        sample = next(engine.generate(PROMPTS[:1], SAMPLING))[0]
    assert (sample.token_ids, sample.logprobs) == ([], [])
    assert not {"logprobs", "return_token_ids"} & server.bodies[0].keys()


def test_a_server_that_gives_no_ids_says_how_many_tokens_a_lone_answer_has(
    server: ChatServer, local: TransformersEngine
) -> None:
    alone = Sampling(n=1, max_tokens=20)
    with engine_at(server.url) as engine:
        sample = next(engine.generate(PROMPTS[:1], alone))[0]
        several = next(engine.generate(PROMPTS[:1], SAMPLING))
    assert sample.usage == expected(local, PROMPTS[0], alone, 0, 1)[0].usage
    assert [each.usage for each in several] == [None] * 3


def test_a_server_that_refuses_n_is_asked_for_one_sample_at_a_time(
    server: ChatServer, local: TransformersEngine
) -> None:
    server.refused = {"n"}
    with engine_at(server.url, concurrency=1, tokens=True) as engine:
        groups = list(engine.generate(PROMPTS[:3], SAMPLING))
    for prompt, group in zip(PROMPTS, groups, strict=False):
        singles = [expected(local, prompt, SAMPLING, i, 1)[0] for i in range(1, 3)]
        assert [s.text for s in group[1:]] == [s.text for s in singles]
        assert [s.seed for s in group] == [sample_seed(4, prompt.id, i) for i in range(3)]
    assert all("return_token_ids" in body and "continue_final_message" in body for body in server.bodies[-3:])


def test_a_server_that_ignores_n_is_asked_for_the_rest(server: ChatServer) -> None:
    server.most_samples = 1
    with engine_at(server.url, concurrency=1) as engine:
        groups = list(engine.generate(PROMPTS[:4], SAMPLING))
    assert [len(group) for group in groups] == [3] * 4
    assert len(server.bodies) == 12
    assert all(s.finish is not Finish.ERROR for group in groups for s in group)


@pytest.mark.parametrize(
    "refused", [{"return_token_ids"}, {"max_tokens"}, {"return_token_ids", "continue_final_message", "n", "max_tokens"}]
)
def test_what_a_server_refuses_is_left_out_from_then_on(server: ChatServer, refused: set[str]) -> None:
    server.refused = refused
    with engine_at(server.url, tokens=True, concurrency=1) as engine:
        first = next(engine.generate(PROMPTS[:1], SAMPLING))
        asked = len(server.bodies)
        rest = list(engine.generate(PROMPTS[1:], SAMPLING))
    assert all(s.finish is not Finish.ERROR for group in [first, *rest] for s in group)
    assert all(len(s.logprobs) > 0 for s in first)
    assert not any(refused & body.keys() for body in server.bodies[asked:])
    assert len(server.bodies) - asked == (15 if "n" in refused else 5)


def test_without_prefill_the_chat_goes_plain(server: ChatServer, local: TransformersEngine) -> None:
    server.refused = {"continue_final_message"}
    with engine_at(server.url) as engine:
        sample = next(engine.generate(PROMPTS[:1], Sampling(max_tokens=30)))[0]
    plain = Prompt("p0", PROMPTS[0].messages)
    assert sample.text == expected(local, plain, Sampling(max_tokens=30), 0, 1)[0].text
    assert "stop" not in server.bodies[-1]
    assert server.bodies[-1]["messages"] == list(PROMPTS[0].messages)


def test_a_prompt_that_alone_is_refused_costs_one_request_once_others_were_taken(server: ChatServer) -> None:
    long = Prompt("long", ({"role": "user", "content": "n" * 600},), FENCE, ("```",))
    with engine_at(server.url, tokens=True, concurrency=1) as engine:
        groups = list(engine.generate([PROMPTS[0], long, PROMPTS[1]], SAMPLING))
    assert [s.finish for s in groups[1]] == [Finish.ERROR] * 3
    assert "HTTP 400: the prompt has" in str(groups[1][0].error)
    assert all(s.finish is not Finish.ERROR for s in groups[0] + groups[2])
    assert len(server.bodies) == 3


@pytest.mark.parametrize(
    "fault",
    [status(500), status(503), status(429), drops, cuts, answers(b"<html>"), answers({"choices": "none"})],
    ids=["500", "503", "429", "dropped", "cut", "not JSON", "not a completion"],
)
def test_a_passing_fault_is_tried_again(server: ChatServer, fault: Callable[[Any], None]) -> None:
    with engine_at(server.url) as engine:
        sound = [[s.text for s in group] for group in engine.generate(PROMPTS[:2], SAMPLING)]
        server.faults.extend([fault, fault])
        again = [[s.text for s in group] for group in engine.generate(PROMPTS[:2], SAMPLING)]
    assert again == sound
    assert len(server.bodies) == 6


@pytest.mark.parametrize("fault", [hangs, trickles])
def test_a_server_that_does_not_finish_is_given_up_after_the_timeout_and_tried_again(
    server: ChatServer, fault: Callable[[Any], None]
) -> None:
    server.faults.append(fault)
    with engine_at(server.url, timeout_s=0.3) as engine:
        groups = list(engine.generate(PROMPTS[:1], SAMPLING))
    assert [s.finish is Finish.ERROR for s in groups[0]] == [False] * 3
    assert len(server.bodies) == 2


def test_retry_after_is_waited_for(server: ChatServer) -> None:
    server.faults.append(status(429, Retry_After="1"))
    with engine_at(server.url) as engine:
        began = time.monotonic()
        groups = list(engine.generate(PROMPTS[:1], SAMPLING))
    assert time.monotonic() - began >= 1.0
    assert groups[0][0].finish is not Finish.ERROR


def test_a_lasting_fault_becomes_error_samples_and_no_prompt_is_lost(server: ChatServer) -> None:
    server.faults.extend([status(500)] * 3)
    with engine_at(server.url, concurrency=1) as engine:
        groups = list(engine.generate(PROMPTS[:3], SAMPLING))
    failed = [group for group in groups if group[0].finish is Finish.ERROR]
    assert [len(group) for group in groups] == [3, 3, 3]
    assert len(failed) == 1
    assert failed[0][0].error == "3 tries, the last: HTTP 500: not now"
    assert len(server.bodies) == 5


def test_a_dead_server_gives_error_samples_for_all(server: ChatServer) -> None:
    with engine_at("http://127.0.0.1:9/v1") as engine:
        groups = list(engine.generate(PROMPTS, SAMPLING))
    assert [[s.finish for s in group] for group in groups] == [[Finish.ERROR] * 3] * 6
    assert "ConnectError" in str(groups[5][2].error)


def test_an_answer_without_choices_is_an_error_sample(server: ChatServer) -> None:
    server.faults.append(answers({"choices": []}))
    with engine_at(server.url) as engine:
        group = next(engine.generate(PROMPTS[:1], Sampling()))
    assert (group[0].finish, group[0].error) == (Finish.ERROR, "an answer without choices")


def test_thoughts_are_kept_before_the_answer_and_odd_ends_are_errors(server: ChatServer) -> None:
    message = {"content": "42", "reasoning_content": "6 x 7"}
    server.faults.append(answers({"choices": [{"message": message, "finish_reason": "stop"}]}))
    server.faults.append(answers({"choices": [{"message": {"content": None}, "finish_reason": "content_filter"}]}))
    plain = Prompt("x", ({"role": "user", "content": "6 x 7?"},))
    with engine_at(server.url, concurrency=1) as engine:
        thought, filtered = (group[0] for group in engine.generate([plain, plain], Sampling()))
    assert (thought.text, thought.finish) == ("<think>\n6 x 7\n</think>\n\n42", Finish.STOP)
    assert (filtered.finish, filtered.error) == (Finish.ERROR, "finish_reason content_filter")


def test_requests_run_at_once_but_never_more_than_allowed(server: ChatServer) -> None:
    server.meeting = threading.Barrier(3)
    with engine_at(server.url, concurrency=3) as engine:
        groups = list(engine.generate(PROMPTS, SAMPLING))
    assert server.busiest == 3
    assert [group[0].finish is Finish.ERROR for group in groups] == [False] * 6


def test_prompts_are_taken_some_way_ahead_and_no_further(server: ChatServer) -> None:
    taken = 0

    def source() -> Iterator[Prompt]:
        nonlocal taken
        for i in range(100):
            taken += 1
            yield Prompt(f"q{i}", PROMPTS[0].messages, FENCE, ("```",))

    with engine_at(server.url, concurrency=2) as engine:
        next(engine.generate(source(), Sampling(max_tokens=1)))
        assert taken == 8


def test_leaving_early_cancels_what_is_under_way(server: ChatServer) -> None:
    server.faults.extend([None, hangs])
    began = time.monotonic()
    with engine_at(server.url, concurrency=1, timeout_s=60.0) as engine:
        answered = engine.generate([*PROMPTS, *PROMPTS], SAMPLING)
        next(answered)
        answered.close()
    assert time.monotonic() - began < 20.0
    assert len(server.bodies) <= 3


def test_connecting_takes_the_only_model_there_is(server: ChatServer) -> None:
    engine = connect(server.url, None)
    engine.close()
    assert engine.name == "tiny"
    server.models = ["tiny", "large"]
    with pytest.raises(CannotRun, match="must name one of tiny, large"):
        connect(server.url, None)


def test_connecting_to_a_server_without_a_list_needs_a_name(server: ChatServer) -> None:
    server.models = []
    engine = connect(server.url, "mine")
    engine.close()
    assert engine.name == "mine"
    with pytest.raises(CannotRun, match="must name one of its models"):
        connect(server.url, None)


def test_a_server_whose_list_is_broken_is_taken_at_its_name_but_a_silent_one_is_not(server: ChatServer) -> None:
    server.list_status = 500
    engine = connect(server.url, "mine", pause_s=0.01)
    engine.close()
    assert engine.name == "mine"
    with pytest.raises(CannotRun, match=r"6 tries, the last: ConnectError.*is the server up"):
        connect("http://127.0.0.1:9/v1", "mine", pause_s=0.01)


def test_the_key_comes_from_the_environment_or_a_file(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.key = "sesame"
    with pytest.raises(CannotRun, match="HTTP 401: who are you\\?; set OPENAI_API_KEY"):
        connect(server.url, None)
    monkeypatch.setenv("OPENAI_API_KEY", "sesame")
    connect(server.url, None).close()
    monkeypatch.setenv("OPENAI_API_KEY", "wrong")
    (tmp_path / "key").write_text("sesame\n")
    connect(server.url, None, tmp_path / "key").close()
    assert server.keys == [None, "Bearer sesame", "Bearer sesame"]
    with pytest.raises(CannotRun, match="No such file"):
        connect(server.url, None, tmp_path / "none")


def test_an_address_that_is_not_http_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="--base-url localhost:8000"):
        connect("localhost:8000", None)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 2.5), ("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("9999", LONGEST_PAUSE_S), ("soon", 2.5),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("Wed, 21 Oct 2099 07:28:00 GMT", LONGEST_PAUSE_S),
    ],
)
def test_retry_after_may_be_seconds_or_a_date(value: str | None, seconds: float) -> None:
    assert retry_after(value, 2.5) == seconds


def test_a_server_that_sends_the_key_back_does_not_get_it_into_the_record(server: ChatServer) -> None:
    server.faults.append(lambda handler: handler.reply(403, {"error": {"message": "bad Bearer sk-SECRET"}}))
    with engine_at(server.url, api_key="sk-SECRET") as engine:
        (sample, *_), *_ = engine.generate(PROMPTS[:1], SAMPLING)
    assert sample.finish is Finish.ERROR
    assert sample.error is not None and "***" in sample.error and "SECRET" not in sample.error


@pytest.mark.parametrize("key", ["sk-\u201cquoted\u201d", "sk-\x01"])
def test_a_key_that_no_header_may_carry_is_refused_unquoted(tmp_path: Path, key: str) -> None:
    (tmp_path / "key").write_text(key)
    with pytest.raises(CannotRun, match="not an API key") as refused:
        read_key("OPENAI_API_KEY", tmp_path / "key")
    assert "sk-" not in str(refused.value)


def test_a_key_file_is_read_without_the_line_end_of_any_system(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"sk-1\r\n")
    assert read_key("OPENAI_API_KEY", tmp_path / "key") == "sk-1"


def test_a_retry_after_that_is_no_time_is_not_believed() -> None:
    for value in ("nan", "1 Jan 2024 00:00:00 +99999999999999", "Mon, 1 Jan 99999999999999999999 00:00:00 GMT"):
        assert retry_after(value, 1.5) == 1.5
    assert retry_after("inf", 1.5) == LONGEST_PAUSE_S


def test_answers_that_are_none_become_error_samples(server: ChatServer) -> None:
    server.faults.extend([answers("\udc80"), answers([]), answers({"x": 1})])
    with engine_at(server.url, concurrency=1) as engine:
        (sample, *_), *_ = engine.generate(PROMPTS[:1], Sampling(n=1, max_tokens=4))
    assert sample.finish is Finish.ERROR

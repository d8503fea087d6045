"""A small server that speaks /v1 around a real engine, and misbehaves when told to."""

import contextlib
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from dc_tools.core.records import Finish
from dc_tools.rollout.engine import Prompt, Sample, Sampling
from dc_tools.rollout.transformers import TransformersEngine

DEADLINE_S = 30.0


class ChatServer(ThreadingHTTPServer):
    """`faults` are used up one a request (None: no fault); `refused` names fields that are answered with 400."""

    daemon_threads = True

    def __init__(self, engine: TransformersEngine) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.engine = engine
        self.models = ["tiny"]
        self.list_status = 200
        self.key: str | None = None
        self.refused: set[str] = set()
        self.most_samples: int | None = None
        self.faults: deque[Callable[[Handler], None] | None] = deque()
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.released = threading.Event()
        self.meeting: threading.Barrier | None = None
        self.busy, self.busiest = 0, 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """What clients are given."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""

    def complete(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and answer, as vLLM gives them."""
        for field in sorted(self.refused & body.keys()):
            return 400, {"error": {"message": f"unknown field {field}"}}
        messages = body["messages"]
        prefix = messages.pop()["content"] if body.get("continue_final_message") else ""
        prompt = Prompt("", tuple(messages), prefix, tuple(body.get("stop", ())))
        tokens = body.get("max_tokens") or body["max_completion_tokens"]
        count = min(body.get("n", 1), self.most_samples or 99)
        sampling = Sampling(count, body["temperature"], body["top_p"], tokens, body["seed"])
        with self.lock:
            samples = next(self.engine.generate([prompt], sampling))
        if samples[0].finish is Finish.ERROR:
            return 400, {"error": {"message": samples[0].error}}
        answer: dict[str, Any] = {"choices": [choice_of(sample, prompt, body) for sample in samples]}
        response = sum(len(sample.token_ids) for sample in samples)
        answer["usage"] = {"prompt_tokens": len(samples[0].prompt_ids), "completion_tokens": response}
        if body.get("return_token_ids"):
            answer["prompt_token_ids"] = samples[0].prompt_ids
        return 200, answer


def choice_of(sample: Sample, prompt: Prompt, body: dict[str, Any]) -> dict[str, Any]:
    """One choice; the prefix is not repeated and a stop string is named, not kept."""
    text, stop_reason = sample.text.removeprefix(prompt.prefix), None
    for stop in prompt.stop:
        if sample.finish is Finish.STOP and text.endswith(stop):
            text, stop_reason = text.removesuffix(stop), stop
    choice = {
        "message": {"role": "assistant", "content": text}, "finish_reason": str(sample.finish),
        "stop_reason": stop_reason,
    }
    if body.get("logprobs"):
        choice["logprobs"] = {"content": [{"token": "?", "logprob": each} for each in sample.logprobs]}
    if body.get("return_token_ids"):
        choice["token_ids"] = sample.token_ids
    return choice


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: ChatServer

    def do_GET(self) -> None:
        """The list of models."""
        self.server.keys.append(self.headers.get("Authorization"))
        if self.server.key and self.headers.get("Authorization") != f"Bearer {self.server.key}":
            self.reply(401, {"error": {"message": "who are you?"}})
        elif self.path == "/v1/models" and self.server.models:
            self.reply(self.server.list_status, {"data": [{"id": name} for name in self.server.models]})
        else:
            self.reply(404, {"error": "no such page"})

    def do_POST(self) -> None:
        """A completion, or the next fault."""
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.bodies.append(json.loads(json.dumps(body)))
            server.keys.append(self.headers.get("Authorization"))
            server.busy += 1
            server.busiest = max(server.busiest, server.busy)
            fault = server.faults.popleft() if server.faults else None
        try:
            if server.meeting:
                server.meeting.wait(DEADLINE_S)
            if fault:
                fault(self)
            else:
                self.reply(*server.complete(body))
        finally:
            with server.lock:
                server.busy -= 1

    def reply(self, status: int, answer: object, **headers: str) -> None:
        """Send JSON, or bytes as they are."""
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        with self.server.lock:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Quiet."""


def status(code: int, **headers: str) -> Callable[[Handler], None]:
    """A fault: this status and these headers."""
    return lambda handler: handler.reply(code, {"error": {"message": "not now"}}, **headers)


def answers(content: object) -> Callable[[Handler], None]:
    """A fault: status 200 with this content."""
    return lambda handler: handler.reply(200, content)


def drops(handler: Handler) -> None:
    """A fault: the connection ends without an answer."""
    handler.close_connection = True
    handler.connection.close()


def cuts(handler: Handler) -> None:
    """A fault: the connection ends inside the answer."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    drops(handler)


def hangs(handler: Handler) -> None:
    """A fault: no answer until the test ends."""
    handler.server.released.wait(DEADLINE_S)
    drops(handler)


def trickles(handler: Handler) -> None:
    """A fault: an answer that comes byte by byte, quicker than any wait for the next one, and never ends."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    with contextlib.suppress(OSError):
        while not handler.server.released.wait(0.02):
            handler.wfile.write(b" ")
    drops(handler)


@contextmanager
def serving(engine: TransformersEngine) -> Iterator[ChatServer]:
    """A server while the block runs."""
    with ChatServer(engine) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join(DEADLINE_S)

"""What the openai engine costs: requests in flight, and CPU time for each 1,000 tokens a second.

    python tests/bench/rollout_openai.py [--concurrency 256] [--tokens 500] [--seconds 20] [--with-tokens]

The server is a process of its own that answers as vLLM does, after a random time, with text (and, if asked, token ids
and log-probabilities) made beforehand. Only the client is measured: making prompts, requests, parsing, samples.
"""

import argparse
import asyncio
import json
import multiprocessing
import random
import time
from multiprocessing.connection import Connection
from typing import Any

from dc_tools.rollout.engine import Prompt, Sampling
from dc_tools.rollout.openai import connect

STATEMENT = "Read an integer n and print n plus 3. " * 50


def answer(tokens: int, *, with_tokens: bool) -> bytes:
    """A completion of so many tokens of four characters."""
    message = {"role": "assistant", "content": "```python\n" + "abc\n" * tokens}
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "message": message}
    body: dict[str, Any] = {"choices": [choice]}
    if with_tokens:
        choice["token_ids"] = list(range(1000, 1000 + tokens))
        entries = [{"token": "abc\n", "logprob": -0.25, "bytes": [97, 98, 99, 10], "top_logprobs": []}] * tokens
        choice["logprobs"] = {"content": entries}
        body["prompt_token_ids"] = list(range(600))
    return json.dumps(body).encode()


def serve(pipe: Connection, body: bytes, mean_s: float) -> None:
    """Answer until killed; tells its port, then, when asked, the most requests that were in flight."""
    busy, busiest = 0, 0
    rng = random.Random(0)

    def reply(content: bytes) -> bytes:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        return head % len(content) + content

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal busy, busiest
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                return
            if head.startswith(b"GET"):
                writer.write(reply(b'{"data": [{"id": "made"}]}'))
                continue
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.split(b":")[1]))
            busy += 1
            busiest = max(busiest, busy)
            await asyncio.sleep(mean_s * (0.5 + rng.random()))
            busy -= 1
            writer.write(reply(body))
            await writer.drain()

    async def run() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0, limit=1 << 20, backlog=1024)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
        pipe.send(busiest)

    asyncio.run(run())


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=20.0, help="about how long")
    parser.add_argument("--mean-s", type=float, default=4.0, help="of an answer")
    parser.add_argument("--with-tokens", action="store_true")
    given = parser.parse_args()
    here, there = multiprocessing.Pipe()
    body = answer(given.tokens, with_tokens=given.with_tokens)
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there, body, given.mean_s), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{here.recv()}/v1"
    count = int(given.concurrency * given.seconds / given.mean_s)
    prompts = (Prompt(str(i), ({"role": "user", "content": STATEMENT},)) for i in range(count))
    engine = connect(url, None, concurrency=given.concurrency, tokens=given.with_tokens)
    wall, cpu = time.perf_counter(), time.process_time()
    found = sum(len(samples) for samples in engine.generate(prompts, Sampling(max_tokens=given.tokens)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    engine.close()
    here.send(None)
    rate, share = found * given.tokens / wall, 100 * cpu / wall
    print(
        f"{found} answers of {given.tokens} tokens in {wall:.1f} s: {rate:,.0f} tokens/s, at most {here.recv()} "
        f"requests in flight; {share:.1f} % of a core, {1000 * share / rate:.2f} % for each 1,000 tokens/s"
    )


if __name__ == "__main__":
    main()

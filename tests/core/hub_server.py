"""A small hub: one repository, a dataset and a model alike, as huggingface_hub asks for it, and what it was asked."""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

REPO = "dc/toy"
PAGE = 3
"""Files in one page of a listing: few, so that there are several pages."""


@dataclass
class Hub:
    """What the server holds; a test may change it while it runs."""

    files: dict[str, bytes]
    repo: str = REPO
    commit: str = "c0ffee" + 34 * "0"
    card: dict = field(default_factory=dict)
    refuse: tuple[int, str] | None = None
    """Status and error code of the answer to every question."""
    gated: bool = False
    """Files are not given without the token `hf_right`."""
    asked: list[str] = field(default_factory=list)
    """Method and path of each request."""
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    """Answers as the hub does: information, pages of the tree, and files with their headers."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_GET(self) -> None:
        """Any request with a body in the answer."""
        url = urlsplit(self.path)
        path = unquote(url.path)
        self.hub.asked.append(f"{self.command} {path}")
        repo = self.hub.repo
        kind, folder = ("models", "") if path.startswith((f"/api/models/{repo}", f"/{repo}")) else ("datasets",) * 2
        api, files = f"/api/{kind}/{repo}", f"{f'/{folder}' if folder else ''}/{repo}/resolve/{self.hub.commit}/"
        if self.hub.refuse:
            self.refuse(*self.hub.refuse)
        elif path == f"{api}/revision/main" or path == f"{api}/revision/{self.hub.commit}":
            siblings = [{"rfilename": name} for name in self.hub.files]
            there = {"id": self.hub.repo, "sha": self.hub.commit, "tags": [], "cardData": self.hub.card}
            self.answer(there | {"siblings": siblings} if kind == "models" else there)
        elif path.startswith(f"{api}/revision/"):
            self.refuse(404, "RevisionNotFound")
        elif path == f"{api}/tree/{self.hub.commit}":
            self.page(api, int(url.query.rpartition("cursor=")[2] or 0) if "cursor=" in url.query else 0)
        elif path.startswith(files) and self.hub.gated and self.headers["Authorization"] != "Bearer hf_right":
            self.refuse(401, "GatedRepo")
        elif path.startswith(files) and path.removeprefix(files) in self.hub.files:
            data = self.hub.files[path.removeprefix(files)]
            self.send(200, data, {"ETag": f'"{len(data)}-{hash(data)}"', "X-Repo-Commit": self.hub.commit})
        else:
            self.refuse(404, "EntryNotFound" if path.startswith(files) else "RepoNotFound")

    do_HEAD = do_GET

    def page(self, api: str, start: int) -> None:
        """One page of the tree, with a link to the next."""
        entries = [
            {"type": "file", "oid": "0", "size": len(data), "path": path} for path, data in self.hub.files.items()
        ]
        folders = sorted({path.rpartition("/")[0] for path in self.hub.files} - {""})
        entries += [{"type": "directory", "oid": "0", "size": 0, "path": path} for path in folders]
        following = f"{self.hub.url}{api}/tree/{self.hub.commit}?recursive=True&cursor={start + PAGE}"
        more = {"Link": f'<{following}>; rel="next"'} if start + PAGE < len(entries) else {}
        self.answer(entries[start : start + PAGE], more)

    def answer(self, value: object, headers: dict[str, str] | None = None) -> None:
        """JSON."""
        self.send(200, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def refuse(self, status: int, code: str) -> None:
        """An error as the hub tells it."""
        self.send(status, b"{}", {"X-Error-Code": code, "X-Error-Message": f"{code}, says the hub"})

    def send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        """The answer; without its body where only the head was asked for."""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@contextlib.contextmanager
def served(files: dict[str, bytes], repo: str = REPO) -> Iterator[Hub]:
    """A hub of these files at `Hub.url`, for the time of the block."""
    hub = Hub(files, repo)
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub})) as server:
        hub.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()

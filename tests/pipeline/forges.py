"""GitHub and GitLab as far as the pipeline asks of them, over HTTP, by the shapes of their API pages."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

TOKEN: Final = "token-of-the-forge-91c2"
BOT: Final = 4
_MAX_CHARACTERS: Final = 65_536

Item = dict[str, Any]


@dataclass
class ForgeServer:
    """A repository on a forge.

    Attributes:
        url: of its API.
        tip: the newest commit of its branch `main`.
        head: the newest commit of its only pull request, number 7.
        comments: on that pull request.
        issues: all that were ever opened.
        writes: how often something was written.
    """

    url: str = ""
    tip: str = "a" * 40
    head: str = "d" * 40
    comments: list[Item] = field(default_factory=list)
    issues: list[Item] = field(default_factory=list)
    writes: int = 0

    @property
    def open_issues(self) -> list[Item]:
        return [issue for issue in self.issues if issue["state"] in ("open", "opened")]

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Item) -> tuple[int, object]:
        self.writes += method != "GET"
        if any(isinstance(text, str) and len(text) > _MAX_CHARACTERS for text in body.values()):
            return 422, {"message": "body is too long (maximum is 65536 characters)"}
        match method, path:
            case "GET", "/repos/team/models/commits/heads/main":
                return 200, {"sha": self.tip}
            case "GET", "/user":
                return 200, {"id": BOT}
            case "GET", "/repos/team/models/issues/7/comments" | "/projects/31/merge_requests/7/notes":
                return 200, _page(self.comments, query)
            case "GET", "/repos/team/models/issues" | "/projects/31/issues":
                assert query["state"][0] in ("open", "opened")
                return 200, _page([issue for issue in self.open_issues if query["labels"][0] in issue["labels"]], query)
            case "POST", "/repos/team/models/issues/7/comments" | "/projects/31/merge_requests/7/notes":
                bot = {"user": {"type": "Bot"}, "author": {"id": BOT}}
                self.comments.append({"id": len(self.comments) + 1, **bot, **body})
                return 201, self.comments[-1]
            case "POST", "/repos/team/models/issues":
                self.issues.append({"number": len(self.issues) + 1, "state": "open", "said": [], **body})
                return 201, self.issues[-1]
            case "POST", "/projects/31/issues":
                labels = body["labels"].split(",")
                self.issues.append(
                    {"iid": len(self.issues) + 1, "state": "opened", "said": [], **body, "labels": labels}
                )
                return 201, self.issues[-1]
            case _:
                return self._change(method, path, body)

    def _change(self, method: str, path: str, body: Item) -> tuple[int, object]:
        if method in ("PATCH", "PUT") and (found := re.fullmatch(r"/.+/(?:issues/comments|notes)/(\d+)", path)):
            self.comments[int(found[1]) - 1].update(body)
            return 200, self.comments[int(found[1]) - 1]
        if found := re.fullmatch(r"/.+/issues/(\d+)(/comments|/notes)?", path):
            issue = self.issues[int(found[1]) - 1]
            if found[2]:
                issue["said"].append(body["body"])
                return 201, {}
            if body.pop("state_event", None) == "close":
                issue["state"] = "closed"
            issue.update(body)
            return 200, issue
        return 404, {"message": f"Not Found: {method} {path}"}


def _page(items: list[Item], query: dict[str, list[str]]) -> list[Item]:
    size, page = int(query["per_page"][0]), int(query["page"][0])
    return items[size * (page - 1) : size * page]


@contextmanager
def forge_server() -> Iterator[ForgeServer]:
    """Serve a repository on a free port of this machine."""
    repository = ForgeServer()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            url = urlsplit(self.path)
            given = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            known = (self.headers.get("Authorization"), self.headers.get("PRIVATE-TOKEN"))
            status: int = 401
            answer: object = {"message": "Bad credentials"}
            if known in ((f"Bearer {TOKEN}", None), (None, TOKEN)):
                body = json.loads(given) if given else {}
                status, answer = repository.answer(self.command, url.path, parse_qs(url.query), body)
            told = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        do_GET = do_POST = do_PATCH = do_PUT = handle_any  # noqa: N815 - the names that the library calls

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    repository.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield repository
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

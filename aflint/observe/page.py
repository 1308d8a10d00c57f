"""The page: what this user's runs do and did, for a browser on this machine.

It reads the history, where each run writes its event log while it goes on: so one page shows all
runs, and costs those that run nothing. Only who has the token sees anything.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from aflint.errors import AflintError, ConfigError
from aflint.observe.history import history_folder, logs, size_and_time
from aflint.observe.logfile import IN_PROGRESS
from aflint.observe.reading import Job, LogReader, Run
from aflint.observe.views import job_row, job_view

HOST: Final = "127.0.0.1"
PORT: Final = 4040
"""Where Spark's page is, too; the next ones are tried where it is in use."""

_PORTS: Final = 16
_STATIC: Final = Path(__file__).parent / "static"
_EVERY_S: Final = 0.5
_LOOK_S: Final = 0.025
_PAUSES: Final = 8
"""After an update, a page that is open is sent nothing for so many times as long as that took."""
_MOST_JOBS: Final = 500
_MOST_BYTES: Final = 100 << 20
"""The latest logs are read up to so much in all: half a million tasks would be too much."""
_AT_ONCE_S: Final = 0.5
"""Logs that are met the first time are read for so long before what there is by then is shown."""


class Runs:
    """The latest runs of the history, each log read on from where it ended before."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._readers: dict[str, LogReader] = {}
        self._unreadable: set[str] = set()
        self._lock = threading.Lock()
        # Grows with each thing that was new.
        self.version = 0

    def refresh(self) -> int:
        """Take in what is new; return a number that is another one then."""
        with self._lock:
            until = time.monotonic() + _AT_ONCE_S
            there = {path.name.removesuffix(IN_PROGRESS): path for path in self._latest()}
            for name, path in there.items():
                known = name in self._readers
                # The latest first: others are read by the next call.
                if name not in self._unreadable and (known or time.monotonic() < until):
                    self._read(name, path)
            for name in self._readers.keys() - there.keys():
                del self._readers[name]
                self.version += 1
            return self.version

    def grown(self) -> bool:
        """Say whether a log of a run that goes on has grown: for much less than `refresh` takes."""
        with self._lock:
            return any(each.grown() for each in self._readers.values() if each.run.ended is None)

    async def news(self, after_s: float) -> None:
        """Wait until a log that is known has grown, for `after_s` at least, or for as long as it
        may take until a new one is met.
        """
        await asyncio.sleep(after_s)
        for _ in range(int((_EVERY_S - after_s) / _LOOK_S)):
            if self.grown():
                return
            await asyncio.sleep(_LOOK_S)

    @property
    def unread(self) -> int:
        """How many logs cannot be read: `aflint jobs` says why."""
        return len(self._unreadable)

    def _latest(self) -> Iterator[Path]:
        """Yield the logs to show, the latest first."""
        total = 0
        for path in logs(self._folder):
            with suppress(OSError):  # gone meanwhile
                total += size_and_time(path)[0]
                if total > _MOST_BYTES:
                    return
                yield path

    def _read(self, name: str, path: Path) -> None:
        reader = self._readers.setdefault(name, LogReader(path))
        try:
            self.version += reader.read()
        except (AflintError, OSError):  # gone meanwhile, or of another version
            self._unreadable.add(name)
            del self._readers[name]

    def jobs(self) -> list[dict[str, Any]]:
        """Return the latest jobs as rows, those that began last first."""
        with self._lock:
            found = [job_row(run, job) for run, job in self._all()]
        return sorted(found, key=lambda row: -row["began"])[:_MOST_JOBS]

    def job(self, id: str) -> dict[str, Any] | None:
        """Return what there is to show of a job; None where there is none of that id."""
        with self._lock:
            for run, job in self._all():
                if job.id == id:
                    return job_view(run, job, time.time())
        return None

    def _all(self) -> list[tuple[Run, Job]]:
        return [(reader.run, job) for reader in self._readers.values() for job in reader.run.jobs]


class _Json(JSONResponse):  # type: ignore[misc]  # starlette's types are not looked at
    """JSON in ASCII: file names and results may have text in them that UTF-8 has no bytes for."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


def _cookie(scope: Scope) -> str:
    """Return the name of the cookie: a browser sends one to all ports of a machine."""
    return f"aflint_token_{scope['server'][1]}"


class _Guard:
    """Lets through what bears the token: in its address the first time, then in a cookie."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        shown = request.query_params.get("token") or request.cookies.get(_cookie(scope), "")
        if hmac.compare_digest(shown.encode(), self._token.encode()):
            await self._app(scope, receive, send)
            return
        response = PlainTextResponse(
            "This page needs its token: open the whole address that aflint printed.\n",
            403,
        )
        await response(scope, receive, send)


Ask = Callable[[str, str], Future[dict[str, Any]]]
"""Runs code in the session of the page, sql or python, and returns what to show of its result."""


def create_app(
    token: str, folder: Path, ask: Ask | None = None, ending: Callable[[], bool] = lambda: False
) -> Starlette:
    """Return the page as an ASGI application, over the logs in a folder. Pages that are open are
    told of changes until it is `ending`.

    With `ask` it has a box for queries and Python.
    """
    runs = Runs(folder)

    async def index(request: Request) -> Response:
        response = Response((_STATIC / "index.html").read_bytes(), media_type="text/html")
        response.set_cookie(_cookie(request.scope), token, httponly=True, samesite="strict")
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Content-Security-Policy"] = (
            "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
        )
        return response

    async def jobs(request: Request) -> Response:
        await asyncio.to_thread(runs.refresh)
        return _Json(runs.jobs())

    async def job(request: Request) -> Response:
        await asyncio.to_thread(runs.refresh)
        found = await asyncio.to_thread(runs.job, request.path_params["id"])
        if found is None:
            raise HTTPException(404, f"there is no job {request.path_params['id']}")
        return _Json(found)

    async def changes(request: Request) -> Response:
        """Send the list of jobs, and one job, whenever there is news of any: of these what has
        changed.
        """
        wanted = request.query_params.get("job")

        async def events() -> AsyncIterator[str]:
            sent, known = -1, dict[str, str]()
            while not ending() and not await request.is_disconnected():
                began = time.monotonic()
                version = await asyncio.to_thread(runs.refresh)
                if version != sent:
                    sent = version
                    found = await asyncio.to_thread(runs.job, wanted) if wanted else None
                    now = {
                        "jobs": json.dumps(runs.jobs()),
                        "job": json.dumps(found),
                        "asks": json.dumps(ask is not None),
                        "unread": json.dumps(runs.unread),
                    }
                    news = [f'"{key}":{now[key]}' for key in now if now[key] != known.get(key)]
                    known = now
                    if news:
                        yield f"data: {{{','.join(news)}}}\n\n"
                await runs.news(_PAUSES * (time.monotonic() - began))

        return StreamingResponse(events(), media_type="text/event-stream")

    async def run(request: Request) -> Response:
        # Another site's form cannot send JSON, and its script is stopped by the browser.
        if ask is None or request.headers.get("content-type") != "application/json":
            raise HTTPException(415, "this page runs no code, or it is to be sent as JSON")
        try:
            asked = await request.json()
            language, code = str(asked["language"]), str(asked["code"])
        except (ValueError, LookupError, TypeError):
            raise HTTPException(400, 'code is to be {"language": "sql", "code": "..."}') from None
        running = asyncio.wrap_future(ask(language, code))
        while not running.done():
            await asyncio.wait({running}, timeout=_EVERY_S)
            if await request.is_disconnected():  # Stop was pressed, or the page is closed
                running.cancel()
                return Response()
        # Code that fails is an answer, too: a status of HTTP's would say that the page has failed.
        try:
            return _Json(running.result())
        except AflintError as error:
            return _Json({"error": str(error)})
        except asyncio.CancelledError:
            return _Json({"error": "the session was left meanwhile"})

    return Starlette(
        routes=[
            Route("/", index),
            Route("/api/run", run, methods=["POST"]),
            Route("/api/jobs", jobs),
            Route("/api/jobs/{id}", job),
            Route("/api/changes", changes),
            Mount("/static", StaticFiles(directory=_STATIC)),
        ],
        middleware=[
            # A name that leads to this address, but is not this machine's, is another site's.
            Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"]),
            Middleware(_Guard, token=token),
        ],
    )


class PageServer:
    """The page, served on this machine's loopback. With `port` None it is Spark's 4040, or the next
    one that is free.

    Raises ConfigError where the port is in use, or there is no folder of a history.
    """

    def __init__(self, port: int | None = None, ask: Ask | None = None) -> None:
        self.token = secrets.token_urlsafe(16)
        self._socket = _bound(port)
        app = create_app(self.token, history_folder(), ask, ending=lambda: self._server.should_exit)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=2
        )
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The address to open, with its token."""
        return f"http://{HOST}:{self._socket.getsockname()[1]}/?token={self.token}"

    def serve(self) -> None:
        """Serve until Ctrl-C, or until `close` is called from another thread."""
        with self._socket:
            self._server.run(sockets=[self._socket])

    def start(self) -> None:
        """Serve in a thread."""
        self._thread = threading.Thread(target=self.serve, name="aflint-ui", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End what `start` has started."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()


def _bound(port: int | None) -> socket.socket:
    tried = range(PORT, PORT + _PORTS) if port is None else [port]
    for each in tried:
        found = socket.socket()
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((HOST, each))
            found.listen()
        except OSError as error:
            found.close()
            refusal = error
        else:
            return found
    raise ConfigError(
        f"the page cannot be served on port {tried[-1]} ({refusal.strerror}): choose another one, "
        "or 0 for any that is free"
    )

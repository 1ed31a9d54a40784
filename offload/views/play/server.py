"""The playground's server: its page, what may be chosen there, bars of cuts, and simulations."""

import asyncio
import errno
import json
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from offload.analysis.files import to_json
from offload.entities import OffloadError
from offload.views.play.answers import answer
from offload.views.play.choices import choices
from offload.views.play.settings import Settings, read
from offload.views.play.worker import Worker

STATIC = Path(__file__).with_name("static")
LOOPBACK = "127.0.0.1"
MOST_BYTES = 4096  # of what a page may ask
LONGEST_S = 2.0  # that it may take to ask

# The page loads nothing but its own files, and nobody may frame it.
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class PortError(OffloadError):
    """A port that cannot be listened on."""


def make(stopping: Callable[[], bool] = lambda: False) -> Starlette:
    """Return the application. While it is `stopping`, simulations end.

    Names that lead to this machine from elsewhere are refused (DNS rebinding). What is worked out is
    asked for as JSON, which no page of another site may send.
    """
    worker = Worker()

    @asynccontextmanager
    async def living(_: Starlette) -> AsyncIterator[None]:
        worker.start()
        yield
        worker.close()

    async def simulate(request: Request) -> Response:
        settings = await _asked(request)
        await run_in_threadpool(answer, settings)  # refuses what cannot be simulated

        async def lines() -> AsyncIterator[str]:
            async for told in worker.rows(settings, stopping):
                yield json.dumps(told) + "\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    return Starlette(
        routes=[
            Route("/", _page),
            Route("/api/choices", _choices),
            Route("/api/cuts", _cuts, methods=["POST"]),
            Route("/api/simulate", simulate, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(Headed),
            Middleware(TrustedHostMiddleware, allowed_hosts=[LOOPBACK, "localhost"], www_redirect=False),
        ],
        exception_handlers={OffloadError: _refused},
        lifespan=living,
    )


class Headed:
    """Adds HEADERS to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does, with more headers."""

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, headed)


def listen(port: int) -> socket.socket:
    """Listen on a port of the loopback (0: any that is free). Raises PortError."""
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":  # so that one that was just left can be had again; elsewhere it means more
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((LOOPBACK, port))
        found.listen()
    except OSError as error:
        found.close()
        why = "in use" if error.errno == errno.EADDRINUSE else (error.strerror or str(error)).lower()
        msg = f"--port {port}: {why}; try --port {_free(port)}"
        raise PortError(msg) from error
    return found


def serve(listening: socket.socket) -> None:
    """Serve the playground until Ctrl-C."""
    # Loopback only: `listen` has bound the socket.
    config = uvicorn.Config(
        make(lambda: server.should_exit),
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=4,  # longer than anybody may take to ask
    )
    server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt):  # it is how one stops it
        server.run(sockets=[listening])


async def _page(_: Request) -> Response:
    return FileResponse(STATIC / "play.html")


async def _choices(_: Request) -> Response:
    return JSONResponse(await run_in_threadpool(choices))


async def _cuts(request: Request) -> Response:
    found = await run_in_threadpool(answer, await _asked(request))
    return JSONResponse(to_json(asdict(found)))


async def _refused(_: Request, error: Exception) -> Response:
    return JSONResponse({"errors": str(error).splitlines()}, 422)


async def _asked(request: Request) -> Settings:
    """Read the settings that are asked about. Raises SettingsError, HTTPException."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "send application/json")
    body = b""
    try:
        async with asyncio.timeout(LONGEST_S):
            async for part in request.stream():
                body += part
                if len(body) > MOST_BYTES:
                    raise HTTPException(413, f"settings have at most {MOST_BYTES} bytes")
    except TimeoutError:
        raise HTTPException(408, f"settings come within {LONGEST_S:g} s") from None
    return read(body)


def _free(port: int) -> int:
    """Return the next port that is free, or 0, which takes any."""
    for other in range(max(port, 1023) + 1, min(max(port, 1023) + 100, 65536)):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial, suppress(OSError):
            trial.bind((LOOPBACK, other))
            return other
    return 0

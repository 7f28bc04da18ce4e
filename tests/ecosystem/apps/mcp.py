"""The MCP SDK: sessions over HTTP whose answers are streams, and a client that drops in one."""

import json
import logging
import socket
import threading
from contextlib import asynccontextmanager, contextmanager

import anyio
import httpx2
import pytest
import uvicorn
from mcp.client.client import Client
from mcp.server.mcpserver import Context, MCPServer
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

HEADERS = {"accept": "application/json, text/event-stream"}


class Shop:
    """A server of tools, and what happened in them."""

    def __init__(self, four_layers):
        self.began = threading.Event()
        self.ended = threading.Event()
        self.mcp = mcp = MCPServer("shop")

        @mcp.tool()
        def add(a: int, b: int) -> int:
            """Add two numbers."""
            return a + b

        @mcp.tool()
        async def count(ctx: Context) -> str:
            """Report without end."""
            self.began.set()
            try:
                for number in range(10_000):
                    await ctx.report_progress(number)
                    await anyio.sleep(0.01)
            finally:
                self.ended.set()
            return "counted"

        served = mcp.streamable_http_app()

        @asynccontextmanager
        async def lifespan(app):
            async with mcp.session_manager.run():
                yield

        async def health(request):
            return PlainTextResponse("well")

        routes = [Route("/health", health), Mount("/", served)]
        self.app = Starlette(routes=routes, lifespan=lifespan, middleware=four_layers)


@contextmanager
def serving(app):
    """Run a server on a port of its own; give its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def shop(four_layers):
    return Shop(four_layers)


def test_a_client_lists_and_calls_tools(shop):
    async def visit(address):
        async with Client(f"{address}/mcp") as client:
            tools = await client.list_tools()
            result = await client.call_tool("add", {"a": 1, "b": 2})
            return [tool.name for tool in tools.tools], result.structured_content

    with serving(shop.app) as address:
        assert (["add", "count"], {"result": 3}) == anyio.run(visit, address)
        assert "well" == httpx2.get(f"{address}/health").text


def call(client, method, session=None, **message):
    """Begin a request of JSON-RPC, whose answer is a stream of events."""
    headers = HEADERS if session is None else {**HEADERS, "mcp-session-id": session}
    body = {"jsonrpc": "2.0", "method": method, **message}
    return client.stream("POST", "/mcp", json=body, headers=headers)


def events(response):
    """The messages of a stream of events."""
    for line in response.iter_lines():
        if line.startswith("data: ") and line != "data: ":
            yield json.loads(line.removeprefix("data: "))


def begin(client):
    """Open a session; its name."""
    params = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    with call(client, "initialize", id=1, params=params) as response:
        assert 200 == response.status_code
        assert "shop" == next(events(response))["result"]["serverInfo"]["name"]
        assert float(response.headers["x-seconds"]) < 20
    session = response.headers["mcp-session-id"]
    with call(client, "notifications/initialized", session) as response:
        assert 202 == response.status_code
    return session


def test_a_client_that_drops_in_mid_stream_leaves_the_session_working(shop, caplog):
    caplog.set_level(logging.WARNING)
    tool = {"name": "count", "arguments": {}, "_meta": {"progressToken": "p"}}
    with serving(shop.app) as address, httpx2.Client(base_url=address, timeout=20) as client:
        session = begin(client)
        with call(client, "tools/call", session, id=2, params=tool) as response:
            message = next(events(response))
            assert ("notifications/progress", 0) == (
                message["method"],
                message["params"]["progress"],
            )
        assert shop.began.is_set()
        params = {"name": "add", "arguments": {"a": 1, "b": 2}}
        with call(client, "tools/call", session, id=3, params=params) as response:
            answers = [message for message in events(response) if message.get("id") == 3]
        assert [{"result": 3}] == [answer["result"]["structuredContent"] for answer in answers]
        assert 200 == client.delete("/mcp", headers={"mcp-session-id": session}).status_code
        assert shop.ended.wait(10)
        assert "well" == client.get("/health").text
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert [] == errors

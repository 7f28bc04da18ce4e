"""A session in a signed cookie: when it is sent, and what it is made of."""

import asyncio
import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import TimestampSigner

from lamella.applications import Lamella
from lamella.background import BackgroundTask
from lamella.middleware import Middleware
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.middleware.sessions import Session, SessionMiddleware
from lamella.responses import JSONResponse, PlainTextResponse, StreamingResponse
from lamella.routing import Mount, Route
from tests.parity.drive import ask, exchange, lifetime, websocket_scope

KEY = "a key of the tests"
LONG_AGO = "expires=Thu, 01 Jan 1970 00:00:00 GMT; "
LOGGER = "lamella.sessions"


def app_of(endpoint, *layers, outside=(), key=KEY, **options):
    session = Middleware(SessionMiddleware, key, **options)
    routes = [Route("/", endpoint, methods=["GET", "POST"])]
    return Lamella(routes=routes, middleware=[*outside, session, *layers])


def doing(action):
    """An endpoint that does something with the session, got from the scope."""

    async def endpoint(request):
        action(request.scope["session"])
        return PlainTextResponse("ok")

    return endpoint


async def show(request):
    return JSONResponse(request.session)


async def ignore(request):
    return PlainTextResponse("ok")


def packed(content, key=KEY):
    """The value of a session's cookie."""
    return TimestampSigner(key).sign(base64.b64encode(json.dumps(content).encode())).decode()


def unpacked(value, key=KEY):
    return json.loads(base64.b64decode(TimestampSigner(key).unsign(value)))


def sending(content, name="session"):
    """The headers of a request that comes with a session."""
    return {"headers": [("cookie", f"{name}={packed(content)}")]}


def cookies(reply):
    """The Set-Cookie lines of a reply."""
    assert reply.error is None, repr(reply.error)
    return [v.decode() for name, v in reply.start["headers"] if name.lower() == b"set-cookie"]


def stored(reply):
    """The session that a reply sends."""
    (line,) = cookies(reply)
    return unpacked(line.partition(";")[0].removeprefix("session="))


def varies(reply):
    return reply.headers.get("vary") == "Cookie"


def change(session):
    session["a"] = 1


# -- when it is sent -------------------------------------------------------------------------------


def test_session_comes_back_with_the_next_request():
    """By the cookie alone: nothing is kept on the server."""
    reply = ask(app_of(doing(change)))
    (line,) = cookies(reply)
    reply = ask(app_of(show), headers=[("cookie", line.partition(";")[0])])
    assert b'{"a":1}' == reply.body
    assert [] == cookies(reply)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({}, "path=/; Max-Age=1209600; httponly; samesite=lax"),
        ({"max_age": None}, "path=/; httponly; samesite=lax"),
        ({"max_age": 0}, "path=/; Max-Age=0; httponly; samesite=lax"),
        (
            {"path": "/a", "same_site": "strict"},
            "path=/a; Max-Age=1209600; httponly; samesite=strict",
        ),
        (
            {"https_only": True, "domain": "b.org", "partitioned": True, "same_site": "none"},
            "path=/; Max-Age=1209600; httponly; samesite=none; secure; domain=b.org; partitioned",
        ),
    ],
)
def test_cookie_has_the_attributes_that_were_asked_for(options, line):
    """In Starlette's order, since tests of applications compare the text."""
    (sent,) = cookies(ask(app_of(doing(change), **options)))
    assert line == sent.partition("; ")[2]


LOOKING = {
    "getitem": lambda session: session["a"],
    "get": lambda session: session.get("b"),
    "in": lambda session: "b" in session,
    "len": len,
    "bool": bool,
    "iter": list,
    "dict": dict,
    "unpacked": lambda session: {**session},
    "reversed": lambda session: list(reversed(session)),
    "keys": lambda session: session.keys(),
    "values": lambda session: session.values(),
    "items": lambda session: session.items(),
    "equal": lambda session: session == {},
    "unequal": lambda session: session != {},
    "copy": lambda session: session.copy(),
    "or": lambda session: session | {},
    "ror": lambda session: {} | session,
    "repr": repr,
    "json": json.dumps,
    "setdefault": lambda session: session.setdefault("a", 2),
    "pop a missing key": lambda session: session.pop("b", None),
    "match": lambda session: _matches(session),
}


def _matches(session):
    match session:
        case {"a": _}:
            return True


@pytest.mark.parametrize("look", LOOKING.values(), ids=LOOKING)
def test_response_varies_once_somebody_looked_at_the_session(look):
    """Even through the scope: a cache would give one user's page to another (CVE-2026-27205)."""
    reply = ask(app_of(doing(look)), **sending({"a": 1}))
    assert varies(reply)
    assert [] == cookies(reply)


def test_request_session_alone_counts_as_a_look():
    """As Starlette has it: the session is passed on to somewhere."""

    async def endpoint(request):
        assert request.session is not None
        return PlainTextResponse()

    assert varies(ask(app_of(endpoint)))


def test_response_of_an_endpoint_that_leaves_the_session_alone_is_as_without_the_layer():
    """It may be cached for everybody."""
    reply = ask(app_of(ignore), **sending({"a": 1}))
    assert ask(Lamella(routes=[Route("/", ignore)])).start == reply.start


CHANGING = {
    "setitem": change,
    "delitem": lambda session: session.__delitem__("b"),
    "clear and set": lambda session: (session.clear(), change(session)),
    "pop": lambda session: session.pop("b"),
    "popitem": lambda session: session.popitem(),
    "setdefault": lambda session: session.setdefault("a", 1),
    "update": lambda session: session.update(a=1),
    "ior": lambda session: session.__ior__({"a": 1}),
    "inside a list": lambda session: session["b"].append(2),
    "inside a dict": lambda session: session["c"].update(d=1),
    "inside by values": lambda session: list(session.values())[1].append(2),
}


@pytest.mark.parametrize("action", CHANGING.values(), ids=CHANGING)
def test_session_is_sent_when_it_was_changed(action):
    """With what it then is."""
    before = {"c": {"d": 0}, "b": [1]}
    expected = Session({"c": {"d": 0}, "b": [1]})
    reply = ask(app_of(doing(action)), **sending(before))
    action(expected)
    assert expected != before
    assert expected == stored(reply)
    assert varies(reply)


def test_session_set_to_what_it_was_is_sent():
    """Its age counts from now on; so it can be prolonged."""
    reply = ask(app_of(doing(lambda session: session.update(a=1))), **sending({"a": 1}))
    assert {"a": 1} == stored(reply)


def test_failed_change_changes_nothing():
    """A key that is not there cannot be removed."""

    def fails(session):
        with pytest.raises(KeyError):
            session.pop("x")
        with pytest.raises(KeyError):
            session.popitem()

    reply = ask(app_of(doing(fails)))
    assert [] == cookies(reply)
    assert varies(reply)


@pytest.mark.parametrize("content", [{"a": {"b": [1.5, None, "ü\u2028"]}}, {"a": []}, {"[": "{"}])
def test_session_with_values_inside_values_is_not_sent_unless_they_changed(content):
    """Reading it must not make every response one that sets a cookie."""
    reply = ask(app_of(doing(dict)), **sending(content))
    assert [] == cookies(reply)
    assert varies(reply)


@pytest.mark.parametrize("kind", [dict, Session])
def test_dict_in_the_scope_replaces_the_session(kind):
    """Some log out like this."""

    async def endpoint(request):
        request.scope["session"] = kind({"b": 2})
        return PlainTextResponse()

    reply = ask(app_of(endpoint), **sending({"a": 1}))
    assert {"b": 2} == stored(reply)
    assert varies(reply)


def test_cleared_session_has_the_browser_forget_its_cookie():
    """With the attributes it was set with, or the browser keeps it."""
    reply = ask(app_of(doing(Session.clear), path="/a", domain="b.org"), **sending({"a": 1}))
    assert [f"session=null; path=/a; {LONG_AGO}httponly; samesite=lax; domain=b.org"] == cookies(
        reply
    )


def test_session_that_was_never_sent_need_not_be_forgotten():
    """No browser has it."""
    reply = ask(app_of(doing(lambda session: (change(session), session.clear()))))
    assert [] == cookies(reply)


@pytest.mark.parametrize(("max_age", "content"), [(None, b'{"a":1}'), (60, b"{}"), (-1, b"{}")])
def test_age_counts_from_when_the_cookie_was_signed(max_age, content, monkeypatch):
    """The server looks; a browser that kept it for longer gains nothing (CVE-2018-1000814)."""
    cookie = sending({"a": 1})
    now = TimestampSigner.get_timestamp
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda self: now(self) + 61)
    assert content == ask(app_of(show, max_age=max_age), **cookie).body


# -- with what else a stack has --------------------------------------------------------------------


async def foreign(scope, receive, send):
    """A pure ASGI app that changes the session."""
    change(scope["session"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"a", "more_body": True})
    await send({"type": "http.response.body", "body": b"b"})


class Wraps:
    """A pure ASGI layer."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, lambda message: send(message))


async def passes(request, call_next):
    return await call_next(request)


DISPATCH = Middleware(BaseHTTPMiddleware, dispatch=passes)
WRAPS = Middleware(Wraps)


@pytest.mark.parametrize("outside", [[], [DISPATCH], [WRAPS], [WRAPS, DISPATCH]])
@pytest.mark.parametrize("inside", [[], [DISPATCH], [WRAPS], [WRAPS, DISPATCH]])
def test_session_works_wherever_the_layer_stands(outside, inside):
    """Natively, and with foreign layers on either side of it."""
    assert {"a": 1} == stored(ask(app_of(doing(change), *inside, outside=outside)))


@pytest.mark.parametrize("outside", [[], [DISPATCH], [WRAPS]])
def test_mounted_asgi_app_can_change_the_session(outside):
    """Its response gets the cookie, though it sends it itself."""
    layers = [*outside, Middleware(SessionMiddleware, KEY)]
    reply = ask(Lamella(routes=[Mount("/", app=foreign)], middleware=layers))
    assert {"a": 1} == stored(reply)
    assert b"ab" == reply.body


def test_layer_serves_a_bare_asgi_app():
    """Without any application."""
    assert {"a": 1} == stored(ask(SessionMiddleware(foreign, KEY)))


def test_response_of_an_error_keeps_the_session_as_it_was():
    """As Starlette: what was begun is not finished."""

    async def endpoint(request):
        change(request.session)
        raise LookupError

    reply = ask(app_of(endpoint))
    assert LookupError is type(reply.error)
    assert 500 == reply.status
    assert "set-cookie" not in reply.headers


def test_value_that_is_not_json_is_an_error_and_the_response_is_closed():
    """It cannot be stored, which the developer has to know."""
    closed = []

    class Source:
        async def __aiter__(self):
            yield b""

        async def aclose(self):
            closed.append(True)

    async def endpoint(request):
        request.session["when"] = object()
        return StreamingResponse(Source())

    reply = ask(app_of(endpoint))
    assert TypeError is type(reply.error)
    assert 500 == reply.status
    assert [True] == closed


def test_two_layers_keep_their_sessions_apart():
    """An application mounted in another has one of its own."""
    inner = app_of(doing(change), session_cookie="inner")
    outer = Lamella(
        routes=[Mount("/inner", app=inner)],
        middleware=[Middleware(SessionMiddleware, KEY)],
    )
    (line,) = cookies(ask(outer, "/inner/", **sending({"b": 2})))
    assert line.startswith("inner=")
    assert {"a": 1} == unpacked(line.partition(";")[0].removeprefix("inner="))


def test_inside_that_runs_again_starts_from_the_session_that_came_in():
    """What the first run did was not sent."""
    seen = []

    async def retry(request, call_next):
        await call_next(request)
        return await call_next(request)

    async def endpoint(request):
        seen.append(dict(request.session))
        change(request.session)
        return PlainTextResponse()

    outside = [Middleware(BaseHTTPMiddleware, dispatch=retry)]
    assert {"b": 2, "a": 1} == stored(ask(app_of(endpoint, outside=outside), **sending({"b": 2})))
    assert [{"b": 2}, {"b": 2}] == seen


def test_shared_response_object_carries_no_cookie_of_another_request():
    """An endpoint may return the same object each time."""
    shared = PlainTextResponse("ok")

    async def endpoint(request):
        if request.method == "POST":
            change(request.session)
        return shared

    app = app_of(endpoint)
    assert {"a": 1} == stored(ask(app, method="POST"))
    assert [] == cookies(ask(app))


def test_lifespan_passes():
    """The application inside starts and stops."""
    kinds = [message["type"] for message in lifetime(app_of(ignore)).messages]
    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == kinds


def test_stack_shows_that_what_is_inside_is_bridged():
    """The layer has to see the start of every response."""
    app = Lamella(middleware=[Middleware(SessionMiddleware, KEY), WRAPS])
    assert ["native", "native", "bridged"] == [
        line.split()[1] for line in app.explain().splitlines()
    ][:3]


# -- too late --------------------------------------------------------------------------------------


def told(caplog):
    return [record.getMessage() for record in caplog.records if record.name == LOGGER]


def test_change_while_the_response_streams_is_lost_and_logged_once(caplog):
    """The headers are gone by then."""

    async def endpoint(request):
        async def pieces():
            for piece in (b"a", b"b"):
                request.session["x"] = 1
                yield piece

        return StreamingResponse(pieces())

    reply = ask(app_of(endpoint))
    assert b"ab" == reply.body
    assert [] == cookies(reply)
    (line,) = told(caplog)
    assert "the change is lost" in line


def test_change_in_a_background_task_is_logged(caplog):
    """Also if the session was sent."""

    async def endpoint(request):
        async def late():
            request.session["late"] = 1

        request.session["early"] = 1
        return PlainTextResponse(background=BackgroundTask(late))

    assert {"early": 1} == stored(ask(app_of(endpoint)))
    assert 1 == len(told(caplog))


def test_change_in_a_layer_outside_is_logged(caplog):
    """It comes after the cookie was decided on."""

    async def late(request, call_next):
        response = await call_next(request)
        change(request.session)
        return response

    outside = [Middleware(BaseHTTPMiddleware, dispatch=late)]
    assert [] == cookies(ask(app_of(ignore, outside=outside)))
    assert 1 == len(told(caplog))


# -- websockets ------------------------------------------------------------------------------------


def served(app, **scope):
    """The messages that a websocket gets."""
    incoming = [{"type": "websocket.connect"}]
    reply = asyncio.run(exchange(SessionMiddleware(app, KEY), websocket_scope(**scope), incoming))
    assert reply.error is None
    return reply.messages


def test_websocket_has_the_session_that_came_in():
    """Its handshake has cookies as any request."""

    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": json.dumps(scope["session"])})

    messages = served(app, **sending({"a": 1}))
    assert [{"type": "websocket.accept", "headers": []}] == messages[:1]
    assert '{"a": 1}' == messages[1]["text"]


@pytest.mark.parametrize("kind", ["websocket.accept", "websocket.http.response.start"])
def test_session_changed_before_a_websocket_is_answered_is_sent_with_the_answer(kind):
    """It is a response like any other; the app's own message is left as it is."""
    message = {"type": kind, "headers": [(b"x", b"y")]}

    async def app(scope, receive, send):
        change(scope["session"])
        await send(message)

    (sent,) = served(app)
    assert [(b"x", b"y")] == message["headers"]
    assert [b"x", b"set-cookie"] == [name for name, _ in sent["headers"]]
    value = sent["headers"][1][1].decode().partition(";")[0].removeprefix("session=")
    assert {"a": 1} == unpacked(value)


def test_session_changed_after_a_websocket_was_accepted_is_logged(caplog):
    """A frame has no headers."""

    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        change(scope["session"])

    served(app)
    assert 1 == len(told(caplog))


# -- the class -------------------------------------------------------------------------------------


def test_attributes_may_be_set_after_it_was_built():
    """FastHTML does."""
    layer = SessionMiddleware(foreign, KEY, "session_", None, "/", "lax", False, None)
    layer.session_cookie, layer.path = "other", "/b"
    (line,) = cookies(ask(layer))
    assert line.startswith("other=")
    assert line.endswith("; path=/b; httponly; samesite=lax")


KEYS = st.sampled_from("abc")
OPERATIONS = st.one_of(
    st.tuples(st.just("__setitem__"), KEYS, st.integers(0, 1)),
    st.tuples(st.just("__delitem__"), KEYS),
    st.tuples(st.just("pop"), KEYS),
    st.tuples(st.just("pop"), KEYS, st.none()),
    st.tuples(st.just("setdefault"), KEYS, st.integers(0, 1)),
    st.tuples(st.just("get"), KEYS),
    st.tuples(st.just("update"), st.dictionaries(KEYS, st.integers(0, 1))),
    st.sampled_from([("clear",), ("popitem",), ("__len__",), ("copy",)]),
)


def outcome(subject, name, arguments):
    try:
        return getattr(subject, name)(*arguments)
    except KeyError as exc:
        return exc.args


@given(st.dictionaries(KEYS, st.integers(0, 1)), st.lists(OPERATIONS))
def test_session_is_a_dict_that_misses_no_change(content, operations):
    """It never tells less than there is; that nothing changed may be told once too often."""
    session, plain = Session(content), dict(content)
    for name, *arguments in operations:
        before = dict(plain)
        assert outcome(plain, name, arguments) == outcome(session, name, arguments)
        assert session.modified or before == plain
        assert session.accessed or session._missed
        assert session.accessed or not session.modified
    assert plain == dict(session)

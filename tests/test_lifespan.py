"""Lifespans of mounted applications: their order, their state, their errors, and once each."""

import copy
import logging
from contextlib import asynccontextmanager
from functools import partial

import anyio
import pytest

from lamella._lifespan import LifespanContext
from lamella.applications import Lamella
from lamella.exceptions import StackError
from lamella.middleware import Middleware
from lamella.responses import PlainTextResponse
from lamella.routing import Host, Mount, Route, Router, WebSocketRoute, _DefaultLifespan
from tests.loops import spawn
from tests.parity.drive import http_scope, live, request, websocket_scope

pytestmark = pytest.mark.anyio


class Lost(Exception):
    """An error of the tests' own."""


def noted(log, name, *, state=None, fails=None):
    """A lifespan that notes its start and its end, and fails at one of them."""

    @asynccontextmanager
    async def lifespan(app):
        log.append(f"+{name}")
        if fails == "start":
            raise Lost(name)
        yield state
        log.append(f"-{name}")
        if fails == "stop":
            raise Lost(name)

    return lifespan


def application(log, name, *routes, **options):
    return Lamella(routes=list(routes), lifespan=noted(log, name, **options))


class Pure:
    """A pure ASGI layer."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


def kinds(reply):
    return [message["type"].removeprefix("lifespan.") for message in reply.messages]


WHOLE = ["startup.complete", "shutdown.complete"]


# -- order and number ------------------------------------------------------------------------------


async def test_lifespans_are_entered_from_outside_in_and_left_in_reverse():
    """In the order of the routes, depth first."""
    log = []
    deep = application(log, "deep")
    first = application(log, "first", Mount("/deep", app=deep))
    app = application(
        log,
        "outer",
        Mount("/1", app=first),
        Host("h", app=application(log, "host")),
        Route("/", len),
    )
    reply = await live(app, during=lambda scope: note(log, "serving"))
    assert (WHOLE, None) == (kinds(reply), reply.error)
    assert ["+outer", "+first", "+deep", "+host"] == log[:4]
    assert ["serving", "-host", "-deep", "-first", "-outer"] == log[4:]


async def note(log, word):
    log.append(word)


async def test_application_mounted_twice_or_in_itself_is_entered_once():
    """By a route and by its copy."""
    log = []
    app = application(log, "outer")
    inner = application(log, "inner")
    route = Mount("/a", app=inner)
    inner.mount("/outer", app)
    app.router.routes += [route, copy.copy(route), Mount("/b", app=inner), Host("h", app=inner)]
    await live(app)
    assert ["+outer", "+inner", "-inner", "-outer"] == log


async def test_each_start_is_one_of_its_own():
    """A second run of the same objects."""
    log = []
    app = application(log, "outer", Mount("/", app=application(log, "inner")))
    for _ in range(2):
        await live(app)
    assert ["+outer", "+inner", "-inner", "-outer"] * 2 == log


@pytest.mark.parametrize("kind", ["router", "routes", "layers", "wrapped", "subclass", "own call"])
async def test_application_is_found_however_it_is_mounted(kind):
    """Under layers of the route or around it, in a router, as a subclass."""
    log = []
    inner = application(log, "inner")
    if kind == "router":
        route = Mount("/", app=Router([Mount("/x", app=inner)]))
    elif kind == "routes":
        route = Mount("/", routes=[Mount("/x", routes=[Host("h", app=inner)])])
    elif kind == "layers":
        route = Mount("/", app=inner, middleware=[Middleware(Pure), layer])
    elif kind == "wrapped":
        route = Mount("/", app=Pure(Pure(inner)))
    else:

        class Own(Lamella):
            if kind == "own call":

                async def __call__(self, scope, receive, send):
                    await super().__call__(scope, receive, send)

        route = Mount("/", app=Own(lifespan=noted(log, "inner")))
    await live(application(log, "outer", route))
    assert ["+outer", "+inner", "-inner", "-outer"] == log


async def layer(request, call_next):
    return await call_next(request)


async def test_lifespan_of_a_router_gets_the_application_around_it():
    """A mounted application its own."""
    seen = []

    @asynccontextmanager
    async def lifespan(app):
        seen.append(app)
        yield

    inner = Lamella(routes=[Mount("/r", app=Router(lifespan=lifespan))], lifespan=lifespan)
    outer = Lamella(
        routes=[Mount("/r", app=Router(lifespan=lifespan)), Mount("/i", app=inner)],
        lifespan=lifespan,
    )
    await live(outer)
    assert [outer, outer, inner, inner] == seen


async def test_routes_that_mount_nothing_have_no_lifespan():
    """Whatever attributes their endpoints have."""

    class Endpoint:
        def __init__(self):
            self.app = application([], "never", fails="start")
            self.router = self.app.router

        async def __call__(self, scope, receive, send):
            pass

    routes = [Route("/", Endpoint()), WebSocketRoute("/", Endpoint())]
    assert WHOLE == kinds(await live(Lamella(routes=routes)))


async def test_mount_made_from_outside_is_served_too():
    """Without its `__init__`."""
    log = []
    route = Mount.__new__(Mount)
    route.app = route._base_app = application(log, "inner")
    await live(Lamella(routes=[route]))
    assert ["+inner", "-inner"] == log


# -- what a program enters by hand -----------------------------------------------------------------


@pytest.mark.parametrize("how", ["context", "in a task", "lifespan of both", "served"])
async def test_lifespan_that_is_entered_by_hand_is_not_entered_again(how):
    """As programs do that were written for Starlette, which serves the outermost one alone."""
    log = []
    deep = application(log, "deep")
    inner = application(log, "inner", Mount("/deep", app=deep))

    @asynccontextmanager
    async def lifespan(app):
        log.append("+outer")
        async with inner.router.lifespan_context(inner):
            yield
        log.append("-outer")

    async def hold(ready, done):
        async with inner.router.lifespan_context(inner):
            ready.set()
            await done.wait()

    @asynccontextmanager
    async def in_a_task(app):
        log.append("+outer")
        ready, done = anyio.Event(), anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hold, ready, done)
            await ready.wait()
            yield
            done.set()
        log.append("-outer")

    @asynccontextmanager
    async def served(app):
        log.append("+outer")
        ready, done = anyio.Event(), anyio.Event()

        async def during(scope):
            ready.set()
            await done.wait()

        job = spawn(live(inner, during=during))
        await ready.wait()
        yield
        done.set()
        await job
        log.append("-outer")

    forms = {
        "context": lifespan,
        "in a task": in_a_task,
        "lifespan of both": inner.router.lifespan_context,
        "served": served,
    }
    outer = Lamella(routes=[Mount("/", app=inner)], lifespan=forms[how])
    reply = await live(outer)
    assert WHOLE == kinds(reply)
    names = ["inner", "deep"] if how == "lifespan of both" else ["outer", "inner", "deep"]
    assert sorted(f"{sign}{name}" for sign in "+-" for name in names) == sorted(log)


async def test_lifespan_context_that_a_library_wraps_is_entered_once():
    """`router.lifespan_context` is read, and replaced by one that enters the old."""
    log = []
    inner = application(log, "inner")
    before = inner.router.lifespan_context

    @asynccontextmanager
    async def wrapper(app):
        log.append("+wrapper")
        async with before(app) as state:
            yield state
        log.append("-wrapper")

    inner.router.lifespan_context = wrapper
    await live(Lamella(routes=[Mount("/", app=inner)]))
    assert ["+wrapper", "+inner", "-inner", "-wrapper"] == log


async def test_lifespan_that_ended_by_hand_before_the_start_is_served():
    """A test of the inner one beforehand, say."""
    log = []
    inner = application(log, "inner")

    @asynccontextmanager
    async def lifespan(app):
        async with inner.router.lifespan_context(inner):
            pass
        yield

    await live(Lamella(routes=[Mount("/", app=inner)], lifespan=lifespan))
    assert ["+inner", "-inner"] * 2 == log


async def test_two_servers_at_once_do_not_see_each_other():
    """What goes on in one is no reason not to start it in the other."""
    log = []
    inner = application(log, "inner")
    served, done = anyio.Event(), anyio.Event()

    async def wait(scope):
        served.set()
        await done.wait()

    job = spawn(live(Lamella(routes=[Mount("/", app=inner)]), during=wait))
    await served.wait()
    await live(Lamella(routes=[Mount("/", app=inner)]))
    done.set()
    await job
    assert ["+inner", "+inner", "-inner", "-inner"] == log


async def test_routers_with_equal_routes_are_two():
    """They compare equal."""
    log = []
    first, second = (Router(lifespan=noted(log, name)) for name in "ab")
    assert first == second
    await live(Router([Mount("/a", app=first), Mount("/b", app=second)]))
    assert ["+a", "+b", "-b", "-a"] == log


async def test_mount_may_keep_its_lifespan_to_itself():
    """With all that is mounted below it: a program may start them in some way not seen here."""
    log = []
    deep = Mount("/deep", app=application(log, "deep"))
    app = Lamella(routes=[Mount("/", app=application(log, "inner", deep), lifespan=False)])
    app.mount("/more", application(log, "more"), lifespan=False)
    app.host("more", application(log, "more"), lifespan=False)
    await live(app)
    assert [] == log


# -- state -----------------------------------------------------------------------------------------


async def test_state_of_all_is_merged_and_seen_by_all():
    """In requests and websockets."""
    seen = []

    async def endpoint(request):
        seen.append((request.state.outer, request.state.inner))
        return PlainTextResponse("ok")

    async def socket(websocket):
        seen.append((websocket.state.outer, websocket.state.inner))
        await websocket.close()

    routes = [Route("/", endpoint), WebSocketRoute("/ws", socket)]
    inner = application([], "inner", *routes, state={"inner": 2})
    app = application([], "outer", Mount("/in", app=inner), *routes, state={"outer": 1})

    async def during(scope):
        state = dict(scope["state"])
        for path in ("/", "/in/"):
            assert "ok" == (await request(app, path, state=state)).text
        for path in ("/ws", "/in/ws"):
            await app(websocket_scope(path, state=state), None, ignore)

    reply = await live(app, during=during)
    assert ([(1, 2)] * 4, None) == (seen, reply.error)


async def ignore(message):
    pass


async def test_key_that_two_give_is_an_error_that_names_both():
    """One of them would get the other's object, and nobody would be told."""
    log = []
    inner = application(log, "inner", state={"db": object()})
    app = application(log, "outer", Mount("/", app=inner), state={"db": object()})
    reply = await live(app)
    assert ["startup.failed"] == kinds(reply)
    assert isinstance(reply.error, StackError)
    assert "'db'" in str(reply.error)
    assert "lifespan=False" in str(reply.error)
    assert ["+outer", "+inner", "-inner", "-outer"] == log


async def test_key_that_two_give_the_same_value_is_none():
    """Something shared by all."""
    shared = object()
    inner = application([], "inner", state={"db": shared})
    app = application([], "outer", Mount("/", app=inner), state={"db": shared})
    assert WHOLE == kinds(await live(app))


async def test_server_without_state_is_told_of():
    """As in Starlette."""
    app = Lamella(routes=[Mount("/", app=application([], "inner", state={"a": 1}))])
    messages = []

    async def receive():
        return {"type": "lifespan.startup"}

    async def send(message):
        messages.append(message["type"])

    with pytest.raises(RuntimeError, match='does not support "state"'):
        await app({"type": "lifespan"}, receive, send)
    assert ["lifespan.startup.failed"] == messages


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["outer", "inner", "deep"])
async def test_failing_start_is_reported_as_itself(which):
    """Those that had started are stopped, as they always are."""
    log = []
    fails = {which: "start"}
    deep = application(log, "deep", fails=fails.get("deep"))
    inner = application(log, "inner", Mount("/", app=deep), fails=fails.get("inner"))
    app = application(log, "outer", Mount("/", app=inner), fails=fails.get("outer"))
    reply = await live(app)
    assert ["startup.failed"] == kinds(reply)
    assert (Lost, which) == (type(reply.error), str(reply.error))
    assert "Lost: " + which in reply.messages[0]["message"]
    names = ["outer", "inner", "deep"]
    started = names[: names.index(which) + 1]
    assert [f"+{name}" for name in started] + [f"-{name}" for name in started[-2::-1]] == log


@pytest.mark.parametrize("which", ["outer", "inner", "deep"])
async def test_failing_stop_is_reported_as_itself(which):
    """The others are stopped all the same, though none of them says `finally`."""
    log = []
    fails = {which: "stop"}
    deep = application(log, "deep", fails=fails.get("deep"))
    inner = application(log, "inner", Mount("/", app=deep), fails=fails.get("inner"))
    app = application(log, "outer", Mount("/", app=inner), fails=fails.get("outer"))
    reply = await live(app)
    assert ["startup.complete", "shutdown.failed"] == kinds(reply)
    assert (Lost, which) == (type(reply.error), str(reply.error))
    assert "Lost: " + which in reply.messages[1]["message"]
    assert ["+outer", "+inner", "+deep", "-deep", "-inner", "-outer"] == log


async def test_further_errors_are_logged(caplog):
    """None is lost."""
    inner = application([], "inner", fails="stop")
    app = application([], "outer", Mount("/", app=inner), fails="stop")
    with caplog.at_level(logging.ERROR, "lamella.error"):
        reply = await live(app)
    assert "inner" == str(reply.error)
    assert ["outer"] == [str(record.exc_info[1]) for record in caplog.records]


async def test_start_that_fails_is_reported_though_a_stop_fails_too():
    """The first error is the one to look into."""
    inner = application([], "inner", fails="start")
    app = application([], "outer", Mount("/", app=inner), fails="stop")
    assert "inner" == str((await live(app)).error)


@pytest.mark.parametrize("suppresses", [False, True])
async def test_error_of_the_server_is_seen_by_all_lifespans(suppresses):
    """As by nested contexts; one that suppresses it ends it for those outside of it."""
    log = []

    def lifespan_of(name, suppresses=False):
        @asynccontextmanager
        async def lifespan(app):
            try:
                yield
            except Lost:
                log.append(name)
                if not suppresses:
                    raise

        return lifespan

    inner = Lamella(lifespan=lifespan_of("inner", suppresses))
    app = Lamella(routes=[Mount("/", app=inner)], lifespan=lifespan_of("outer"))

    async def during(scope):
        raise Lost

    reply = await live(app, during=during)
    assert (["inner"] if suppresses else ["inner", "outer"]) == log
    assert ("shutdown.complete" if suppresses else "shutdown.failed") == kinds(reply)[-1]
    assert suppresses is (reply.error is None)


async def test_lifespan_that_is_cancelled_leaves_all():
    """By a server that is stopped in the midst."""
    log = []

    @asynccontextmanager
    async def lifespan(app):
        try:
            yield
        finally:
            log.append("left")

    app = Lamella(routes=[Mount("/", app=Lamella(lifespan=lifespan))], lifespan=lifespan)
    started = anyio.Event()

    async def wait(scope):
        started.set()
        await anyio.Event().wait()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(live, app, during=wait))
        await started.wait()
        tasks.cancel_scope.cancel()
    assert ["left", "left"] == log


async def test_context_that_cannot_be_made_is_a_failed_start():
    """Whatever the function raises when it is called."""

    def lifespan(app):
        raise Lost("made")

    reply = await live(Lamella(routes=[Mount("/", app=Lamella(lifespan=lifespan))]))
    assert (["startup.failed"], "made") == (kinds(reply), str(reply.error))


async def test_task_group_of_a_lifespan_works():
    """All are entered and left in one task, in order."""
    log = []

    @asynccontextmanager
    async def lifespan(app):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(note, log, "task")
            yield
            tasks.cancel_scope.cancel()

    app = Lamella(routes=[Mount("/", app=Lamella(lifespan=lifespan))], lifespan=lifespan)
    reply = await live(app)
    assert (WHOLE, None) == (kinds(reply), reply.error)


@pytest.mark.parametrize("suppresses", [False, True])
async def test_lifespan_that_ends_the_start_of_another_is_told_as_the_reason(suppresses):
    """Its task group or time limit cancels what goes on inside it: that is for itself to see."""
    seen = []

    @asynccontextmanager
    async def outer(app):
        async def fails():
            await anyio.lowlevel.checkpoint()
            raise Lost("why")

        try:
            async with anyio.create_task_group() as tasks:
                if suppresses:
                    tasks.cancel_scope.cancel()
                else:
                    tasks.start_soon(fails)
                yield
        finally:
            seen.append("left")

    @asynccontextmanager
    async def inner(app):
        await anyio.sleep_forever()
        yield

    app = Lamella(lifespan=outer, routes=[Mount("/", app=Lamella(lifespan=inner))])
    reply = await live(app)
    assert (["startup.failed"], ["left"]) == (kinds(reply), seen)
    if suppresses:
        assert isinstance(reply.error, RuntimeError)
        assert "ended it" in str(reply.error)
    else:
        assert isinstance(reply.error, ExceptionGroup)
        assert [Lost] == [type(exc) for exc in reply.error.exceptions]


# -- foreign apps ----------------------------------------------------------------------------------


class Foreign:
    """An ASGI app with a lifespan of its own."""

    def __init__(self, log, *, fails=None, silent=False):
        self.log = log
        self.fails = fails
        self.silent = silent

    async def __call__(self, scope, receive, send):
        assert "lifespan" == scope["type"]
        for stage in ("startup", "shutdown"):
            assert {"type": f"lifespan.{stage}"} == await receive()
            if self.fails == stage:
                raise Lost(stage)
            if self.silent:
                return
            failed = self.fails == f"{stage} told"
            self.log.append(stage)
            scope["state"]["foreign"] = 3
            word = "failed" if failed else "complete"
            await send({"type": f"lifespan.{stage}.{word}", "message": "told"})
            if failed:
                return


async def test_foreign_app_is_left_alone():
    """Whether the program runs its lifespan by hand cannot be seen; so it is as in Starlette."""
    log = []
    reply = await live(Lamella(routes=[Mount("/", app=Foreign(log))]))
    assert (WHOLE, []) == (kinds(reply), log)


async def test_foreign_app_is_served_where_the_route_says_so():
    """Once, in its place, with its state."""
    log, states = [], []
    foreign = Foreign(log)

    async def during(scope):
        states.append(dict(scope["state"]))

    app = application(
        log,
        "outer",
        Mount("/a", app=foreign, lifespan=True),
        Mount("/b", app=foreign, lifespan=True),
        Mount("/c", app=application(log, "last"), lifespan=True),
        state={"own": 1},
    )
    reply = await live(app, during=during)
    assert (WHOLE, None) == (kinds(reply), reply.error)
    assert ["+outer", "startup", "+last", "-last", "shutdown", "-outer"] == log
    assert [{"own": 1, "foreign": 3}] == states


@pytest.mark.parametrize(
    ("options", "stage", "error", "text"),
    [
        ({"fails": "startup"}, "startup", Lost, "startup"),
        ({"fails": "startup told"}, "startup", RuntimeError, "told"),
        ({"silent": True}, "startup", StackError, "without lifespan=True"),
        ({"fails": "shutdown"}, "shutdown", Lost, "shutdown"),
        ({"fails": "shutdown told"}, "shutdown", RuntimeError, "told"),
    ],
    ids=range(5),
)
async def test_foreign_app_that_fails_is_reported_as_itself(options, stage, error, text):
    """Not as a group; an app that has no lifespan at all is a mistake of the declaration."""
    log = []
    app = application(log, "outer", Mount("/", app=Foreign([], **options), lifespan=True))
    reply = await live(app)
    assert f"{stage}.failed" == kinds(reply)[-1]
    assert error is type(reply.error)
    assert text in str(reply.error)
    assert ["+outer", "-outer"] == log


@pytest.mark.parametrize("fails", [None, "startup", "shutdown"])
async def test_foreign_app_that_goes_on_asking_is_ended(fails):
    """Servers do not wait for it either, once it has answered."""
    log = []

    async def foreign(scope, receive, send):
        while True:
            kind = (await receive())["type"]
            log.append(kind)
            word = "failed" if kind == f"lifespan.{fails}" else "complete"
            await send({"type": f"{kind}.{word}", "message": "told"})

    reply = await live(Lamella(routes=[Mount("/", app=foreign, lifespan=True)]))
    stages = ["startup"] if fails == "startup" else ["startup", "shutdown"]
    assert [f"lifespan.{stage}" for stage in stages] == log
    assert ("None" if fails is None else "RuntimeError('told')") == repr(reply.error)


async def test_foreign_app_that_says_something_else_is_told_so():
    """Its answer to a request, say."""

    async def foreign(scope, receive, send):
        await PlainTextResponse("ok")({**http_scope(), "type": "http"}, receive, send)

    reply = await live(Lamella(routes=[Mount("/", app=foreign, lifespan=True)]))
    assert "message of the lifespan, got 'http.response.start'" in str(reply.error)


async def test_error_of_the_server_passes_by_a_foreign_app():
    """It is stopped, and the error is the same object."""
    log = []
    exc = Lost()

    async def during(scope):
        raise exc

    app = Lamella(routes=[Mount("/", app=Foreign(log), lifespan=True)])
    reply = await live(app, during=during)
    assert (exc, ["startup", "shutdown"]) == (reply.error, log)


# -- the attribute ---------------------------------------------------------------------------------


async def test_lifespan_context_tells_what_it_was_given():
    """It is callable as the function is."""
    lifespan = noted([], "x", state={"a": 1})
    router = Router(lifespan=lifespan)
    context = router.lifespan_context
    assert context is router.lifespan_context
    assert isinstance(context, LifespanContext)
    assert context.context is lifespan
    async with context(None) as state:
        assert {"a": 1} == state


async def test_exception_inside_a_lifespan_context_reaches_it():
    """As if it were the function's own."""
    seen = []

    @asynccontextmanager
    async def lifespan(app):
        try:
            yield
        except Lost as exc:
            seen.append(exc)

    async with Router(lifespan=lifespan).lifespan_context(None):
        raise Lost
    assert 1 == len(seen)


# -- by Starlette's private name -------------------------------------------------------------------


async def test_router_without_a_lifespan_is_told_by_the_name_that_packages_look_for():
    """An ORM puts its lifespan in the place of none, or around what is there."""

    for kind in (Router, Lamella):
        bare, given = kind(), kind(lifespan=noted([], "own"))
        contexts = [getattr(app, "router", app).lifespan_context for app in (bare, given)]
        assert [True, False] == [isinstance(context, _DefaultLifespan) for context in contexts]


async def test_lifespan_may_be_taken_from_an_application():
    """As tests do with the application of a program."""
    log = []
    app = application(log, "own")
    app.router.lifespan_context = _DefaultLifespan(app.router)
    reply = await live(app)
    assert ([], None, 2) == (log, reply.error, len(reply.messages))

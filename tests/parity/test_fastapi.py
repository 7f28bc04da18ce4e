"""What docs/moving-from-fastapi.md says to differ from FastAPI 0.165, seen on both.

A case that differs no longer, or in another way, fails: then the page has to be changed, too.
"""

import contextvars
import dataclasses
import datetime as dt
import importlib
import json
import warnings
from types import SimpleNamespace
from typing import Annotated, Any

import pydantic
import pytest

CASES = []


def differs(fastapi, lamella):
    """Make a function of the framework a case, with what it gives on each."""

    def add(case):
        CASES.append(pytest.param(case, fastapi, lamella, id=case.__name__))
        return case

    return add


def framework(package):
    """The names of a framework that the cases use."""
    root = importlib.import_module(package)
    plain = {"fastapi": "starlette", "lamella": "lamella"}[package]
    names = ("APIRouter", "BackgroundTasks", "Body", "Depends", "Header", "HTTPException")
    return SimpleNamespace(
        App=getattr(root, {"fastapi": "FastAPI", "lamella": "Lamella"}[package]),
        Route=importlib.import_module(f"{plain}.routing").Route,
        module=lambda name: importlib.import_module(f"{package}.{name}"),
        **{name: getattr(root, name) for name in names},
    )


def client(web, app, **options):
    options.setdefault("raise_server_exceptions", False)
    return web.module("testclient").TestClient(app, **options)


@pytest.mark.parametrize(("case", "fastapi", "lamella"), CASES)
def test_the_page_on_moving_is_right(case, fastapi, lamella):
    """Of both: FastAPI may have changed as well."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # FastAPI's own, of Starlette
        given = case(framework("fastapi")), case(framework("lamella"))
    assert (fastapi, lamella) == given


# -- bodies ------------------------------------------------------------------------------------


class Model(pydantic.BaseModel):
    number: float = 0
    text: str = ""


@dataclasses.dataclass
class Data:
    number: float = 0
    raw: bytes = b""


JSON = {"content-type": "application/json"}


def status_of_body(web, body, model=Model, headers=JSON):
    app = web.App()

    @app.post("/")
    def read(item: model):
        return {}

    return client(web, app).post("/", content=body, headers=headers).status_code


@differs(200, 422)
def json_with_nan(web):
    return status_of_body(web, b'{"number": NaN}')


@differs(200, 422)
def json_with_infinity(web):
    return status_of_body(web, b'{"number": -Infinity}')


@differs(200, 422)
def json_with_a_number_beyond_all_bounds(web):
    return status_of_body(web, b'{"number": 1e999}')


@differs(200, 422)
def json_with_half_a_surrogate_pair(web):
    return status_of_body(web, b'{"text": "\\ud800"}')


@differs(200, 422)
def json_behind_a_byte_order_mark(web):
    return status_of_body(web, b"\xef\xbb\xbf{}")


@differs(200, 422)
def json_in_utf_16(web):
    return status_of_body(web, "{}".encode("utf-16"))


@differs(400, 422)
def json_that_is_not_utf_8(web):
    return status_of_body(web, b'{"text": "\xff"}')


@differs(400, 422)
def json_that_is_nested_too_deeply(web):
    return status_of_body(web, b"[" * 100_000 + b"]" * 100_000)


@differs(422, 415)
def body_of_another_type_for_a_dataclass(web):
    return status_of_body(web, b"{}", Data, {"content-type": "text/plain"})


@differs(422, 422)
def body_of_another_type_for_a_model_of_pydantic(web):
    return status_of_body(web, b"{}", Model, {"content-type": "text/plain"})


@differs((500, None), (200, '{"number":0.0,"raw":"/w=="}'))
def bytes_of_a_dataclass_that_are_not_utf_8(web):
    app = web.App()

    @app.get("/")
    def give() -> Data:
        return Data(0.0, b"\xff")

    response = client(web, app).get("/")
    return response.status_code, response.text if response.status_code == 200 else None


@differs(b"eA==", b"x")
def bytes_of_a_dataclass_that_come_in(web):
    app, seen = web.App(), []

    @app.post("/")
    def take(data: Data):
        seen.append(data.raw)

    client(web, app).post("/", json={"raw": "eA=="})
    return seen[0]


@differs((422, []), (403, ["guard"]))
def dependency_that_refuses_before_the_body_is_read(web):
    app, called = web.App(), []

    def guard():
        called.append("guard")
        raise web.HTTPException(403)

    @app.post("/", dependencies=[web.Depends(guard)])
    def take(item: Model):
        return {}

    status = client(web, app).post("/", content=b"{", headers=JSON).status_code
    return status, called


@differs("patched", "sent")
def json_loads_that_was_patched(web):
    app, seen = web.App(), []

    @app.post("/")
    def take(item: Model):
        seen.append(item.text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json, "loads", lambda *_, **__: {"text": "patched"})
        client(web, app).post("/", content=b'{"text": "sent"}', headers=JSON)
    return seen[0]


# -- routes and answers ------------------------------------------------------------------------


def app_with_a_route(web, path="/"):
    app = web.App()

    @app.get(path)
    def read():
        return {}

    return app


@differs((405, "GET"), (200, None))
def head_of_a_get_route(web):
    response = client(web, app_with_a_route(web)).head("/")
    return response.status_code, response.headers.get("allow")


@differs("http://testserver/items/", "/items/")
def redirect_of_a_slash(web):
    app = app_with_a_route(web, "/items/")
    return client(web, app).get("/items", follow_redirects=False).headers["location"]


@differs(["own"], ["parameter", "own"])
def background_tasks_beside_a_response_with_its_own(web):
    app, ran = web.App(), []

    @app.get("/")
    def read(tasks: web.BackgroundTasks):
        tasks.add_task(ran.append, "parameter")
        own = web.BackgroundTasks()
        own.add_task(ran.append, "own")
        return web.module("responses").PlainTextResponse("", background=own)

    client(web, app).get("/")
    return ran


@differs((500, "Internal Server Error"), (401, '{"detail":"no"}'))
def http_exception_in_a_middleware(web):
    app = app_with_a_route(web)

    @app.middleware("http")
    async def refuse(request, call_next):
        raise web.HTTPException(401, "no")

    response = client(web, app).get("/")
    return response.status_code, response.text


@differs(200, 404)
def route_added_to_a_router_after_it_was_included(web):
    app, router = web.App(), web.APIRouter()
    app.include_router(router, prefix="/r")
    router.add_api_route("/late", lambda: {})
    return client(web, app).get("/r/late").status_code


@differs(None, "DependencyError")
def parameter_of_the_path_that_nobody_takes(web):
    try:
        app_with_a_route(web, "/{name}")
    except TypeError as exc:
        return type(exc).__name__
    return None


class NoModel:
    """No type that a request can give."""


@differs("declared", "built")
def type_that_nobody_can_read(web):
    app = web.App()

    def read(it: NoModel):
        return {}

    try:
        app.add_api_route("/", read)
    except Exception:
        return "declared"
    try:
        client(web, app, raise_server_exceptions=True).get("/")
    except TypeError:
        return "built"
    return None


@differs(('{"detail":"no"}', 200), ("no", 404))
def application_of_plain_routes_alone(web):
    async def refuse(request):
        raise web.HTTPException(400, "no")

    asking = client(web, web.App(routes=[web.Route("/", refuse)]))
    return asking.get("/").text, asking.get("/openapi.json").status_code


@differs("PT1M30S", "PT90S")
def duration_of_a_dataclass(web):
    @dataclasses.dataclass
    class Pause:
        seconds: dt.timedelta

    app = web.App()
    app.add_api_route("/", lambda: Pause(dt.timedelta(seconds=90)), response_model=Pause)
    return client(web, app).get("/").json()["seconds"]


# -- dependencies and credentials --------------------------------------------------------------

_variable = contextvars.ContextVar("variable", default="unset")


@differs(["unset"], ["set"])
def variable_that_a_sync_dependency_set(web):
    app, seen = web.App(), []

    def sets():
        _variable.set("set")

    @app.get("/", dependencies=[web.Depends(sets)])
    async def read():
        seen.append(_variable.get())

    client(web, app).get("/")
    return seen


@differs("FastAPIError", "SwallowedError")
def error_that_a_dependency_swallows(web):
    app = web.App()

    async def swallows():
        try:
            yield
        except LookupError:
            pass

    @app.get("/", dependencies=[web.Depends(swallows)])
    async def read():
        raise LookupError

    try:
        client(web, app, raise_server_exceptions=True).get("/")
    except Exception as exc:
        return type(exc).__name__
    return None


@differs("a", 401)
def two_headers_of_authorization(web):
    app = web.App()
    bearer = web.module("security").HTTPBearer()

    @app.get("/")
    def read(given: Annotated[Any, web.Depends(bearer)]):
        return given.credentials

    both = [("authorization", "Bearer a"), ("authorization", "Bearer b")]
    response = client(web, app).get("/", headers=both)
    return response.json() if response.status_code == 200 else response.status_code


@differs(True, False)
def credentials_are_models_of_pydantic(web):
    return issubclass(web.module("security").HTTPBasicCredentials, pydantic.BaseModel)


# -- the pages ---------------------------------------------------------------------------------


@differs(False, True)
def route_of_ones_own_at_the_path_of_a_page(web):
    return client(web, app_with_a_route(web, "/docs")).get("/docs").text == "{}"


@differs(True, False)
def pages_load_from_a_cdn(web):
    return "https://cdn." in client(web, web.App()).get("/docs").text


@differs(4, 0)
def routes_of_pages_before_the_application_is_built(web):
    return len(web.App().routes)

"""Documents of whole programs: FastAPI's for the same program, and valid ones for all others."""

import dataclasses
import datetime as dt
import decimal
import enum
import uuid
import warnings
from collections.abc import AsyncIterable, Iterable
from typing import Annotated, Any, Generic, Literal, TypeVar

import fastapi
import fastapi.responses
import fastapi.security
import fastapi.sse
import msgspec
import openapi_spec_validator
import pydantic
import pytest

import lamella
import lamella.responses
import lamella.routing
import lamella.security
import lamella.sse
from lamella.middleware import Middleware
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.openapi.document import (
    Components,
    Document,
    Info,
    MediaType,
    Operation,
    Parameter,
    Response,
)
from lamella.openapi.utils import get_openapi
from lamella.routing import APIRoute, Mount, Route, WebSocketRoute
from lamella.testclient import TestClient

D = decimal.Decimal


class Kind(enum.Enum):
    BIG = "big"
    SMALL = "small"


class Price(pydantic.BaseModel):
    """What it costs.\fNot for clients."""

    amount: D
    currency: Literal["EUR", "USD"] = "EUR"


class Item(pydantic.BaseModel):
    model_config = {"json_schema_extra": {"examples": [{"name": "a", "note": None}]}}

    name: str = pydantic.Field(examples=["a"], max_length=9)
    kind: Kind = Kind.BIG
    price: Price | None = None
    tags: set[str] = set()
    note: str | None = None


class Cat(pydantic.BaseModel):
    kind: Literal["cat"]


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]


class Filters(pydantic.BaseModel):
    model_config = {"extra": "forbid"}

    limit: int = pydantic.Field(100, gt=0, le=100, description="How many.")
    order_by: Literal["name", "price"] = "name"
    tags: list[str] = []
    since: dt.datetime | None = pydantic.Field(None, alias="sinceWhen", deprecated=True)


class ByName(pydantic.BaseModel):
    model_config = {"validate_by_alias": False, "validate_by_name": True}

    some_name: str = pydantic.Field("", alias="unused")
    other_name: str = pydantic.Field("", validation_alias=pydantic.AliasChoices("o-n", "other"))


class Extra(pydantic.BaseModel):
    c: int


@dataclasses.dataclass
class Event:
    number: int
    at: dt.datetime
    item: Item | None = None


def named_by_its_tag(route):
    return f"{route.tags[0]}-{route.name}"


class Framework:
    """The same names from FastAPI and from lamella."""

    def __init__(self, package, application):
        self.App = application
        self.APIRouter = package.APIRouter if package is fastapi else lamella.routing.APIRouter
        for name in ("Body", "Cookie", "Depends", "File", "Form", "Header", "Path", "Query"):
            setattr(self, name, getattr(package, name))
        self.Security, self.UploadFile = package.Security, package.UploadFile
        self.security, self.sse, self.responses = package.security, package.sse, package.responses


FRAMEWORKS = [Framework(fastapi, fastapi.FastAPI), Framework(lamella, lamella.Lamella)]


def parameters(api):
    app = api.App(title="Parameters")

    def paging(skip: int = 0, limit: Annotated[int, api.Query(le=9)] = 5, first: str = "x"): ...

    def nested(
        again: Annotated[Any, api.Depends(paging)],
        paging: Annotated[Any, api.Depends(paging)],
        session: Annotated[str | None, api.Cookie(alias="session-id")] = None,
    ): ...

    @app.get("/items/{item_id}", tags=["a", Kind.BIG], deprecated=True)
    async def read_item(
        item_id: Annotated[uuid.UUID, api.Path(title="The id", description="Of the item.")],
        kind: Kind,
        nested: Annotated[Any, api.Depends(nested)],
        first: str,
        x_token: Annotated[list[str] | None, api.Header()] = None,
        q: Annotated[str | None, api.Query(alias="item-query", pattern="^a")] = None,
        hidden: Annotated[str | None, api.Query(include_in_schema=False)] = None,
        shown: Annotated[
            int, api.Query(openapi_examples={"one": {"value": 1, "summary": None}})
        ] = 1,
    ) -> Item:
        """Read an item.

        In full.
        \fNot for clients.
        """

    @app.get("/filtered/{path:path}")
    async def filtered(
        path: str,
        filters: Annotated[Filters, api.Query()],
        headers: Annotated[Filters, api.Header()],
        plain: Annotated[Filters, api.Header(convert_underscores=False)],
        cookies: Annotated[Extra | None, api.Cookie()] = None,
    ): ...

    @app.get("/by-name")
    async def by_name(
        headers: Annotated[ByName, api.Header()], query: Annotated[ByName, api.Query()]
    ): ...

    @app.get("/nothing", include_in_schema=False)
    async def nothing(q: int): ...

    @app.get("/only-hidden")
    async def only_hidden(q: Annotated[int, api.Query(include_in_schema=False)]): ...

    @app.options("/items", summary="Options", description="Own.", operation_id="own_id")
    async def options(item: Item): ...

    return app


def bodies(api):
    app = api.App(title="Bodies", summary="s", description="d", version="7")

    def from_dependency(z: Annotated[str, api.Body()], q: str = "1"): ...

    @app.post("/whole")
    async def whole(item: Item): ...

    @app.post("/described")
    async def described(
        item: Annotated[
            Item, api.Body(description="d", openapi_examples={"a": {"value": {"name": None}}})
        ],
    ): ...

    @app.post("/optional")
    async def optional(item: Item | None = None) -> Item | None: ...

    @app.put("/embedded")
    async def embedded(item: Annotated[Item, api.Body(embed=True)]): ...

    @app.put("/none-required")
    async def none_required(
        a: Annotated[str, api.Body(media_type="a/b")] = "", b: Annotated[str, api.Body()] = ""
    ): ...

    @app.put("/several/{n}")
    async def several(
        n: int,
        d: Annotated[Any, api.Depends(from_dependency)],
        item: Item,
        other: Item | None = None,
        importance: Annotated[int, api.Body(gt=0, title="T")] = 1,
    ): ...

    @app.patch("/union")
    async def union(pet: Annotated[Cat | Dog, api.Body(discriminator="kind")]) -> Cat | Dog: ...

    @app.delete("/list")
    async def lists(items: list[Item], weights: dict[int, float]) -> dict[str, list[Item]]: ...

    @app.post("/limited")
    async def limited(items: Annotated[list[Item], api.Body(min_length=2)]): ...

    @app.post("/default")
    async def default(items: list[Item] = [Item(name="a", price=Price(amount=D(1)))]): ...

    @app.post("/dataclass")
    async def dataclass(event: Event) -> list[Event]: ...

    @app.post("/media")
    async def media(text: Annotated[str, api.Body(media_type="text/plain")]): ...

    @app.post("/no-json")
    async def no_json(
        a: Annotated[str, api.Body(media_type="a/b")], b: Annotated[str, api.Body(media_type="a/b")]
    ): ...

    return app


def forms(api):
    app = api.App(title="Forms")
    File, Form, UploadFile = api.File, api.Form, api.UploadFile

    @app.post("/fields")
    async def fields(
        user: Annotated[str, Form()], password: Annotated[str, Form(min_length=3)]
    ): ...

    @app.post("/model")
    async def model(data: Annotated[Filters, Form()]): ...

    @app.post("/optional-model")
    async def optional_model(data: Annotated[Extra | None, Form()] = None): ...

    @app.post("/required-or-none")
    async def required_or_none(data: Annotated[Extra | Cat | None, Form()]): ...

    @app.post("/closed-or-none")
    async def closed_or_none(data: Annotated[Filters | None, Form()] = None): ...

    @app.post("/models")
    async def models(
        a: Annotated[Extra, Form()],
        x: Annotated[int, Form()],
        file: UploadFile,
        b: Annotated[Filters | None, Form()] = None,
        c: Annotated[Cat | None, Form(title="C")] = None,
    ): ...

    @app.post("/union")
    async def union(data: Annotated[Extra | Cat, Form()]): ...

    def same_file(content: Annotated[bytes, File(alias="file")]): ...

    @app.post("/one-name")
    async def one_name(
        data: Annotated[Extra, Form()],
        file: UploadFile,
        same: Annotated[Any, api.Depends(same_file)],
    ): ...

    @app.post("/discriminated")
    async def discriminated(
        data: Annotated[Dog | Cat, Form(discriminator="kind")], n: Annotated[int, Form()] = 1
    ): ...

    @app.post("/file")
    async def file(
        a: Annotated[bytes, File(description="A file.")],
        b: UploadFile | None = None,
        c: list[UploadFile] = [],
        d: Annotated[list[bytes] | None, File()] = None,
        text: Annotated[str, Form()] = "",
    ): ...

    @app.post("/multipart")
    async def multipart(text: Annotated[str, Form(media_type="multipart/form-data")]): ...

    return app


def responses(api):
    app = api.App(title="Responses", responses={404: {"description": "Not there"}})
    HTML, Redirect = api.responses.HTMLResponse, api.responses.RedirectResponse

    class Odd(api.responses.Response):
        media_type = "application/x-odd"

    class OddJSON(api.responses.JSONResponse):
        media_type = "application/vnd.odd+json"

    @app.get("/created", status_code=201, response_description="Made")
    async def created() -> Item: ...

    @app.delete("/gone", status_code=204)
    async def gone(n: int) -> None: ...

    @app.get("/html", response_class=HTML)
    async def html() -> str: ...

    @app.get("/redirect", response_class=Redirect)
    async def redirect(): ...

    @app.get("/redirect-302", response_class=Redirect, status_code=302)
    async def redirect_302(): ...

    @app.get("/odd", response_class=Odd)
    async def odd(): ...

    @app.get("/odd-json", response_class=OddJSON, responses={400: {"model": Extra}})
    async def odd_json() -> Item: ...

    @app.get("/no-media", response_class=api.responses.Response, responses={400: {"model": Extra}})
    async def no_media(): ...

    @app.get("/file", response_class=api.responses.FileResponse)
    async def file(): ...

    @app.get("/model", response_model=list[Item], response_model_exclude={"price"})
    async def model() -> Any: ...

    @app.get("/none", response_model=None)
    async def none() -> Item: ...

    @app.get("/response")
    async def response() -> HTML: ...

    @app.get(
        "/more",
        responses={
            200: {"content": {"image/png": {}}, "description": "A picture"},
            404: {"model": Extra},
            "4XX": {"model": Price, "description": "Refused"},
            "5XX": {},
            "default": {"model": dict[str, int]},
            418: {"headers": {"x": {"schema": {"type": "string"}}}},
            499: {},
            409: {"model": Extra, "content": {"application/json": {"schema": {"x-own": 1}}}},
        },
    )
    async def more(q: int) -> Item: ...

    @app.get("/own-422", responses={422: {"model": Extra}})
    async def own_422(q: int): ...

    @app.get(
        "/extra",
        tags=["a"],
        openapi_extra={
            "x-own": [1],
            "tags": ["b"],
            "parameters": [{"in": "header", "name": "x", "schema": {"type": "string"}}],
            "responses": {"200": {"content": {"application/json": {"schema": {"title": "Own"}}}}},
        },
    )
    async def extra(q: int) -> list[Item]: ...

    @app.get("/not-extra")
    async def not_extra() -> list[Item]: ...

    return app


def streams(api):
    app = api.App(title="Streams")

    @app.get("/lines")
    async def lines() -> AsyncIterable[Item]:
        yield

    @app.get("/plain-lines")
    def plain_lines() -> Iterable[int]:
        yield 1

    @app.get("/any-lines")
    async def any_lines():
        yield

    @app.get("/events", response_class=api.sse.EventSourceResponse)
    async def events() -> AsyncIterable[Item]:
        yield

    @app.post("/own-events", response_class=api.sse.EventSourceResponse)
    async def own_events(item: Item) -> AsyncIterable[api.sse.ServerSentEvent]:
        yield

    @app.get("/any-events", response_class=api.sse.EventSourceResponse, status_code=201)
    def any_events():
        yield

    @app.get("/raw", response_class=api.responses.StreamingResponse)
    async def raw() -> AsyncIterable[str]:
        yield ""

    return app


def credentials(api):
    app = api.App(title="Credentials")
    security = api.security
    password = security.OAuth2PasswordBearer(tokenUrl="token", scopes={"me": "Own", "items": "All"})
    code = security.OAuth2AuthorizationCodeBearer(
        authorizationUrl="a", tokenUrl="t", refreshUrl="r"
    )
    key = security.APIKeyHeader(name="x-key", description="The key.")
    schemes = [
        security.HTTPBasic(realm="r"),
        security.HTTPBearer(bearerFormat="JWT"),
        security.HTTPDigest(scheme_name="Own"),
        security.APIKeyQuery(name="q"),
        security.APIKeyCookie(name="c"),
        security.OpenIdConnect(openIdConnectUrl="/id"),
        code,
    ]

    def user(token: Annotated[str, api.Security(password, scopes=["user"])]): ...

    def active(user: Annotated[Any, api.Security(user, scopes=["me"])], q: int = 0): ...

    @app.get("/me", dependencies=[api.Depends(key)])
    async def me(user: Annotated[Any, api.Security(active, scopes=["items", "me"])]): ...

    @app.get("/token")
    async def token(token: Annotated[str, api.Depends(password)]): ...

    for index, scheme in enumerate(schemes):

        async def read(found: Annotated[Any, api.Security(scheme)]): ...

        app.get(f"/{index}")(read)

    return app


def routers(api):
    app = api.App(
        title="Routers",
        terms_of_service="terms",
        contact={"name": "n", "url": "https://e.example/x", "email": "a@e.example"},
        license_info={"name": "MIT", "identifier": "MIT"},
        openapi_tags=[{"name": "a", "externalDocs": {"url": "https://e.example/d"}}],
        openapi_external_docs={"url": "https://e.example/docs", "description": "more"},
        servers=[{"url": "/v1", "description": "here"}],
        separate_input_output_schemas=False,
    )

    def header(x_token: Annotated[str, api.Header()]): ...

    inner = api.APIRouter(
        prefix="/inner", tags=["inner"], generate_unique_id_function=named_by_its_tag
    )

    @inner.get("/{n}", responses={403: {"description": "Refused"}})
    async def inner_read(n: int): ...

    @inner.post("/", callbacks=None)
    async def inner_write(price: Price) -> Price: ...

    notes = api.APIRouter()

    @notes.post("{$callback_url}/notes/{$request.body.id}", response_model=Extra)
    def noted(body: Item): ...

    @app.post("/called", callbacks=notes.routes)
    async def called(callback_url: pydantic.HttpUrl | None = None): ...

    @app.webhooks.post("new-item")
    async def new_item(body: Item, key: Annotated[Any, api.Depends(api.security.HTTPBearer())]): ...

    app.include_router(
        inner, prefix="/outer", tags=["outer"], dependencies=[api.Depends(header)], deprecated=True
    )
    app.include_router(inner, prefix="/hidden", include_in_schema=False)
    app.mount("/mounted", api.App(title="Mounted"))
    return app


PROGRAMS = [parameters, bodies, forms, responses, streams, credentials, routers]


def documents(program):
    with warnings.catch_warnings():
        # Two deliberately open parts of one router have the same ids there.
        warnings.filterwarnings("ignore", message="Duplicate Operation ID")
        return [program(framework).openapi() for framework in FRAMEWORKS]


def validate(document):
    """By the specification; by its version 3.2 if there are streams, which 3.1 has no word for."""
    if "itemSchema" in str(document):
        document = {**document, "openapi": "3.2.0"}
    openapi_spec_validator.validate(document)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_document_is_fastapis(program):
    expected, found = documents(program)
    assert expected["paths"].keys() == found["paths"].keys()
    for path, item in expected["paths"].items():
        assert (path, item) == (path, found["paths"][path])
    assert expected == found


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_document_is_valid(program):
    _, found = documents(program)
    validate(found)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_types_name_all_that_a_document_has(program):
    _, found = documents(program)
    assert found.keys() <= Document.__annotations__.keys()
    assert found["info"].keys() <= Info.__annotations__.keys()
    assert found["components"].keys() <= Components.__annotations__.keys()
    for operation in (one for item in found["paths"].values() for one in item.values()):
        own = operation.keys() - {"x-own"}
        assert own <= Operation.__annotations__.keys()
        for parameter in operation.get("parameters", []):
            assert parameter.keys() <= Parameter.__annotations__.keys()
        for response in operation["responses"].values():
            assert response.keys() <= Response.__annotations__.keys()
            for media in response.get("content", {}).values():
                assert media.keys() <= MediaType.__annotations__.keys()


# -- what FastAPI does not have --------------------------------------------------------------------

T = TypeVar("T")


class Line(msgspec.Struct):
    sku: Annotated[str, msgspec.Meta(pattern="^[A-Z]+$", examples=["ABC"])]
    count: Annotated[int, msgspec.Meta(ge=1)] = 1


class Cart(msgspec.Struct, tag="cart"):
    lines: list[Line]
    price: D | None = None


class Gift(msgspec.Struct, tag="gift", rename="camel"):
    from_whom: str


class Page(msgspec.Struct, Generic[T]):
    items: list[T]
    next: str | None = None


class Search(msgspec.Struct, rename="kebab"):
    order_by: Annotated[str, msgspec.Meta(description="By which.")] = "name"
    limit: int = 10


def rich():
    app = lamella.Lamella(title="Rich", version="1")
    bearer = lamella.security.HTTPBearer()

    @app.post("/orders", status_code=201, dependencies=[lamella.Depends(bearer)])
    async def order(
        order: Cart | Gift, note: Annotated[Item | None, lamella.Body()] = None
    ) -> Page[Cart | Gift]: ...

    @app.get("/orders")
    async def search(
        search: Annotated[Search, lamella.Query()], headers: Annotated[Search, lamella.Header()]
    ) -> Page[Line]: ...

    @app.post("/form")
    async def form(search: Annotated[Search | None, lamella.Form()] = None): ...

    @app.get("/lines")
    async def lines() -> AsyncIterable[Line]:
        yield Line("A")

    @app.get("/events", response_class=lamella.sse.EventSourceResponse)
    async def events() -> AsyncIterable[Page[Item]]:
        yield Page([])

    return app


def test_the_document_of_several_families_is_valid():
    document = rich().openapi()
    validate(document)
    assert {
        "Body_order_orders_post",
        "Body_form_form_post",
        "Cart-Input",
        "Cart-Output",
        "Gift",
        "HTTPValidationError",
        "Item-Input",
        "Item-Output",
        "Kind",
        "Line",
        "Page_Item_",
        "Page_Line_",
        "Page_Union_Cart__Gift__",
        "Price-Input",
        "Price-Output",
        "Search",
        "ValidationError",
    } == document["components"]["schemas"].keys()


def operation_of(function, path="/", method="GET", **options):
    document = get_openapi(
        title="t", version="1", routes=[APIRoute(path, function, methods=[method], **options)]
    )
    return document["paths"][path][method.lower()]


def test_the_fields_of_a_struct_are_parameters():
    async def read(search: Annotated[Search, lamella.Query()]): ...

    assert [
        {
            "name": "order-by",
            "in": "query",
            "required": False,
            "schema": {
                "type": "string",
                "title": "Order-By",
                "description": "By which.",
                "default": "name",
            },
            "description": "By which.",
        },
        {
            "name": "limit",
            "in": "query",
            "required": False,
            "schema": {"type": "integer", "title": "Limit", "default": 10},
        },
    ] == operation_of(read)["parameters"]


def test_a_form_of_a_struct_may_be_absent():
    class Closed(msgspec.Struct, forbid_unknown_fields=True):
        a: int

    async def read(data: Annotated[Search | None, lamella.Form()] = None): ...

    async def closed(data: Annotated[Closed | None, lamella.Form()] = None): ...

    for function, absent in (
        (read, {"not": {"anyOf": [{"required": ["limit"]}, {"required": ["order-by"]}]}}),
        (closed, {"maxProperties": 0}),
    ):
        routes = [APIRoute("/", function, methods=["POST"])]
        document = get_openapi(title="t", version="1", routes=routes)
        (name,) = (n for n in document["components"]["schemas"] if n.startswith("Body_"))
        (condition,) = document["components"]["schemas"][name]["allOf"]
        assert absent == condition["anyOf"][0]


def test_what_meta_says_of_a_parameter_is_shown():
    async def read(n: Annotated[int, msgspec.Meta(description="d", title="T")]): ...

    (shown,) = operation_of(read)["parameters"]
    assert ("d", "T") == (shown["description"], shown["schema"]["title"])


def test_what_a_dependency_of_the_application_takes_is_not_asked_of_the_client():
    def settings(): ...

    async def read(made: Annotated[Any, lamella.Depends(settings, scope="app")], q: int): ...

    assert ["q"] == [one["name"] for one in operation_of(read)["parameters"]]


def test_head_is_shown_only_by_itself():
    """It comes with every GET."""

    async def read(): ...

    routes = [
        APIRoute("/both", read, methods=["GET"], name="both"),
        APIRoute("/alone", read, methods=["HEAD"], name="alone"),
    ]
    paths = get_openapi(title="t", version="1", routes=routes)["paths"]
    assert {"/both": ["get"], "/alone": ["head"]} == {path: [*item] for path, item in paths.items()}


def test_routes_that_are_not_typed_are_left_out():
    async def plain(request): ...

    routes = [
        Route("/plain", plain),
        WebSocketRoute("/ws", plain),
        Mount("/mounted", routes=[Route("/", plain)]),
        object(),
    ]
    assert {} == get_openapi(title="t", version="1", routes=routes)["paths"]


def test_methods_of_one_path_stand_together():
    async def read(): ...

    routes = [APIRoute("/", read, methods=[method]) for method in ("POST", "GET", "PUT")]
    assert ["post", "get", "put"] == [
        *get_openapi(title="t", version="1", routes=routes)["paths"]["/"]
    ]


def test_an_operation_id_that_stands_twice_is_warned_of():
    async def read(): ...

    routes = [APIRoute(path, read, operation_id="same") for path in ("/a", "/b")]
    with pytest.warns(UserWarning, match="Duplicate Operation ID same for function read at .*py"):
        get_openapi(title="t", version="1", routes=routes)


class User(msgspec.Struct):
    name: str


class Authenticate(BaseHTTPMiddleware):
    provides = User

    async def dispatch(self, request, call_next):
        return await call_next(request)


def test_what_a_layer_gives_is_not_asked_of_the_client():
    app = lamella.Lamella(middleware=[Middleware(Authenticate)])

    @app.post("/")
    async def read(user: User, line: Line): ...

    TestClient(app).get("/")
    body = app.openapi()["paths"]["/"]["post"]["requestBody"]
    assert "#/components/schemas/Line" == body["content"]["application/json"]["schema"]["$ref"]


def test_the_words_of_a_route_are_not_changed():
    """They may be used by others, and the document may be made again."""
    extra = {"responses": {"200": {"content": {"application/json": {"schema": {"x": 1}}}}}}
    responses = {404: {"model": Line, "content": {"application/json": {"schema": {"y": 1}}}}}

    async def read() -> Line: ...

    route = APIRoute("/", read, openapi_extra=extra, responses=responses)
    one, other = (get_openapi(title="t", version="1", routes=[route]) for _ in range(2))
    assert one == other
    schemas = [
        response["content"]["application/json"]["schema"]
        for response in one["paths"]["/"]["get"]["responses"].values()
    ]
    reference = {"$ref": "#/components/schemas/Line"}
    assert [{**reference, "x": 1}, {**reference, "y": 1}] == schemas
    assert {"responses": {"200": {"content": {"application/json": {"schema": {"x": 1}}}}}} == extra
    assert {"y": 1} == responses[404]["content"]["application/json"]["schema"]


@pytest.mark.parametrize("status", [404, "4XX", "default"])
def test_what_refuses_a_stream_of_events_is_json(status):
    """Unlike in FastAPI 0.165, whose document has it as an event stream, too."""

    async def events() -> AsyncIterable[int]:
        yield 1

    responses = operation_of(
        events,
        response_class=lamella.sse.EventSourceResponse,
        responses={200: {"model": Extra}, status: {"model": Extra}},
    )["responses"]
    assert ["text/event-stream"] == list(responses["200"]["content"])
    assert ["application/json"] == list(responses[str(status)]["content"])


def test_two_bodies_of_one_name_are_told_apart():
    """As where two routers make one operation id, which is warned of."""
    routes = []
    for kind in (int, str):

        async def read(a, b): ...

        read.__annotations__ = {
            "a": Annotated[kind, lamella.Body()],
            "b": Annotated[int, lamella.Body()],
        }
        routes.append(APIRoute(f"/{kind.__name__}", read, methods=["POST"], operation_id="same"))
    with pytest.warns(UserWarning, match="Duplicate"):
        document = get_openapi(title="t", version="1", routes=routes)
    assert {"Body_same", "Body_same__2"} < document["components"]["schemas"].keys()

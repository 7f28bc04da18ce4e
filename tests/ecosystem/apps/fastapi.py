"""FastAPI: dependencies, validation, forms, files, streams, websockets, the schema."""

from contextlib import asynccontextmanager
from typing import Annotated

import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Depends,
    FastAPI,
    File,
    Form,
    Header,
    HTTPException,
    Request,
    Response,
    UploadFile,
    WebSocket,
    WebSocketDisconnect,
)
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from fastapi.testclient import TestClient
from pydantic import BaseModel, Field


class Item(BaseModel):
    name: str
    price: float = Field(gt=0)


class Stored(Item):
    id: int


class OutOfStock(Exception):
    pass


@pytest.fixture
def log():
    return []


@pytest.fixture
def app(log, four_layers, tmp_path):
    @asynccontextmanager
    async def lifespan(app):
        log.append("start")
        yield {"greeting": "hello"}
        log.append("stop")

    app = FastAPI(lifespan=lifespan, middleware=four_layers)
    router = APIRouter(prefix="/items", tags=["items"])

    async def session():
        log.append("open")
        try:
            yield "session"
        except OutOfStock:
            log.append("rolled back")
            raise
        finally:
            log.append("close")

    Session = Annotated[str, Depends(session)]

    @router.get("/{item_id}", response_model=Item)
    def read(item_id: int, session: Session, x_visitor: Annotated[str, Header()] = "nobody"):
        if item_id == 404:
            raise HTTPException(404, "no such item", headers={"x-why": "absent"})
        return {"name": f"{session} of {x_visitor}", "price": 1, "secret": "kept"}

    @router.post("/", status_code=201)
    async def create(item: Item, tasks: BackgroundTasks, response: Response) -> Stored:
        tasks.add_task(log.append, f"stored {item.name}")
        response.headers["location"] = "/items/7"
        return Stored(id=7, **item.model_dump())

    @router.post("/{item_id}/order")
    async def order(item_id: int, session: Session):
        raise OutOfStock

    app.include_router(router)

    @app.exception_handler(OutOfStock)
    async def out_of_stock(request: Request, exc: OutOfStock):
        return JSONResponse({"detail": "sold"}, status_code=409)

    @app.post("/form")
    async def form(note: Annotated[str, Form()], files: Annotated[list[UploadFile], File()]):
        return {"note": note, "files": {f.filename: len(await f.read()) for f in files}}

    @app.get("/stream")
    async def stream(session: Session):
        async def numbers():
            for number in range(3):
                yield f"{number} {session}\n"
            log.append("streamed")

        return StreamingResponse(numbers(), media_type="text/plain")

    @app.get("/greeting")
    async def greeting(request: Request):
        return {"greeting": request.state.greeting, "url": str(request.url_for("greeting"))}

    @app.post("/echo")
    async def echo(body: Annotated[dict, Body()], request: Request):
        return {"again": await request.json(), "body": body}

    @app.get("/broken")
    async def broken():
        raise RuntimeError("broken")

    @app.websocket("/talk/{room}")
    async def talk(websocket: WebSocket, room: str, session: Session, token: str = "none"):
        await websocket.accept(subprotocol="chat")
        await websocket.send_json({"room": room, "token": token, "session": session})
        try:
            while True:
                await websocket.send_text(f"you said {await websocket.receive_text()}")
        except WebSocketDisconnect as exc:
            log.append(("left", exc.code))

    (tmp_path / "a.txt").write_text("file")
    app.mount("/static", StaticFiles(directory=tmp_path))

    inner = FastAPI()

    @inner.get("/where")
    async def where(request: Request):
        return {"root_path": request.scope["root_path"], "url": str(request.url_for("where"))}

    app.mount("/inner", inner)
    return app


@pytest.fixture
def client(app):
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_dependencies_and_the_response_model(client, passed, log):
    response = passed(client.get("/items/3", headers={"x-visitor": "ann"}), visitor="ann")
    assert (200, {"name": "session of ann", "price": 1.0}) == (
        response.status_code,
        response.json(),
    )
    assert ["start", "open", "close"] == log


def test_validation_of_parameters_and_body(client, passed):
    assert 422 == passed(client.get("/items/x")).status_code
    response = client.post("/items/", json={"name": "pen", "price": 0})
    assert (422, ["body", "price"]) == (response.status_code, response.json()["detail"][0]["loc"])
    response = client.post("/items/", content=b"{", headers={"content-type": "application/json"})
    assert (422, "json_invalid") == (response.status_code, response.json()["detail"][0]["type"])


def test_a_background_task_runs_after_the_response(client, passed, log):
    response = client.post("/items/", json={"name": "pen", "price": 2})
    assert (201, "/items/7") == (response.status_code, response.headers["location"])
    assert {"id": 7, "name": "pen", "price": 2.0} == passed(response, body_size=24).json()
    assert "stored pen" == log[-1]


def test_http_exceptions_and_handlers(client, passed, log):
    response = passed(client.get("/items/404"))
    assert (404, {"detail": "no such item"}, "absent") == (
        response.status_code,
        response.json(),
        response.headers["x-why"],
    )
    response = passed(client.post("/items/3/order"))
    assert (409, {"detail": "sold"}) == (response.status_code, response.json())
    assert ["rolled back", "close"] == log[-2:]
    assert 404 == passed(client.get("/nowhere")).status_code
    assert 405 == passed(client.delete("/items/3")).status_code


def test_forms_and_files(client, passed):
    files = [("files", ("a.txt", b"abc", "text/plain")), ("files", ("b.bin", b"x" * 100_000))]
    response = client.post("/form", data={"note": "ö"}, files=files)
    assert {"note": "ö", "files": {"a.txt": 3, "b.bin": 100_000}} == response.json()
    assert int(response.headers["x-body-size"]) > 100_000
    assert 422 == client.post("/form", data={"note": "x"}).status_code


def test_streaming(client, passed, log):
    response = passed(client.get("/stream"))
    assert "0 session\n1 session\n2 session\n" == response.text
    assert ["streamed", "close"] == log[-2:]


def test_state_of_the_lifespan_and_urls(client, passed, log):
    response = passed(client.get("/greeting"))
    assert {"greeting": "hello", "url": "http://testserver/greeting"} == response.json()


def test_a_body_read_by_a_layer_is_there_for_all(client, passed):
    response = passed(client.post("/echo", json={"a": 1}), body_size=7)
    assert {"again": {"a": 1}, "body": {"a": 1}} == response.json()


def test_an_unhandled_error_is_a_500(client):
    assert (500, "Internal Server Error") == (
        client.get("/broken").status_code,
        client.get("/broken").text,
    )


def test_a_websocket(client, log):
    with client.websocket_connect("/talk/blue?token=t", subprotocols=["chat"]) as websocket:
        assert "chat" == websocket.accepted_subprotocol
        assert {"room": "blue", "token": "t", "session": "session"} == websocket.receive_json()
        websocket.send_text("hi")
        assert "you said hi" == websocket.receive_text()
        websocket.close(1001)
    assert ["start", "open", ("left", 1001), "close"] == log


def test_mounted_apps_and_static_files(client, passed):
    assert "file" == passed(client.get("/static/a.txt")).text
    assert {"root_path": "/inner", "url": "http://testserver/inner/where"} == passed(
        client.get("/inner/where")
    ).json()


def test_the_schema_and_its_pages(client, passed):
    schema = passed(client.get("/openapi.json")).json()
    assert {"/items/{item_id}", "/items/", "/form", "/echo"} <= set(schema["paths"])
    assert "Item" in schema["components"]["schemas"]
    assert "swagger-ui" in passed(client.get("/docs")).text
    assert 200 == passed(client.get("/redoc")).status_code


def test_the_lifespan_ends(app, log):
    with TestClient(app):
        pass
    assert ["start", "stop"] == log

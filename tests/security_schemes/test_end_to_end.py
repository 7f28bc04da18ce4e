"""Schemes as dependencies of a whole application."""

from typing import Annotated

import msgspec
import pytest

from lamella import Depends, HTTPException, Lamella, Security, WebSocket
from lamella.security import (
    JWT,
    APIKeyHeader,
    APIKeyQuery,
    HTTPBasic,
    HTTPBasicCredentials,
    HTTPBearer,
    JWTBearer,
    OAuth2PasswordBearer,
    OAuth2PasswordRequestForm,
    OAuth2PasswordRequestFormStrict,
    SecurityScopes,
)
from lamella.testclient import TestClient, WebSocketDenialResponse

jwt = JWT("s" * 32)


class Claims(msgspec.Struct):
    sub: str


login = OAuth2PasswordBearer(tokenUrl="token", scopes={"read": "Read.", "write": "Write."})
bearer = JWTBearer(jwt, Claims, scheme=login)
optional = HTTPBearer(auto_error=False)
app = Lamella()


@app.post("/token")
def token(form: Annotated[OAuth2PasswordRequestForm, Depends()]):
    if (form.username, form.password) != ("alice", "wonderland"):
        raise HTTPException(400, "Incorrect username or password")
    return {"access_token": jwt.encode(form.username, scopes=form.scopes), "token_type": "bearer"}


@app.post("/strict")
def strict(form: Annotated[OAuth2PasswordRequestFormStrict, Depends()]):
    return form.scopes


@app.get("/me")
async def me(claims: Annotated[Claims, Depends(bearer)]):
    return claims


async def reader(claims: Annotated[Claims, Security(bearer, scopes=["read"])]):
    return claims.sub


@app.get("/read")
async def read(name: Annotated[str, Security(reader)]):
    return name


@app.get("/write")
async def write(name: Annotated[str, Security(reader, scopes=["write"])], needed: SecurityScopes):
    return [name, needed.scope_str]


@app.get("/basic")
async def basic(credentials: Annotated[HTTPBasicCredentials, Depends(HTTPBasic(realm="r"))]):
    return [credentials.username, credentials.password]


@app.get("/key", dependencies=[Depends(APIKeyHeader(name="X-Key"))])
async def key():
    return "in"


@app.get("/optional")
async def maybe(credentials: Annotated[object, Depends(optional)]):
    return credentials is not None


@app.websocket("/ws")
async def socket(websocket: WebSocket, secret: Annotated[str, Depends(APIKeyQuery(name="key"))]):
    await websocket.accept()
    await websocket.send_text(secret)
    await websocket.close()


client = TestClient(app)


def headers_of(scope):
    form = {"username": "alice", "password": "wonderland", "scope": scope}
    answer = client.post("/token", data=form)
    assert 200 == answer.status_code
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


def test_a_password_makes_a_token_and_the_token_claims():
    assert {"sub": "alice"} == client.get("/me", headers=headers_of("")).json()


@pytest.mark.parametrize("path", ["/me", "/read", "/write", "/basic", "/key"])
def test_nobody_is_refused(path):
    answer = client.get(path)
    assert (401, {"detail": "Not authenticated"}) == (answer.status_code, answer.json())
    assert answer.headers["www-authenticate"] in ("Bearer", "APIKey", 'Basic realm="r"')


@pytest.mark.parametrize(
    ("path", "scope", "status", "challenge"),
    [
        ("/read", "read", 200, None),
        ("/read", "", 403, 'Bearer error="insufficient_scope", scope="read"'),
        ("/write", "read write", 200, None),
        ("/write", "write", 403, 'Bearer error="insufficient_scope", scope="write read"'),
        ("/write", "read", 403, 'Bearer error="insufficient_scope", scope="write read"'),
    ],
)
def test_scopes_are_gathered_on_the_way(path, scope, status, challenge):
    answer = client.get(path, headers=headers_of(scope))
    assert (status, challenge) == (answer.status_code, answer.headers.get("www-authenticate"))


def test_an_endpoint_sees_its_own_scopes_alone():
    assert ["alice", ""] == client.get("/write", headers=headers_of("read write")).json()


@pytest.mark.parametrize("form", [{}, {"grant_type": "other"}, {"grant_type": "password\n"}])
def test_the_strict_form_wants_its_grant_type(form):
    data = {"username": "a", "password": "b", "scope": "c d"} | form
    answer = client.post("/strict", data=data)
    assert 422 == answer.status_code
    assert [["body", "grant_type"]] == [error["loc"] for error in answer.json()["detail"]]
    assert ["c", "d"] == client.post("/strict", data=data | {"grant_type": "password"}).json()


def test_basic_and_keys_are_let_in():
    assert ["a", "b:c"] == client.get("/basic", auth=("a", "b:c")).json()
    assert "in" == client.get("/key", headers={"x-key": "any"}).json()
    assert not client.get("/optional").json()
    assert client.get("/optional", headers={"authorization": "bearer a"}).json()


def test_two_headers_are_refused_by_an_application():
    headers = [(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")]
    assert 401 == client.get("/me", headers=headers).status_code
    assert not client.get("/optional", headers=headers).json()


def test_a_websocket_is_refused_before_it_is_accepted():
    with client.websocket_connect("/ws?key=secret") as session:
        assert "secret" == session.receive_text()
    with pytest.raises(WebSocketDenialResponse) as caught, client.websocket_connect("/ws"):
        pass
    assert 401 == caught.value.status_code


def test_the_document_names_the_schemes():
    schemes = app.openapi()["components"]["securitySchemes"]
    assert login.model == schemes["OAuth2PasswordBearer"]
    assert {"type": "apiKey", "in": "header", "name": "X-Key"} == schemes["APIKeyHeader"]
    assert {"type": "http", "scheme": "basic"} == schemes["HTTPBasic"]
    write = app.openapi()["paths"]["/write"]["get"]
    assert [{"OAuth2PasswordBearer": ["read", "write"]}] == [
        {name: sorted(scopes) for name, scopes in one.items()} for one in write["security"]
    ]

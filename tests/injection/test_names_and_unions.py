"""Parameters under other names, and those that may be one thing or another."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import AliasChoices, BaseModel, Field

from lamella.applications import Lamella
from lamella.param_functions import Body, Form, Header, Path, Query
from lamella.responses import EventSourceResponse
from lamella.sse import EventSourceResponse as Defined
from lamella.testclient import TestClient


class Names(BaseModel):
    trace_id: str = Field(alias="p_alias")
    save_data: bool = False


class Person(BaseModel):
    kind: Literal["person"]
    name: str


class Company(BaseModel):
    kind: Literal["company"]
    company_name: str


def client_of(endpoint: Any, path: str = "/") -> TestClient:
    app = Lamella()
    app.add_api_route(path, endpoint, methods=["GET", "POST"])
    return TestClient(app)


def test_alias_in_a_header_model_is_the_very_name():
    """Underscores of fields are hyphens, those of an alias are what somebody wrote."""

    async def endpoint(names: Annotated[Names, Header()]) -> Names:
        return names

    reply = client_of(endpoint).get("/", headers={"p_alias": "x", "save-data": "true"})
    assert {"p_alias": "x", "save_data": True} == reply.json()


def test_parameter_may_have_several_names():
    async def endpoint(
        word: Annotated[str, Query(validation_alias=AliasChoices("one", "two"))],  # type: ignore[arg-type]
    ) -> str:
        return word

    client = client_of(endpoint)
    assert ["a", "b"] == [client.get("/?one=a").json(), client.get("/?two=b").json()]
    assert 422 == client.get("/?word=c").status_code


def test_path_parameter_may_have_another_name_in_the_path():
    async def endpoint(word: Annotated[str, Path(alias="wire")]) -> str:
        return word

    assert "a" == client_of(endpoint, "/{wire}").get("/a").json()


def test_null_is_no_absent_body():
    async def endpoint(number: Annotated[int, Body()] = 3) -> int:
        return number

    client = client_of(endpoint)
    assert 3 == client.post("/").json()
    assert 422 == client.post("/", content=b"null", headers=JSON).status_code


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"kind": "person", "name": "Ada"}, 200),
        ({"kind": "company", "company_name": "Acme"}, 200),
        ({"kind": "company"}, 422),
        ({"kind": "other"}, 422),
    ],
)
def test_form_is_one_model_or_another(data, status):
    async def endpoint(
        whom: Annotated[Person | Company, Form(discriminator="kind")],
    ) -> Person | Company:
        return whom

    reply = client_of(endpoint).post("/", data=data)
    assert status == reply.status_code
    assert status == 422 or data == reply.json()


def test_list_or_single_value_of_the_query():
    async def endpoint(q: Annotated[list[int] | int, Query()]) -> Any:
        return q

    assert [1, 2] == client_of(endpoint).get("/?q=1&q=2").json()


def test_response_of_events_is_found_among_the_responses():
    assert EventSourceResponse is Defined

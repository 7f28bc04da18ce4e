"""Answers to errors of typed applications."""

import json
from typing import Any

import pytest

from lamella.exception_handlers import (
    request_validation_exception_handler,
    request_validation_problem_handler,
)
from lamella.exceptions import RequestValidationError
from lamella.requests import Request
from tests.parity.drive import http_scope

pytestmark = pytest.mark.anyio

HANDLERS = {
    "detail": request_validation_exception_handler,
    "errors": request_validation_problem_handler,
}


async def answered(errors: list[Any], key: str = "detail") -> tuple[int, list[Any]]:
    """The size of an answer, and the errors in it."""
    response = await HANDLERS[key](Request(http_scope("/")), RequestValidationError(errors))
    assert response.status_code == 422
    return len(response.body), json.loads(response.body)[key]


def missing(name: str, whole: Any) -> dict[str, Any]:
    return {"type": "missing", "loc": ("body", name), "msg": "Field required", "input": whole}


@pytest.mark.parametrize("key", HANDLERS)
async def test_small_input_is_shown_with_each_error(key):
    whole = {"a": 1}
    _, errors = await answered([missing("b", whole), missing("c", whole)], key)
    assert [whole, whole] == [error["input"] for error in errors]
    assert ["type", "loc", "msg", "input"] == list(errors[0])


@pytest.mark.parametrize("key", HANDLERS)
async def test_large_input_is_not_repeated_for_each_field(key):
    """As FastAPI does: 50 MB for a body of 1 MB that lacks 50 fields."""
    whole = {"text": "x" * 1_000_000}
    size, errors = await answered([missing(str(number), whole) for number in range(50)], key)
    assert ([None] * 50, True) == ([error["input"] for error in errors], size < 20_000)


async def test_inputs_are_shown_while_there_is_room():
    """64 Ki characters in all, and then those that are small enough."""
    some, small = "x" * 30_000, "y"
    size, errors = await answered(
        [
            missing(str(number), value)
            for number, value in enumerate([some, some + "z", some + "zz", small])
        ]
    )
    assert [True, True, False, True] == [error["input"] is not None for error in errors]
    assert size < 70_000


async def test_many_large_inputs_are_not_all_looked_at(monkeypatch):
    """Each holds the next, so that to look at all of them would take quadratic time."""
    looked_at = []
    monkeypatch.setattr(
        "lamella.exception_handlers.encode",
        lambda content: looked_at.append(content) or "x" * 1024 * 1024,
    )
    await answered([missing(str(number), [number]) for number in range(50)])
    assert 4 == len(looked_at)


async def test_what_json_has_no_word_for_is_shown():
    """NaN as a parameter, bytes as a body."""
    _, errors = await answered([missing("a", float("nan")), missing("b", b"abc")])
    assert ["nan", "abc"] == [error["input"] for error in errors]


async def test_bytes_that_are_no_text_are_shown_all_the_same():
    """A body that is not declared as JSON is what came, whatever it is."""
    _, errors = await answered([missing("a", b"\xff\xfe"), missing("b", {"c": [b"\xc3"]})])
    assert ["\ufffd\ufffd", {"c": ["\ufffd"]}] == [error["input"] for error in errors]

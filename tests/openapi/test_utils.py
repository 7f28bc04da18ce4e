"""``get_openapi``: FastAPI's name and options."""

import inspect

import fastapi.openapi.utils
import pytest

from lamella.openapi.utils import OpenAPIOptions, get_openapi

OPTIONS = {
    "openapi_version": "3.1.1",
    "summary": "s",
    "description": "d",
    "terms_of_service": "t",
    "contact": {"name": "n", "url": None},
    "license_info": {"name": "MIT"},
    "tags": [{"name": "a", "description": None}],
    "servers": [{"url": "/v1"}],
    "external_docs": {"url": "https://e.example/docs"},
    "separate_input_output_schemas": False,
    "webhooks": [],
}


def test_all_options_of_fastapi_are_known():
    theirs = inspect.signature(fastapi.openapi.utils.get_openapi).parameters
    assert theirs.keys() - {"title", "version", "routes"} == OpenAPIOptions.__annotations__.keys()
    assert OPTIONS.keys() == OpenAPIOptions.__annotations__.keys()


@pytest.mark.parametrize("names", [[], list(OPTIONS), *([name] for name in OPTIONS)])
def test_what_is_said_of_the_application_is_said_as_in_fastapi(names):
    options = {name: OPTIONS[name] for name in names}
    expected = fastapi.openapi.utils.get_openapi(title="t", version="1", routes=[], **options)
    assert expected == get_openapi(title="t", version="1", routes=[], **options)


def test_what_is_none_or_empty_is_not_said():
    empty = dict.fromkeys(OPTIONS.keys() - {"openapi_version", "separate_input_output_schemas"})
    document = get_openapi(title="t", version="", routes=[], **{**empty, "tags": [], "contact": {}})
    assert {"openapi": "3.1.0", "info": {"title": "t", "version": ""}, "paths": {}} == document

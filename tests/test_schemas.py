"""``SchemaGenerator``: OpenAPI documents from docstrings."""

import functools
import subprocess
import sys

import pytest
import yaml

from lamella import schemas
from lamella.applications import Lamella
from lamella.exceptions import UsageError
from lamella.routing import Host, Mount, Route, Router
from lamella.schemas import BaseSchemaGenerator, EndpointInfo, OpenAPIResponse, SchemaGenerator
from tests.parity.drive import answer

BASE = {"openapi": "3.2.0", "info": {"title": "Shop", "version": "1"}}


def described(text, name="endpoint"):
    """An endpoint with a docstring."""

    def endpoint(request):
        raise NotImplementedError

    endpoint.__doc__ = text
    endpoint.__name__ = name
    return endpoint


USERS = described("responses:\n  200:\n    description: Users.")
ONE = described("""
    responses:
        200:
            description: A user.
            examples:
                {"name": "ann"}
    """)
WORDS = described("Give the users.")
BEHIND = described("Give them.\n\nArgs: none: at all\n\n---\n\nresponses:\n  204: {}\n")
GOOGLE = described("Give the user.\n\nArgs:\n    name: the user's: name\n")
NONE = described(None)


class Things:
    """An ASGI endpoint with a method for each HTTP method."""

    def get(self, request):
        """summary: Give things."""

    def post(self, request):
        """summary: Make a thing."""

    def query(self, request):
        """summary: Look for things."""

    def trace(self, request):
        """summary: Not asked for."""


def paths(*routes, base=BASE):
    """The operations of routes."""
    return SchemaGenerator(base).get_schema(list(routes))["paths"]


# --- documents


def test_document_has_the_base_and_the_operations():
    document = SchemaGenerator(BASE).get_schema([Route("/users", USERS)])
    operation = {"responses": {200: {"description": "Users."}}}
    assert {**BASE, "paths": {"/users": {"get": operation}}} == document


def test_parameters_lose_their_convertors():
    found = paths(Route("/u/{id:int}/f/{path:path}", ONE), Route("/x/{name}", ONE))
    assert ["/u/{id}/f/{path}", "/x/{name}"] == list(found)


def test_methods_of_a_function_are_operations_of_it_without_head():
    found = paths(Route("/users", USERS, methods=["GET", "POST", "QUERY", "delete"]))
    assert ["delete", "get", "post", "query"] == list(found["/users"])


def test_methods_of_a_class_are_operations_each():
    summaries = {
        method: info["summary"] for method, info in paths(Route("/t", Things))["/t"].items()
    }
    expected = {"get": "Give things.", "post": "Make a thing.", "query": "Look for things."}
    assert expected == summaries


def test_two_routes_of_one_path_share_it():
    found = paths(Route("/users", USERS), Route("/users", ONE, methods=["POST"]))
    assert {"get", "post"} == found["/users"].keys()


def test_mounts_and_hosts_are_looked_into():
    inner = Router(routes=[Route("/a", USERS)])
    found = paths(
        Mount("/{tenant:int}/sub", inner),
        Host("api.example.org", Router(routes=[Mount("/in", routes=[Route("/b", ONE)])])),
        Mount("/app", Lamella(routes=[Route("/c", ONE)])),
        Mount("/foreign", lambda scope, receive, send: None),
    )
    assert ["/{tenant}/sub/a", "/in/b", "/app/c"] == list(found)


def test_routes_may_stay_out():
    assert {} == paths(Route("/hidden", USERS, include_in_schema=False))


def test_endpoints_in_words_stay_out():
    """Those without a docstring, too."""
    assert {} == paths(Route("/a", WORDS), Route("/b", NONE), Route("/c", GOOGLE))


def test_yaml_stands_behind_dashes():
    assert {"/a": {"get": {"responses": {204: {}}}}} == paths(Route("/a", BEHIND))


def test_partial_function_has_the_docstring_of_the_function():
    assert {"get"} == paths(Route("/a", functools.partial(USERS)))["/a"].keys()


@pytest.mark.parametrize(
    ("version", "knows"),
    [("3.2.0", True), ("3.10", True), ("4.0", True), ("3.1.2", False), ("", False), (3.2, True)],
)
def test_query_is_an_operation_since_openapi_3_2(version, knows):
    found = paths(Route("/t", Things), base={"openapi": version})
    assert knows == ("query" in found["/t"])


def test_base_is_not_changed():
    """Asking again for other routes gives those alone."""
    base = {**BASE, "paths": {"/users": {"post": {"summary": "given"}}}}
    generator = SchemaGenerator(base)
    first = generator.get_schema([Route("/users", USERS), Route("/x", ONE)])
    assert ({"post", "get"}, {"/users", "/x"}) == (
        first["paths"]["/users"].keys(),
        first["paths"].keys(),
    )
    assert {"/users": {"post": {"summary": "given"}}} == base["paths"]
    assert {"/users"} == generator.get_schema([])["paths"].keys()


def test_endpoints_are_told_with_function_and_method():
    found = BaseSchemaGenerator().get_endpoints([Route("/{a:int}", USERS, methods=["PUT"])])
    assert [EndpointInfo("/{a}", "put", USERS)] == found
    assert ("/{a}", "put", USERS) == tuple(found[0])


def test_generator_of_ones_own_defines_the_document():
    class Paths(BaseSchemaGenerator):
        def get_schema(self, routes):
            return {"paths": [info.path for info in self.get_endpoints(routes)]}

    assert {"paths": ["/a"]} == Paths().get_schema([Route("/a", USERS)])
    with pytest.raises(NotImplementedError, match="BaseSchemaGenerator` .* must define"):
        BaseSchemaGenerator().get_schema([])


# --- docstrings


@pytest.mark.parametrize("text", [None, "", "Words.", "- a\n- list", "7", "---\n", "a: b: c"])
def test_docstring_that_is_no_mapping_is_nothing(text):
    assert {} == SchemaGenerator(BASE).parse_docstring(described(text))


def test_wrong_yaml_behind_dashes_names_the_endpoint():
    """It was meant, so it is not left out in silence."""
    with pytest.raises(
        ValueError, match="Expected YAML behind '---' in the docstring of `.*endpoint`"
    ):
        SchemaGenerator(BASE).parse_docstring(described("Words.\n---\na: b: c"))


# --- the response


def test_document_is_answered_as_yaml():
    generator = SchemaGenerator(BASE)

    async def schema(request):
        return generator.OpenAPIResponse(request=request)

    app = Lamella(
        routes=[Route("/users", USERS), Route("/schema", schema, include_in_schema=False)]
    )
    reply = answer(app, "/schema")
    assert "application/vnd.oai.openapi" == reply.headers["content-type"]
    assert generator.get_schema(app.routes) == yaml.safe_load(reply.text)
    assert reply.text.startswith("info:\n  title: Shop\n")


def test_document_has_to_be_a_dict():
    with pytest.raises(UsageError, match="Expected the OpenAPI document as a dict, got 'text'"):
        OpenAPIResponse("text")


# --- without PyYAML


def test_module_is_imported_without_pyyaml_and_says_what_to_install():
    """In one line that can be copied; what needs no YAML works."""
    code = """
import sys
sys.modules["yaml"] = None
from lamella.schemas import OpenAPIResponse, SchemaGenerator
assert {"paths": {}} == SchemaGenerator({}).get_schema([])
try:
    OpenAPIResponse({})
except ImportError as exc:
    print(exc)
SchemaGenerator({}).parse_docstring(SchemaGenerator)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=15)
    text = 'lamella.schemas needs PyYAML; install it with: pip install "lamella[schemas]"'
    assert text == done.stdout.strip()
    assert f"ImportError: {text}" == done.stderr.strip().splitlines()[-1]


def test_error_inside_pyyaml_is_not_hidden(monkeypatch):
    """It is installed, but something that it needs is not."""

    def broken(name):
        raise ModuleNotFoundError("No module named 'inner'", name="inner")

    schemas._yaml.cache_clear()
    monkeypatch.setattr(schemas.importlib, "import_module", broken)
    with pytest.raises(ModuleNotFoundError, match="inner"):
        OpenAPIResponse({})

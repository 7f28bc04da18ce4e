"""Settings and OpenAPI documents by Starlette and by lamella: the same values, the same errors."""

import functools
import operator

import pytest

from tests.parity.differences import check
from tests.parity.drive import ask
from tests.parity.frameworks import BOTH

FILE = (
    "# a comment = no setting\nPLAIN=value\n SPACED = some words \nURL=a=b?c=d\nEMPTY=\n"
    'SINGLE=\'say "hi"\'\nDOUBLE="it\'s"\nHALF="left\nONE="\nMIXED="a\'\nexport X=1\n=none\n'
    "NUMBER=7\nTRUE=True\nFALSE=0\nno setting\n  # INDENTED=1\nTAB\t=\tx\nTWICE=1\nTWICE=2\r\n"
)
KEYS = (
    *("PLAIN", "SPACED", "URL", "EMPTY", "SINGLE", "DOUBLE", "HALF", "ONE", "MIXED", "export X"),
    *("", "NUMBER", "TRUE", "FALSE", "# INDENTED", "TAB", "TWICE", "NOWHERE", "ENV", "no setting"),
)
CASTS = {
    "nothing": {},
    "int": {"cast": int},
    "bool": {"cast": bool},
    "list": {"cast": list},
    "default": {"default": "7"},
    "int default": {"cast": int, "default": "7"},
    "bool default": {"cast": bool, "default": True},
    "no default": {"cast": int, "default": None},
    "wrong default": {"cast": int, "default": "seven"},
}


def outcome(call):
    """What a call gives, or what it raises, as far as it tells the value."""
    try:
        return call()
    except (KeyError, ValueError) as exc:
        return type(exc).__name__, str(exc)


@pytest.mark.parametrize("cast", CASTS)
@pytest.mark.parametrize("key", KEYS)
def test_same_setting(tmp_path, key, cast):
    """From the environment, from the file, or the default."""
    path = tmp_path / ".env"
    path.write_bytes(FILE.encode())
    values = [
        outcome(lambda fw=fw: fw.Config(path, environ={"ENV": "env"})(key, **CASTS[cast]))
        for fw in BOTH
    ]
    name = "raises" if isinstance(values[0], tuple) else "gives"
    check(f"setting {name} {key} {cast}", *values)


@pytest.mark.parametrize("change", [operator.setitem, lambda env, key, value: env.pop(key)])
@pytest.mark.parametrize("look", ["get", "in", "nothing"])
@pytest.mark.parametrize("there", [False, True])
def test_same_guard_of_the_environment(change, look, there):
    """What was looked at can be changed no more, whether it was there or not."""

    def guarded(fw):
        env = fw.Environ({"A": "1"} if there else {})
        looks = {"get": lambda: env.get("A"), "in": lambda: "A" in env, "nothing": lambda: None}
        looks[look]()
        try:
            change(env, "A", "2")
        except Exception as exc:
            return type(exc).__name__
        return dict(env)

    theirs, ours = map(guarded, BOTH)
    assert theirs == ours


def described(text):
    """An endpoint with a docstring."""

    def endpoint(request):
        raise NotImplementedError

    endpoint.__doc__ = text
    return endpoint


class Things:
    """An endpoint with methods."""

    def get(self, request):
        """summary: Give things."""

    def query(self, request):
        """summary: Look for things."""


DOCSTRINGS = {
    "yaml": "responses:\n  200:\n    description: ok\n",
    "indented": "\n    responses:\n        200: {}\n    ",
    "behind words": "Words: and: more.\n\n---\n\nsummary: x\n",
    "behind dashes twice": "a\n---\nb: 1\n---\nc: 2\n",
    "words": "Just words.",
    "key": "Note: words",
    "list": "- a",
    "nothing": None,
    "empty": "",
    "google": "Give it.\n\nArgs:\n    name: a: b\n",
    "wrong": "Words.\n---\na: b: c",
}


CASES = [
    *(f"setting raises {key} {cast}" for key in KEYS for cast in CASTS),
    *(f"docstring {name}" for name in DOCSTRINGS),
    "document of a partial",
    "document asked twice",
]


@pytest.mark.parametrize("name", DOCSTRINGS)
def test_same_description(name):
    """Of one endpoint."""

    def parsed(fw):
        try:
            return fw.SchemaGenerator({}).parse_docstring(described(DOCSTRINGS[name]))
        except Exception as exc:
            return type(exc).__name__

    check(f"docstring {name}", *map(parsed, BOTH))


@pytest.mark.parametrize("version", ["3.2.0", "3.1.0", "", None, 3.2])
def test_same_document(version):
    """Of routes of every kind."""

    def document(fw):
        one = described("summary: one")
        routes = [
            fw.Route("/a/{id:int}", one, methods=["GET", "POST", "HEAD"]),
            fw.Route("/a/{id:int}", one, methods=["QUERY"]),
            fw.Route("/things", Things),
            fw.Route("/words", described("words")),
            fw.Route("/hidden", one, include_in_schema=False),
            fw.Mount("/in/{x:path}", routes=[fw.Route("/b", one)]),
            fw.Host("api.example.org", fw.Router(routes=[fw.Route("/c", one)])),
            fw.Mount("/foreign", lambda scope, receive, send: None),
        ]
        base = {"openapi": version, "info": {"title": "t"}}
        return fw.SchemaGenerator(base).get_schema(routes)

    theirs, ours = map(document, BOTH)
    assert theirs == ours


def test_same_answer_with_the_document():
    """To the byte."""

    def answered(fw):
        generator = fw.SchemaGenerator({"openapi": "3.1.0", "info": {"title": "ä"}})

        async def schema(request):
            return generator.OpenAPIResponse(request)

        routes = [fw.Route("/a", described("b: 1\na: [x]")), fw.Route("/schema", schema)]
        return ask(fw.Starlette(routes=routes), "/schema").seen()

    theirs, ours = map(answered, BOTH)
    assert theirs == ours


def test_same_document_of_a_partial():
    """Which has no docstring of its own."""

    def document(fw):
        endpoint = functools.partial(described("summary: x"))
        return fw.SchemaGenerator({}).get_schema([fw.Route("/a", endpoint)])

    check("document of a partial", *map(document, BOTH))


def test_same_document_asked_twice():
    """Other routes, the same generator, paths in its base."""

    def documents(fw):
        generator = fw.SchemaGenerator({"paths": {"/given": {}}})
        routes = [fw.Route("/a", described("summary: x"))]
        return generator.get_schema(routes), generator.get_schema([])

    check("document asked twice", *map(documents, BOTH))


def test_same_error_for_what_is_no_document():
    """An AssertionError."""
    for fw in BOTH:
        with pytest.raises(AssertionError):
            fw.OpenAPIResponse("text")

"""One set of templates on Starlette and on lamella: the same messages for the same pages."""

import pytest

from tests.parity.differences import check
from tests.parity.drive import ask
from tests.parity.frameworks import BOTH

TEMPLATES = {
    "page.html": "<p>{{ name }}</p>",
    "link.html": "{{ url_for('home') }} {{ url_for('user', name='a b') }}",
    "who.html": "{{ request.url }} {{ user }}",
    "raw.txt": "{{ name }}",
    "page.xml": "{{ name }}",
    "page.HTM": "{{ name }}",
    "page.svg": "{{ name }}",
    "page.html.j2": "{{ name }}",
    "page.jinja": "{{ name }}",
    "broken.html": "{% if %}",
}
CONTEXTS = {"none": None, "empty": {}, "named": {"name": "<&'\">", "user": "Ann"}}
LAYERS = ("", "passes", "passes passes")
CASES = [
    *(f"page {name} {context}" for name in TEMPLATES for context in CONTEXTS),
    "page context given twice",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The templates."""
    folder = tmp_path_factory.mktemp("templates")
    for name, text in TEMPLATES.items():
        (folder / name).write_text(text)
    return folder


def app_of(fw, folder, name, context, layers=""):
    """An application with one page."""
    templates = fw.Jinja2Templates(
        directory=folder, context_processors=[lambda request: {"added": request.url.path}]
    )

    async def endpoint(request):
        given = None if context is None else dict(context)
        return templates.TemplateResponse(request, name, given, headers={"x-one": "1"})

    async def user(request):
        raise NotImplementedError

    async def passes(request, call_next):
        return await call_next(request)

    return fw.Starlette(
        routes=[fw.Route("/", endpoint, name="home"), fw.Route("/u/{name}", user, name="user")],
        middleware=[fw.Middleware(fw.BaseHTTPMiddleware, dispatch=passes) for _ in layers.split()],
    )


def told(reply):
    """The answer, and what a test client is told of the page."""
    pages = [
        (message["info"]["template"].name, sorted(message["info"]["context"]))
        for message in reply.messages
        if message["type"] == "http.response.debug"
    ]
    reply.messages = [m for m in reply.messages if m["type"] != "http.response.debug"]
    return pages, reply.seen()


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("name", [*TEMPLATES, "none.html"])
def test_same_page(folder, name, context, layers):
    """With its message for test clients, under layers too."""
    extensions = {"http.response.debug": {}}
    answers = (
        told(ask(app_of(fw, folder, name, CONTEXTS[context], layers), "/", extensions=extensions))
        for fw in BOTH
    )
    check(f"page {name} {context} {layers}".strip(), *answers)


def test_same_page_where_no_message_is_offered(folder):
    """Nothing but the response."""
    theirs, ours = (ask(app_of(fw, folder, "page.html", {}), "/").seen() for fw in BOTH)
    assert theirs == ours


def test_same_context_given_twice(folder):
    """A dict that is a module's constant."""

    def pages(fw):
        templates = fw.Jinja2Templates(directory=folder)
        context = {"user": "Ann"}

        async def endpoint(request):
            return templates.TemplateResponse(request, "who.html", context)

        app = fw.Starlette(routes=[fw.Route("/{x}", endpoint)])
        return [ask(app, path).text for path in ("/1", "/2")]

    check("page context given twice", *map(pages, BOTH))


@pytest.mark.parametrize("arguments", [{}, {"directory": ""}, {"directory": []}])
def test_same_error_without_a_directory(arguments):
    """An AssertionError that tells what is missing."""
    for fw in BOTH:
        with pytest.raises(AssertionError, match="either 'directory' or 'env'"):
            fw.Jinja2Templates(**arguments)

"""Forms on both: the same fields, files, limits and answers."""

import asyncio
import importlib

import pytest

from tests.parity.differences import check, difference_of
from tests.parity.drive import ask, http_scope, raised
from tests.parity.frameworks import BOTH

MULTIPART = "multipart/form-data; boundary=B"
URLENCODED = "application/x-www-form-urlencoded"


def part(disposition='name="a"', content=b"v", *headers):
    """One part with the boundary before it."""
    lines = [f"Content-Disposition: form-data; {disposition}", *headers]
    return b"--B\r\n" + "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content + b"\r\n"


def whole(*parts):
    return b"".join(parts) + b"--B--\r\n"


def named(disposition):
    return whole(part(disposition))


ONE = whole(part())
FILE = 'name="f"; filename="f.txt"'
# Name to body, content type, and limits if there are any.
FORMS = {
    "field": (ONE, MULTIPART),
    "several": (whole(part(), part(), part('name="b"', b"\xc3\xa9")), MULTIPART),
    "file": (whole(part(FILE, b"\0\xff", "Content-Type: text/plain", "X-A:  b ")), MULTIPART),
    "files": (whole(part(FILE, b"1"), part(), part(FILE, b"")), MULTIPART),
    "empty file": (named('name="f"; filename=""'), MULTIPART),
    "no parts": (b"--B--\r\n", MULTIPART),
    "no bytes": (b"", MULTIPART),
    "line ends around": (b"\r\n\r\n" + ONE + b"\r\n", MULTIPART),
    "text after": (ONE + b"more", MULTIPART),
    "text before": (b"more\r\n" + ONE, MULTIPART),
    "no last line end": (ONE[:-2], MULTIPART),
    "line ends within": (whole(part(FILE, b"\r\n--\r\n-\r\r\n")), MULTIPART),
    "bare line feeds": (ONE.replace(b"\r\n", b"\n"), MULTIPART),
    "blanks after the boundary": (ONE.replace(b"--B\r\n", b"--B \r\n"), MULTIPART),
    "no name": (named('="a"'), MULTIPART),
    "token": (named("name=a; filename=f.txt"), MULTIPART),
    "blanks": (named(' name = "a" ; filename = "f.txt" '), MULTIPART),
    "escapes": (named('name="a\\"b\\\\c"'), MULTIPART),
    "percent": (named('name="a%22%0D"; filename="%22.txt"'), MULTIPART),
    "name twice": (named('name="a"; name="b"'), MULTIPART),
    "name*": (named("name=\"a\"; filename*=UTF-8''x.txt"), MULTIPART),
    "not UTF-8": (named('name="\xe9"; filename="\xe9.txt"'), MULTIPART),
    "IE6": (named('name="f"; filename="C:\\x\\f.txt"'), MULTIPART),
    "boundary in quotes": (ONE, 'multipart/form-data; boundary="B"'),
    "boundary in capitals": (ONE, "Multipart/Form-Data; BOUNDARY=B"),
    "no boundary": (ONE, "multipart/form-data"),
    "another boundary": (ONE, "multipart/form-data; boundary=C"),
    "long boundary": (ONE, "multipart/form-data; boundary=" + "B" * 257),
    "charset utf-8": (whole(part(content=b"\xc3\xa9")), MULTIPART + "; charset=utf-8"),
    "charset latin-1": (whole(part(content=b"\xc3\xa9")), MULTIPART + "; charset=ISO-8859-1"),
    "many headers": (whole(part('name="a"', b"v", *["X: y"] * 8)), MULTIPART),
    "urlencoded": (b"a=1&b=%C3%A9+x&a=&c&=d&&", URLENCODED),
    "urlencoded, percent": (b"a=%zz%&%41=%FF", URLENCODED),
    "urlencoded, semicolon": (b"a=1;b=2", URLENCODED),
    "urlencoded, no bytes": (b"", URLENCODED),
    "urlencoded, too many": (b"a&" * 1001, URLENCODED),
    "urlencoded, too long": (b"a=" + b"x" * (1 << 20), URLENCODED),
    "too many fields": (whole(*[part()] * 1001), MULTIPART),
    "too many files": (whole(*[part(FILE)] * 1001), MULTIPART),
    "field too long": (whole(part(content=b"x" * ((1 << 20) + 1))), MULTIPART),
    "fewer fields": (whole(part(), part()), MULTIPART, {"max_fields": 1}),
    "fewer files": (whole(part(FILE), part(FILE)), MULTIPART, {"max_files": 1}),
    "shorter field": (whole(part(content=b"x" * 2049)), MULTIPART, {"max_part_size": 2048}),
    "no form": (b"a=1", "text/plain"),
    # what differs
    "odd limit": (whole(part(content=b"x" * 11)), MULTIPART, {"max_part_size": 10}),
    "urlencoded, odd limit": (b"a=12345678901", URLENCODED, {"max_part_size": 10}),
    "all fields too long": (whole(*[part(content=b"x" * (1 << 20))] * 17), MULTIPART),
    "cut, nothing whole": (part()[:-3], MULTIPART),
    "cut, in a file": (part() + part(FILE, b"half")[:-3], MULTIPART),
    "cut, before the end": (part() + part(FILE), MULTIPART),
    "filename up": (named('name="f"; filename="../../f.txt"'), MULTIPART),
    "filename of the root": (named('name="f"; filename="/etc/f.txt"'), MULTIPART),
    "filename with a zero": (named('name="f"; filename="f\x01.txt"'), MULTIPART),
    "filename of dots": (named('name="f"; filename=".."'), MULTIPART),
    "charset undefined": (ONE, MULTIPART + "; charset=undefined"),
    "charset with a zero": (ONE, MULTIPART + "; charset=utf-8\0"),
    "charset idna": (ONE, MULTIPART + "; charset=idna"),
    "charset utf-7": (whole(part(content=b"+AOk-")), MULTIPART + "; charset=utf-7"),
    "charset unknown": (whole(part(content=b"\xe9")), MULTIPART + "; charset=nope"),
    "part, line feed in a header": (whole(part('name="a"\nX: y')), MULTIPART),
    "part, zero in a header": (named('name="a\0"'), MULTIPART),
    "part, two dispositions": (
        whole(part('name="a"', b"v", 'Content-Disposition: form-data; name="b"')),
        MULTIPART,
    ),
    "part, attachment": (ONE.replace(b"form-data", b"attachment"), MULTIPART),
    "part, wrong length": (whole(part('name="a"', b"v", "Content-Length: 5")), MULTIPART),
    "part, boundary within": (whole(part(content=b"v\r\n--Bx")), MULTIPART),
    "part, no disposition": (b"--B\r\nX: y\r\n\r\nv\r\n--B--\r\n", MULTIPART),
    "folded header": (whole(part('name="a";\r\n filename=f.txt')), MULTIPART),
}  # fmt: skip


def described(form):
    """The items of a form, files with all that they have."""
    items = []
    for name, value in form.multi_items():
        if isinstance(value, str):
            items.append([name, value])
            continue
        content = value.file.read().decode("latin-1")
        facts = [value.filename, value.size, value.content_type, value.headers.items()]
        items.append([name, content, *facts])
    return items


def app_of(fw, endpoint, *layers):
    middleware = [fw.Middleware(fw.BaseHTTPMiddleware, dispatch=layer) for layer in layers]
    routes = [fw.Route("/", endpoint, methods=["POST"])]
    return fw.Starlette(routes=routes, middleware=middleware)


def post(app, body, content_type):
    return ask(app, "/", "POST", body=body, headers=[("content-type", content_type)]).seen()


# Starlette leaves the file of a part that is cut off to the collector.
LEAKING = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=LEAKING if "cut" in name else ()) for name in FORMS]
)
def test_form_is_the_same(name):
    """Fields, files, their headers, or the answer to what is no form."""
    body, content_type, *limits = FORMS[name]

    def reply(fw):
        async def endpoint(request):
            async with request.form(**(limits[0] if limits else {})) as form:
                return fw.JSONResponse(described(form))

        return post(app_of(fw, endpoint), body, content_type)

    check(f"form {name}", *map(reply, BOTH))


@pytest.mark.parametrize("name", [name for name in FORMS if not difference_of(f"form {name}")])
def test_form_by_a_parser_is_the_same(name):
    """Without an application: the classes are used by themselves. What differs, differs above."""
    body, content_type, *limits = FORMS[name]

    def result(fw):
        module = importlib.import_module(f"{fw.package}.formparsers")
        kind = module.FormParser if "urlencoded" in content_type else module.MultiPartParser
        headers = importlib.import_module(f"{fw.package}.datastructures").Headers

        async def main():
            async def stream():
                yield body

            chunks = stream()
            parser = kind(headers({"Content-Type": content_type}), chunks, **dict(*limits))
            try:
                form = await parser.parse()
            finally:
                await chunks.aclose()
            items = described(form)
            await form.close()
            return items

        try:
            return asyncio.run(main())
        except Exception as exc:
            return raised(exc)

    theirs, ours = map(result, BOTH)
    assert theirs == ours


# -- where the form is read ------------------------------------------------------------------------


def in_a_layer(fw):
    async def layer(request, call_next):
        async with request.form():
            return await call_next(request)

    async def endpoint(request):
        return fw.JSONResponse(described(await request.form()))

    return app_of(fw, endpoint, layer)


def after_the_body(fw):
    async def endpoint(request):
        await request.body()
        async with request.form() as form:
            return fw.JSONResponse(described(form))

    return app_of(fw, endpoint)


def twice(fw):
    async def endpoint(request):
        async with request.form() as form:
            return fw.JSONResponse([form is await request.form(), form is request._form])

    return app_of(fw, endpoint)


def body_after_it(fw):
    async def endpoint(request):
        async with request.form():
            return fw.Response(await request.body())

    return app_of(fw, endpoint)


def its_block(fw):
    async def endpoint(request):
        async with request.form() as form:
            inside = [value.file.closed for value in form.values() if not isinstance(value, str)]
        after = [value.file.closed for value in form.values() if not isinstance(value, str)]
        return fw.JSONResponse([inside, after])

    return app_of(fw, endpoint)


def closed_by_hand(fw):
    async def endpoint(request):
        form = await request.form()
        await form.close()
        await request.close()
        files = [value for value in form.values() if not isinstance(value, str)]
        return fw.JSONResponse([value.file.closed for value in files])

    return app_of(fw, endpoint)


APPS = (in_a_layer, after_the_body, twice, body_after_it, its_block, closed_by_hand)
BODIES = {"multipart": (whole(part(FILE), part()), MULTIPART), "urlencoded": (b"a=1", URLENCODED)}


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("app", APPS, ids=lambda app: app.__name__)
def test_form_among_other_readers_is_the_same(app, kind):
    """Before, after and around it."""
    check(f"form {app.__name__} {kind}", *(post(app(fw), *BODIES[kind]) for fw in BOTH))


def test_scope_without_an_application_is_the_same():
    """The error is the parser's own."""

    def result(fw):
        async def main():
            async def receive():
                return {"type": "http.request", "body": b"x", "more_body": False}

            scope = http_scope("/", "POST", headers=[("content-type", MULTIPART)])
            await fw.Request(scope, receive).form()

        with pytest.raises(Exception) as caught:
            asyncio.run(main())
        return raised(caught.value)

    theirs, ours = map(result, BOTH)
    assert theirs == ours


CASES = [
    *(f"form {name}" for name in FORMS),
    *(f"form {app.__name__} {kind}" for app in APPS for kind in BODIES),
]

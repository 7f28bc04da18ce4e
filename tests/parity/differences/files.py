"""What differs in files, pages, settings and schemas."""

from tests.parity.differences.table import Difference, Section


def _relative_reply(starlette, lamella):
    headers = [(name, value.removeprefix(b"http://testserver")) for name, value in starlette[1]]
    return starlette[0] == 307 and (starlette[0], headers, *starlette[2:]) == lamella


def _not_found(starlette, lamella):
    return lamella[0] == 404 and (starlette[0] != 404 or lamella[2] == b"<missing>")


def _escaped(starlette, lamella):
    (told, theirs), (told_too, ours) = starlette, lamella
    return told == told_too and (theirs[2], ours[2]) == (b"<&'\">", b"&lt;&amp;&#39;&#34;&gt;")


def _own_request(starlette, lamella):
    first, second = (f"http://testserver/{number} Ann" for number in (1, 2))
    return starlette == [first, first] and lamella == [first, second]


def _value_hidden(starlette, lamella):
    return starlette[0] == lamella[0] and lamella[1].strip("'\"").startswith("Config ")


def _words(starlette, lamella):
    return starlette in ("ScannerError", "ParserError") and lamella == {}


def _described(starlette, lamella):
    return {} == starlette["paths"] and {"/a": {"get": {"summary": "x"}}} == lamella["paths"]


def _unchanged(starlette, lamella):
    return starlette[0] == lamella[0] and lamella[1] == {"paths": {"/given": {}}} != starlette[1]


def _words_refused(starlette, lamella):
    return starlette in ("ScannerError", "ParserError") and lamella == "ValueError"


FILES = Section(
    "Files, pages, settings and schemas",
    (
        Difference(
            "the redirect from a directory to its page",
            "absolute, with the `Host` of the request",
            "relative",
            "the client wrote that header",
            cases=r"static .* ''|static html.* '/dir'|static method (GET|HEAD) /dir",
            holds=_relative_reply,
        ),
        Difference(
            "`/static//a.txt`, `/static/./a.txt`, `/static/a.txt/`",
            "the file",
            "404",
            "rules for URLs, of a proxy or a layer, would not hold for the other spellings",
            cases=r"static .* '(//a\.txt|/\./a\.txt|/dir/\.\./a\.txt|/dir//b\.css|/a\.txt/|/dir/b\.css/)'"
            r"|static html.* '(/dir/\.|/\.|/dir//)'",
            holds=_not_found,
        ),
        Difference(
            "a backslash in the path of a static file",
            "a character like any other",
            "404",
            "it separates names somewhere",
            checked_by="security/test_staticfiles.py::test_static_one_url_per_file",
        ),
        Difference(
            "a link that leads to itself; `html=True` and a directory whose path is nearly too long",
            "500",
            "404",
            "what a client sends is never an error of the server",
            cases=r"static .* '/itself'",
            holds=_not_found,
            checked_by="security/test_staticfiles.py::test_static_html_overlong_dir_index",
        ),
        Difference(
            "`html=True`, and a name that is too long or holds NUL",
            "a plain 404",
            "`404.html`",
            "it is a miss like any other",
            cases=r"static html.* '(/a\.txt\\x00|/x+)'",
            holds=_not_found,
        ),
        Difference(
            "a static file that may not be read",
            "an error after the start",
            "401",
            "found before the response has begun",
            checked_by="test_staticfiles.py::test_file_that_may_not_be_read_is_401",
        ),
        Difference(
            "`StaticFiles(directory=[...])`",
            "`TypeError`",
            "several directories",
            "themes, and files of plugins",
            checked_by="test_staticfiles.py::test_several_directories_are_looked_through_in_order",
        ),
        Difference(
            "templates named `.svg`, `.xhtml`, without an ending, or with `.j2`, `.jinja`, `.jinja2` behind `.html`",
            "not escaped",
            "escaped",
            "a page is no less a page for its name",
            cases=r"page page\.(svg|html\.j2|jinja) named.*",
            holds=_escaped,
            checked_by="test_templating.py::test_what_is_put_into_markup_is_escaped",
        ),
        Difference(
            "the context given to `TemplateResponse`",
            "changed: the request is put into it",
            "not changed",
            "a dict used again would keep the first request",
            cases=r"page context given twice",
            holds=_own_request,
        ),
        Difference(
            "an async context processor; the name before the request",
            "`TypeError` when a page is made",
            "`UsageError` that says what to do, the first when it is declared",
            "so that it is found",
            checked_by="test_templating.py::test_async_context_processor_is_told_when_it_is_declared "
            "test_templating.py::test_arguments_in_the_old_order_are_told",
        ),
        Difference(
            "the value of a setting that cannot be cast",
            "stands in the error",
            "does not",
            "it may be a secret, and errors are logged",
            cases=r"setting raises .*",
            holds=_value_hidden,
        ),
        Difference(
            "a docstring in words that is no YAML",
            "the schema is a 500",
            "the endpoint is left out",
            "most docstrings were not written for a schema",
            cases=r"docstring google",
            holds=_words,
        ),
        Difference(
            "wrong YAML behind `---`",
            "an error of the parser",
            "`ValueError` that names the endpoint",
            "so that it is found",
            cases=r"docstring wrong",
            holds=_words_refused,
        ),
        Difference(
            "an endpoint that is a `functools.partial`, in a schema",
            "left out",
            "as its function",
            "it is the endpoint all the same",
            cases=r"document of a partial",
            holds=_described,
        ),
        Difference(
            "the `paths` of the base given to `SchemaGenerator`",
            "changed",
            "not changed",
            "what was asked for once would be in every later document",
            cases=r"document asked twice",
            holds=_unchanged,
        ),
        Difference(
            "a module whose optional package is missing",
            '`AssertionError`, or "jinja2 must be installed"',
            "`ImportError` with the command that installs it",
            "so that it can be copied",
            checked_by="meta/test_imports.py::test_a_module_built_on_an_optional_package_says_what_to_install",
        ),
    ),
)

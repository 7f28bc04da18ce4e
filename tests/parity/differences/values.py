"""What differs in URLs, headers and other values."""

from tests.parity.differences.table import Difference, Section


def _only_theirs_fails(kind):
    return lambda starlette, lamella: (
        starlette[0][0] == kind and type(lamella) is not type(starlette)
    )


def _no_authority(starlette, lamella):
    # How Python writes such a path has changed.
    return starlette[2] in ("////h/x", "//h/x") and lamella[2] == "/%2Fh/x"


def _no_socket(starlette, lamella):
    return "/run/x" in starlette[2] and lamella[2] == "/a"


def _as_utf8(starlette, lamella):
    return "%C3%" in starlette[2] and lamella[2] in ("a=%C3%A9", "a=%EF%BF%BD")


def _what_came(starlette, lamella):
    is_type_error = lamella[0][0] == "TypeError" and ", got " in lamella[1]
    return starlette[0][0] in ("AttributeError", "TypeError") and is_type_error


def _as_of_any_object(starlette, lamella):
    theirs = starlette == ("list", []) or starlette[0][0] == "KeyError"
    return theirs and lamella[0][0] == "AttributeError"


def _ascii_and_finite(starlette, lamella):
    return starlette in (7, 10, float("inf")) and lamella[0][0] == "ValueError"


def _telling(starlette, lamella):
    told = "MultiPartException(status_code=400, detail='x')", "1001: x", "Malformed range header."
    return starlette[0] == lamella[0] and any(text in told for text in lamella[1:])


VALUES = Section(
    "URLs, headers and other values",
    (
        Difference(
            "a path with two slashes at its beginning, in a `URL` without a host",
            "`////h/x`",
            "`/%2Fh/x`",
            "browsers read the host of another site in it",
            cases=r"value URL\(.*path='//h/x'\)",
            holds=_no_authority,
        ),
        Difference(
            "`URL(url)` of a URL",
            "`TypeError` when it is printed",
            "the same URL",
            "it can be made of all that reads as one",
            cases=r"value URL of a URL",
            holds=_only_theirs_fails("TypeError"),
        ),
        Difference(
            "the URL of a request that came over a unix socket, without a `Host`",
            "has the path of the socket for a host",
            "has no host",
            "no client could follow such a URL",
            cases=r"value URL of a socket",
            holds=_no_socket,
        ),
        Difference(
            "a scope without headers or query, or with any scheme",
            "`KeyError`",
            "read as one without",
            "the ASGI specification allows it, and tests make such scopes",
            cases=r"value scope .*",
            holds=_only_theirs_fails("KeyError"),
        ),
        Difference(
            "multidicts with keys of several kinds, compared",
            "`TypeError`",
            "equal or not",
            "nothing has to be sorted to compare them",
            cases=r"value keys of two kinds",
            holds=_only_theirs_fails("TypeError"),
        ),
        Difference(
            "bytes of a query that are not ASCII, given to `QueryParams`",
            "Latin-1",
            "UTF-8",
            "as in `request.url`, and as browsers send them",
            cases=r"value query in .*",
            holds=_as_utf8,
        ),
        Difference(
            "a name that no header can have, looked up in `Headers`",
            "`UnicodeEncodeError` beyond Latin-1",
            "is not there",
            "that is what was asked",
            cases=r"value name beyond Latin-1.*",
            holds=_only_theirs_fails("UnicodeEncodeError"),
        ),
        Difference(
            "a header that is no text, headers joined with what is no mapping",
            "`AttributeError`, or a `TypeError` that names the class",
            "`TypeError` that says what was expected and what came",
            "so that it is understood",
            cases=r"value header.*",
            holds=_what_came,
        ),
        Difference(
            "an attribute that is missing from a `State`",
            "`KeyError` when it is deleted; of a `defaultdict`, its default",
            "`AttributeError`",
            "they are attributes as any object has them, and cost no more",
            cases=r"value state .*",
            holds=_as_of_any_object,
        ),
        Difference(
            "`convert` of a convertor for numbers, given blanks, underscores, other digits or infinity",
            "what `int()` and `float()` make of it",
            "`ValueError`",
            "a convertor takes what its regex takes",
            cases=r"value (int|float) of .*",
            holds=_ascii_and_finite,
        ),
        Difference(
            "the text or `repr` of `MultiPartException`, `WebSocketDisconnect` and `MalformedRangeHeader`",
            "their arguments",
            "what they hold",
            "it is what logs have of it",
            cases=r"value text of .*",
            holds=_telling,
        ),
    ),
)

"""What differs in CORS, gzip, hosts and https."""

from tests.parity.differences.table import Difference, Section


def _without(reply, *names):
    return reply[0], [pair for pair in reply[1] if pair[0].decode() not in names], *reply[2:]


def _nothing_allowed(starlette, lamella):
    kept = "access-control-allow-credentials", "access-control-expose-headers"
    return _without(starlette, *kept) == lamella


def _no_credentials(starlette, lamella):
    names = "access-control-allow-origin", "access-control-allow-credentials", "vary"
    theirs, ours = dict(starlette[1]), dict(lamella[1])
    allows = b"access-control-allow-origin"
    same = _without(starlette, *names) == _without(lamella, *names)
    was = theirs.get(b"access-control-allow-credentials") == b"true" and theirs[allows] != b"*"
    return same and was and ours[allows] == b"*" and b"access-control-allow-credentials" not in ours


def _as_accepted(starlette, lamella):
    encodings = [dict(reply[1]).get(b"content-encoding") for reply in (starlette, lamella)]
    return sorted(encodings, key=str) == [None, b"gzip"]


def _untouched(starlette, lamella):
    ours = dict(lamella[1])
    return starlette != lamella and not {b"vary", b"content-encoding"} & {*ours}


def _weak(starlette, lamella):
    names = "etag", "accept-ranges", "content-length"
    theirs, ours = _without(starlette, *names), _without(lamella, *names)
    tag = dict(starlette[1])[b"etag"]
    # A file is compressed piece by piece, so its length is not known and its bytes are others.
    alike = theirs[:2] == ours[:2] and theirs[3:] == ours[3:]
    return alike and dict(lamella[1])[b"etag"] == b"W/" + tag


def _refused_host(starlette, lamella):
    location = dict(starlette[1])[b"location"]
    elsewhere = (starlette[0], location) == (307, b"http://www.testserver/small")
    return elsewhere and (lamella[0], lamella[2]) == (400, b"Invalid host header")


def _bracketed(starlette, lamella):
    locations = [dict(reply[1])[b"location"] for reply in (starlette, lamella)]
    return locations == [b"https://::1/small?a=%20&b", b"https://[::1]/small?a=%20&b"]


def _refused_socket(starlette, lamella):
    (theirs, _), (ours, error) = starlette, lamella
    return theirs[0]["type"] != "websocket.close" and error is None and ours[0]["code"] == 1008


def _weak_without_ranges(starlette, lamella):
    ranges = [b"accept-ranges" in dict(reply[1]) for reply in (starlette, lamella)]
    return ranges == [True, False] and _weak(starlette, lamella)


def _refused_other_origin(starlette, lamella):
    (theirs, _), (ours, _) = starlette, lamella
    if ours[0]["type"] == "websocket.http.response.start":
        return theirs == [{"type": "websocket.accept"}] and ours[0]["status"] == 403
    return _refused_socket(starlette, lamella)


POLICIES = Section(
    "CORS, gzip, hosts and https",
    (
        Difference(
            "the 500 of an unhandled error, below `CORSMiddleware`",
            "without CORS headers",
            "with them",
            "a script that may read answers may read that one",
            checked_by="middleware/test_cors.py::test_error_that_passes_by_is_answered_with_the_headers",
        ),
        Difference(
            "a request of an origin that is not allowed",
            "gets `Access-Control-Allow-Credentials` and `-Expose-Headers`",
            "gets no CORS header",
            "nothing is allowed",
            cases=r"(cors|preflight) (list with credentials|part of regex) (other|null) .*"
            r"|(cors|preflight) part of regex allowed .*",
            holds=_nothing_allowed,
        ),
        Difference(
            '`allow_origins=["*"]` with `allow_credentials=True`',
            "every origin is allowed, with credentials",
            "every origin is allowed, without; it is logged",
            "every site could act as the user",
            cases=r"(cors|preflight) any with credentials (allowed|other|null) .*",
            holds=_no_credentials,
            checked_by="middleware/test_cors.py::test_any_origin_with_credentials_is_told_in_the_log",
        ),
        Difference(
            "the origin `null`",
            "matched by `allow_origin_regex`",
            "allowed only if it is listed; with credentials that is a `UsageError`",
            "every site can make a page of that origin",
            checked_by="security/test_policy_layers.py::test_cors_regex_never_allows_null "
            "security/test_policy_layers.py::test_cors_null_with_credentials_is_refused_when_the_app_is_built",
        ),
        Difference(
            "an `Origin` or names of headers that are none",
            "sent back",
            "not allowed",
            "they go into headers",
            checked_by="security/test_policy_layers.py::test_cors_mirrored_request_headers_are_tokens "
            "security/test_policy_layers.py::test_cors_never_fails_whatever_the_headers_hold",
        ),
        Difference(
            "`Vary: Origin` that is there already",
            "added again",
            "once",
            "shorter",
            checked_by="middleware/test_cors.py::test_vary_names_the_origin_once",
        ),
        Difference(
            "a websocket of another origin",
            "let through",
            "refused unless the origin is allowed or the server's own",
            "browsers send cookies with it and ask nobody",
            cases=r"socket cors other .*",
            holds=_refused_other_origin,
        ),
        Difference(
            "a text for a list of origins, methods, headers or hosts",
            "taken letter by letter, or for all that is in it",
            "`UsageError`",
            '`"e" in "https://example.org"`',
            checked_by="security/test_policy_layers.py::test_cors_text_for_a_list_is_refused "
            "middleware/test_trustedhost.py::test_text_for_a_list_is_refused",
        ),
        Difference(
            "`Accept-Encoding: gzip;q=0`, `notgzip`",
            "gzip",
            "no gzip",
            "RFC 9110 section 12.5.3",
            cases=r"gzip /(plain|varies|stream|tagged|file|missing|foreign/) (refused|other word) .*"
            r"|gzip /small (refused|other word) all",
            holds=_as_accepted,
        ),
        Difference(
            "`Accept-Encoding: *`, `GZIP`",
            "no gzip",
            "gzip",
            "as above",
            cases=r"gzip /(plain|varies|stream|tagged|file|missing|foreign/) any .*"
            r"|gzip /small any all",
            holds=_as_accepted,
            checked_by="security/test_policy_layers.py::test_gzip_when_accepted",
        ),
        Difference(
            "`Cache-Control: no-transform`, 204 and 304 below `GZipMiddleware`",
            "compressed",
            "left as they are",
            "RFC 9111 section 5.2.2.6; they have no content",
            cases=r"gzip /kept .*|gzip /empty .* all",
            holds=_untouched,
            checked_by="security/test_policy_layers.py::test_gzip_leaves_bodiless_alone",
        ),
        Difference(
            "an `ETag` of what is compressed",
            "stays strong",
            "becomes weak",
            "it is another body",
            cases=r"gzip /tagged (gzip|browser|weighed) .*",
            holds=_weak,
        ),
        Difference(
            "a file that is compressed",
            "has `Accept-Ranges`",
            "has not, and a weak `ETag`",
            "ranges are those of the file",
            cases=r"gzip /file (gzip|browser|weighed) .*",
            holds=_weak_without_ranges,
        ),
        Difference(
            "a `HEAD` request below `GZipMiddleware`",
            "is compressed",
            "has the headers of `GET`, without a length",
            "nobody gets the body",
            checked_by="middleware/test_gzip.py::test_head_tells_what_get_does_but_for_the_length "
            "middleware/test_gzip.py::test_head_of_a_file_is_that_of_the_compressed_one",
        ),
        Difference(
            "a `Host` header that stands twice",
            "the first counts",
            "400 from `TrustedHostMiddleware`",
            "RFC 9112 section 3.2",
            checked_by="security/test_policy_layers.py::test_duplicate_host_is_refused_by_trusted_host",
        ),
        Difference(
            "a `Host` header with a port above 65535 that lacks `www.`",
            "redirected to `www.` before the server's own name",
            "400",
            "there is no such URL",
            cases=r"host www 'example\.org:65536'",
            holds=_refused_host,
        ),
        Difference(
            "`Host: [::1]:80`, below `HTTPSRedirectMiddleware`",
            "redirected to `https://::1/`",
            "redirected to `https://[::1]/`",
            "the other is no URL",
            cases=r"https http '\[::1\]:80'",
            holds=_bracketed,
        ),
        Difference(
            "a handshake that one of these two refuses",
            "a response, though the server takes none",
            "closed with 1008 where the server takes none",
            "ASGI extension `websocket.http.response`",
            cases=r"socket (host other|https ws) nothing",
            holds=_refused_socket,
        ),
        Difference(
            "a scope with a scheme that is not known, below `HTTPSRedirectMiddleware`",
            "let through",
            "redirected",
            "it may be without TLS",
            checked_by="middleware/test_httpsredirect.py::test_every_other_scheme_is_redirected",
        ),
    ),
)

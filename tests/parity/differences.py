"""Where lamella differs from Starlette 1.10.0 on purpose: the one table, and how tests read it.

A case that is listed must differ, and in the way its row says, so that a row which no longer holds
is found; a case that is not listed must not differ.
"""

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple


class Difference(NamedTuple):
    """One difference: its name, why it is there, its cases (a regex) and what is different."""

    name: str
    reason: str
    cases: str
    holds: Callable[[Any, Any], bool]


def _relative(starlette, lamella):
    def moved(reply):
        if reply[0] != 307:
            return reply
        headers = [(name, value.removeprefix(b"http://testserver")) for name, value in reply[1]]
        return reply[0], headers, *reply[2:]

    return {name: moved(reply) for name, reply in starlette.items()} == lamella


def _named(starlette, lamella):
    return starlette[0] == "AssertionError" and lamella[0] == "UsageError"


def _no_response(starlette, lamella):
    (theirs, their_log), (ours, our_log) = starlette, lamella
    answered = ours[0] == 500 and ours[-1][0] == "NoResponseError" and "Endpoint" in ours[-1][1]
    silent = theirs == ([], None) or theirs[-1] == ("RuntimeError", "No response returned.")
    return answered and silent and their_log == our_log


def _cut_off(starlette, lamella):
    (theirs, their_log), (ours, our_log) = starlette, lamella
    return (*theirs[:3], False, theirs[4]) == ours and theirs[3] and their_log == our_log


def _raised_to_reader(starlette, lamella):
    theirs, ours = starlette[0], lamella[0]
    return (theirs[0], ours[0]) == (200, 500) and theirs[-1] == ours[-1]


def _unread(starlette, lamella):
    theirs, ours = starlette[0], lamella[0]
    return theirs[:4] == ours[:4] and theirs[-1][0] == "Lost" and ours[-1] is None


def _handled(starlette, lamella):
    theirs, ours = starlette[0], lamella[0]
    return theirs[0] == 500 and (ours[0], ours[2], ours[4]) == (401, b"layer", None)


def _none(starlette, lamella):
    theirs, ours = starlette[0], lamella[0]
    told = "returns_none.<locals>.dispatch" in ours[-1][1] and "returned None" in ours[-1][1]
    return theirs[:4] == ours[:4] and ours[-1][0] == "NoResponseError" and told


def _background(starlette, lamella):
    (theirs, their_log), (ours, our_log) = starlette, lamella
    return theirs == ours and [*their_log, "after"] == our_log


def _as_it_is(starlette, lamella):
    return starlette[:-1] == lamella[:-1] and lamella[-1][0] == "Lost"


def _told_of_refusal(starlette, lamella):
    *theirs, cancelled = starlette["app"]
    told = {"type": "websocket.disconnect", "code": 1006, "reason": None}
    same_to_the_test = {**starlette, "app": None} == {**lamella, "app": None}
    return same_to_the_test and cancelled is not None and [*theirs, told] == lamella["app"]


def _not_accepted(starlette, lamella):
    return "result" in starlette and lamella["raised"]["kinds"][0] == "AssertionError"


def _started(starlette, lamella):
    text = "Caught handled exception, but response already started."
    return starlette[:-1] == lamella[:-1] and lamella[-1] == ("ResponseStartedError", text)


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
    if ours[0]["type"] == "websocket.http.response.start":
        return theirs == [{"type": "websocket.accept"}] and ours[0]["status"] == 403
    return theirs[0]["type"] != "websocket.close" and error is None and ours[0]["code"] == 1008


def _says_it_varies(starlette, lamella):
    theirs = [(n, v + b", Cookie" if n == b"vary" else v) for n, v in starlette[1]]
    return (starlette[0], theirs, *starlette[2:]) == lamella


def _empty_session(starlette, lamella):
    return (starlette[0], lamella[0], lamella[2:]) == (500, 200, (b"ok", True, None))


def _sent_too(starlette, lamella):
    return _without(lamella, "set-cookie") == starlette


def _replaced(starlette, lamella):
    theirs = starlette[-1][0] == "AttributeError"
    return theirs and lamella[0] == 200 and "set-cookie" in str(lamella[1])


def _sent_on_accept(starlette, lamella):
    headers = lamella[0]["headers"]
    return (
        starlette[0]["headers"] == []
        and headers[0][0] == b"set-cookie"
        and (starlette[1:] == lamella[1:])
    )


def _hyphens_alone(starlette, lamella):
    kept = {"HTTP_X_Y": "b"} if "HTTP_X_Y" in starlette else {}
    names = "HTTP_X_Y", "HTTP_PROXY"
    return {n: v for n, v in starlette.items() if n not in names} | kept == lamella


def _joined_cookies(starlette, lamella):
    return {**starlette, "HTTP_COOKIE": "a=1; b=2"} == lamella


def _any_query(starlette, lamella):
    return starlette == "UnicodeDecodeError" and lamella["QUERY_STRING"] == "\xff"


def _status_too(starlette, lamella):
    return [{**span, "http.response.status_code": 500} for span in starlette] == lamella


def _known_method(starlette, lamella):
    other = {
        "name": "HTTP /users/{name}",
        "http.request.method": "_OTHER",
        "http.request.method_original": "BREW",
    }
    return [{**span, **other} for span in starlette] == lamella


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
    return starlette in ("ScannerError", "ParserError") and lamella in ({}, "ValueError")


def _described(starlette, lamella):
    return {} == starlette["paths"] and {"/a": {"get": {"summary": "x"}}} == lamella["paths"]


def _unchanged(starlette, lamella):
    return starlette[0] == lamella[0] and lamella[1] == {"paths": {"/given": {}}} != starlette[1]


def _hostile(starlette, lamella):
    sent = starlette[0][0]["type"] == "websocket.accept" and starlette[1] is None
    return sent and lamella[0] == [] and lamella[1][0] in ("ValueError", "UsageError")


def _cut_reason(starlette, lamella):
    (theirs, ours) = (reply[0][-1]["reason"] for reply in (starlette, lamella))
    return theirs.startswith(ours) and len(ours.encode()) == 122 and theirs != ours


def _quietly_gone(starlette, lamella):
    return starlette[0] == lamella[0] and (starlette[1][0], lamella[1]) == (
        "WebSocketDisconnect",
        None,
    )


def _closed_for_payload(starlette, lamella):
    if starlette[1] is not None and starlette[1][0] == "RuntimeError":  # of a class
        return starlette[0] == lamella[0] and lamella[1] is None
    close = lamella[0][-1]
    return starlette[0][-1] != close and (close["code"], lamella[1]) == (1003, None)


def _told_of_payload(starlette, lamella):
    return "1003: Expected text" in lamella[1][1] and starlette[0] == lamella[0]


def _not_closed_again(starlette, lamella):
    return starlette[0][:-1] == lamella[0] and starlette[0][-1]["type"] == "websocket.close"


def _closed_instead(starlette, lamella):
    (theirs, _), (ours, error) = starlette, lamella
    denied = any(message["type"] == "websocket.http.response.start" for message in theirs)
    return (
        denied
        and error is None
        and (ours[-1]["type"], ours[-1]["code"])
        == (
            "websocket.close",
            1008,
        )
    )


def _mounted_runs(starlette, lamella):
    return "+inner" not in starlette[0] and lamella[0][:2] == ["+outer", "+inner"]


def _not_deprecated(starlette, lamella):
    warned = starlette[-1] == ["StarletteDeprecationWarning"]
    return warned and starlette[:-1] == lamella[:-1] and lamella[-1] == []


def _form_refused(starlette, lamella):
    text = lamella[2].decode()
    said = text.startswith(("Invalid multipart", "The multipart data ends", "Fields exceeded"))
    return starlette[0] == 200 and lamella[0] == 400 and said


def _no_codec_chosen(starlette, lamella):
    failed, decoded = starlette[0] == 500, "é".encode() in starlette[2]
    return (failed or decoded) and lamella[0] == 200 and "é".encode() not in lamella[2]


def _bare(starlette, lamella):
    (theirs,), (ours,) = json.loads(starlette[2]), json.loads(lamella[2])
    theirs[2], filename = ours[2], theirs[2]
    return theirs == ours and ours[2] in {"f.txt", ""} and filename != ours[2]


def _other_text(starlette, lamella):
    return starlette[0] == lamella[0] == 400


def _folded(starlette, lamella):
    return starlette[0] == 400 and json.loads(lamella[2])[0][2] == "f.txt"


def _form_shared(starlette, lamella):
    return starlette[2] == b"[]" and lamella[0] == 200 and lamella[2].startswith(b"[[")


def _body_or_name(starlette, lamella):
    if starlette[-1] != ("RuntimeError", "Stream consumed"):
        return False
    named = lamella[-1] and lamella[-1][0] == "BodyConsumedError" and "endpoint" in lamella[-1][1]
    return named or lamella[2] == b"a=1"


REDIRECTED = "|".join(
    re.escape(path)
    for path in (
        "",
        "/users/",
        "/users/me/",
        "/users//",
        "/users/7/posts/",
        "/files",
        "/closed",
        "/open/",
        "/raw",
        "/api",
        "/api/items/",
        "/api/v1/deep/",
        "/api/v1",
        "/t/acme",
        "/t/acme/start/",
        "/sub/inside/",
        "/sub",
    )
)
REDIRECTED_WITH_CATCH_ALL = "|/api/items/|/api/v1/deep/|/api/v1|/t/acme/start/|/sub/inside/|/late/"
# Stacks whose outermost answer is drawn from the endpoint's stream by a dispatch layer.
DRAWN = r"(?:(?:passes|marks|reads|catches|pure)\+?)+"

DIFFERENCES = (
    Difference(
        "redirects for slashes are relative",
        "an absolute one reflects the Host header, which the client wrote",
        rf"(path|root path) '({REDIRECTED})'"
        rf"|root path '/pre'|catch-all path '({REDIRECTED_WITH_CATCH_ALL})'",
        _relative,
    ),
    Difference(
        "a path parameter that cannot be written tells what was expected",
        "the class is a kind of Starlette's, the text is for people",
        r"url user \{'username': 'a b/ü'\}|url int \{'n': -3\}",
        _named,
    ),
    Difference(
        "an app that sends no response is named",
        "without a layer Starlette leaves that to the server, which knows no names",
        r"layers (?!answers|breaks |catches\+breaks|marks\+answers|aborts_in_layer).* silent",
        _no_response,
    ),
    Difference(
        "a stream that fails is cut off",
        "a last message after an error makes a half download look whole",
        rf"layers (?!(pure|pure\+pure|catches\+breaks) ){DRAWN} fails_(early_)?in_stream",
        _cut_off,
    ),
    Difference(
        "a layer that reads a stream gets its error",
        "the layer would take a part for the whole",
        r"layers (rewraps|marks\+rewraps\+passes) fails_(early_)?in_stream",
        _raised_to_reader,
    ),
    Difference(
        "a stream that a layer dropped is not run",
        "nobody reads it, so it has no error either",
        r"layers replaces fails_(early_)?in_stream",
        _unread,
    ),
    Difference(
        "an HTTPException raised in a layer is answered",
        "it says which answer is meant, wherever it is raised",
        r"layers aborts_in_layer .*",
        _handled,
    ),
    Difference(
        "a dispatch that returns None is named",
        "'NoneType' object is not callable tells nobody where",
        r"layers returns_none (?!fails$|fails_kind$|silent$).*",
        _none,
    ),
    Difference(
        "a background task outlives an error of a layer",
        "it was given to a response that was made, and nothing may lose it",
        r"layers breaks_after background",
        _background,
    ),
    Difference(
        "an error after the response began passes on as it is",
        "no handler can answer it, and an error that hides it tells nothing",
        r"errors (/stream|/inner/lost) (by_class|by_kind|by_both|failing_for_class)"
        r"|errors (/stream|/inner/lost) failing_for_500",
        _as_it_is,
    ),
    Difference(
        "an answer too late has a class of its own",
        "it is a RuntimeError, as Starlette's, that can be caught by name",
        r"errors /raw .*",
        _started,
    ),
    Difference(
        "an origin that is not allowed gets no CORS header",
        "least of all one that speaks of credentials",
        r"(cors|preflight) (list with credentials|part of regex) (other|null) .*"
        r"|(cors|preflight) part of regex allowed .*",
        _nothing_allowed,
    ),
    Difference(
        "any origin is never any origin with credentials",
        "every site could act as the user and read the answer",
        r"(cors|preflight) any with credentials (allowed|other|null) .*",
        _no_credentials,
    ),
    Difference(
        "Accept-Encoding is read as a list of words with weights",
        "gzip;q=0 refuses gzip, notgzip is another word, and * is any",
        r"gzip /(plain|varies|stream|tagged|file|missing|foreign/) (refused|any|other word) .*"
        r"|gzip /small (refused|any|other word) all",
        _as_accepted,
    ),
    Difference(
        "a response without content, or that forbids it, is not compressed",
        "RFC 9110 sections 15.3.5 and 15.4.5; RFC 9111 section 5.2.2.6",
        r"gzip /kept .*|gzip /empty .* all",
        _untouched,
    ),
    Difference(
        "a compressed body has a weak tag and no ranges",
        "it is another body than the one that the tag and the positions were made for",
        r"gzip /(tagged|file) (gzip|browser|weighed) .*",
        _weak,
    ),
    Difference(
        "a Host with a port above 65535 is not redirected to www.",
        "there is no such URL, and www. before the server's own name is nobody's",
        r"host www 'example\.org:65536'",
        _refused_host,
    ),
    Difference(
        "an address of IPv6 keeps its brackets",
        "without them the URL is none",
        r"https http '\[::1\]:80'",
        _bracketed,
    ),
    Difference(
        "a handshake is refused by what the server can send, and by the CORS policy",
        "a browser opens a websocket to any site, with the user's cookies, and asks nobody",
        r"socket (cors other .*|host other nothing|https ws nothing)",
        _refused_socket,
    ),
    Difference(
        "an app that refused a websocket reads the disconnect",
        "as with a server, where nothing cancels it in what it does after that",
        r"client websocket, (refused|denied).*",
        _told_of_refusal,
    ),
    Difference(
        "a websocket that sends before it is accepted fails the test",
        "a server would refuse that",
        r"client websocket, sent to before it accepts",
        _not_accepted,
    ),
    Difference(
        "a session looked at by the scope makes the response vary",
        "a cache would give one user's page to another, however the page was made",
        r"session look by the scope (?!junk).*"
        r"|session pop by the scope (none|nested|emptied|forged|unsigned) .*",
        _says_it_varies,
    ),
    Difference(
        "a session that is signed and makes no sense is an empty one",
        "a 500 would lock that browser out for as long as it keeps the cookie",
        r"session .* junk .*",
        _empty_session,
    ),
    Difference(
        "a change inside a value of a session is kept",
        "it was made, and losing it in silence helps nobody",
        r"session change inside nested .*",
        _sent_too,
    ),
    Difference(
        "a dict put in the place of the session replaces it",
        "that is what it says",
        r"session replace (?!junk).*",
        _replaced,
    ),
    Difference(
        "a session changed before a websocket is accepted is sent with the acceptance",
        "it has headers, and there is no other place",
        r"session websocket set before .*",
        _sent_on_accept,
    ),
    Difference(
        "a WSGI app gets no header that could be taken for another, and none that names a proxy",
        "a proxy removes x-real-ip and lets x_real_ip pass; HTTP_PROXY redirects outgoing calls",
        r"environ (underscore|proxy)",
        _hyphens_alone,
    ),
    Difference(
        "a WSGI app gets cookies joined as cookies",
        "RFC 9113 section 8.2.3",
        r"environ cookies",
        _joined_cookies,
    ),
    Difference(
        "a WSGI app gets any query string",
        "what a client sends is never an error of the server",
        r"environ query",
        _any_query,
    ),
    Difference(
        "a span tells the status of an unhandled error's response",
        "it was sent",
        r"span fails",
        _status_too,
    ),
    Difference(
        "a method that a client made up names no span",
        "the semantic conventions: each would be a series of its own",
        r"span made-up method",
        _known_method,
    ),
    Difference(
        "redirects for directories are relative",
        "an absolute one reflects the Host header, which the client wrote",
        r"static .* ''|static html.* '/dir'|static method (GET|HEAD) /dir",
        _relative_reply,
    ),
    Difference(
        "a static file has one URL",
        "rules for URLs, of a proxy or a layer, would not hold for the other spellings",
        r"static .* '(//a\.txt|/\./a\.txt|/dir/\.\./a\.txt|/dir//b\.css|/a\.txt/|/dir/b\.css/)'"
        r"|static html.* '(/dir/\.|/\.|/dir//)'",
        _not_found,
    ),
    Difference(
        "a name that no file can have is a miss like any other",
        "what a client sends is never an error of the server, and has the page for misses, too",
        r"static .* '/itself'|static html.* '(/a\.txt\\x00|/x+)'",
        _not_found,
    ),
    Difference(
        "templates of more kinds of markup are escaped",
        "a page is no less a page for being called page.html.j2",
        r"page page\.(svg|html\.j2|jinja) named.*",
        _escaped,
    ),
    Difference(
        "the context given to a template is not changed",
        "a dict used again would keep the first request",
        r"page context given twice",
        _own_request,
    ),
    Difference(
        "an error of a setting does not print its value",
        "it may be a secret, and errors are logged",
        r"setting raises .*",
        _value_hidden,
    ),
    Difference(
        "a docstring in words is no error, and a wrong one is named",
        "most docstrings were not written for a schema",
        r"docstring (google|wrong)",
        _words,
    ),
    Difference(
        "a partial has the docstring of its function",
        "it is the endpoint all the same",
        r"document of a partial",
        _described,
    ),
    Difference(
        "the base of a schema is not changed",
        "what was asked for once would be in every later document",
        r"document asked twice",
        _unchanged,
    ),
    Difference(
        "what could split a websocket's handshake is refused",
        "as for the headers of a response",
        r"websocket accepts_hostile_\w+, .*",
        _hostile,
    ),
    Difference(
        "the reason of a close fits into its frame",
        "RFC 6455 section 5.5: servers break the connection otherwise",
        r"websocket closes_with_much_to_say, .*",
        _cut_reason,
    ),
    Difference(
        "a websocket's client that leaves is no error",
        "connections end that way, and nobody has to be told by a traceback",
        r"websocket reads_(text|bytes|json|binary_json), nothing, .*",
        _quietly_gone,
    ),
    Difference(
        "a websocket's message of the wrong kind closes with 1003",
        "what a client sends is never an error of the server",
        r"websocket (reads_text|iterates|class of text), bytes, .*"
        r"|websocket (reads_bytes|reads_binary_json), (text|both|no json), .*"
        r"|websocket reads_json, (bytes|no json), .*|websocket class of JSON, no json, .*"
        r"|websocket (iterates|class of text), both, .*",
        _closed_for_payload,
    ),
    Difference(
        "a websocket's message of the wrong kind is not None",
        "where it is caught, it is an exception that says what came",
        r"websocket catches_disconnect, both, .*",
        _told_of_payload,
    ),
    Difference(
        "a websocket whose client left is not closed again",
        "nobody is there, and servers differ in what they make of it",
        r"websocket closes_after_leaving, .*",
        _not_closed_again,
    ),
    Difference(
        "an HTTPException closes a websocket where no response can be sent",
        "the server takes none, or the connection was accepted before",
        r"websocket HTTPException, .*, plain|websocket HTTPException after accepting, .*",
        _closed_instead,
    ),
    Difference(
        "lifespans of mounted applications run",
        "an application is not whole without its own",
        r"lifespan mounted(, failing start)?",
        _mounted_runs,
    ),
    Difference(
        "a lifespan may be a generator function",
        "it says the same, and nothing is gained by breaking it",
        r"lifespan (async_)?generator",
        _not_deprecated,
    ),
    Difference(
        "a multipart form that is cut off is refused",
        "half a file must not look whole",
        r"form cut, .*",
        _form_refused,
    ),
    Difference(
        "the name of an uploaded file has no folders",
        "programs join it to a folder; the name as sent is in the headers of the file",
        r"form filename .*",
        _bare,
    ),
    Difference(
        "the charset of a multipart form is UTF-8, Latin-1 or windows-1252",
        "the client would choose any codec by name, and Python keeps each name for ever",
        r"form charset (undefined|with a zero|utf-7)",
        _no_codec_chosen,
    ),
    Difference(
        "a part of a multipart form is read strictly",
        "what another reader on the way sees must be what is seen here",
        r"form part, (?!no disposition).*",
        _form_refused,
    ),
    Difference(
        "a part without Content-Disposition is invalid",
        "it has more to lack than a name",
        r"form part, no disposition",
        _other_text,
    ),
    Difference(
        "a header of a part may be folded",
        "RFC 7578 section 4.8 takes the headers of RFC 2045, which allows it",
        r"form folded header",
        _folded,
    ),
    Difference(
        "all fields of a form together have a limit",
        "a thousand fields of a MiB each are a gigabyte of memory",
        r"form all fields too long",
        _form_refused,
    ),
    Difference(
        "a limit of a form that is no whole KB is told in bytes",
        "0KB tells nothing",
        r"form (urlencoded, )?odd limit",
        _other_text,
    ),
    Difference(
        "a form that a layer read is there for the endpoint",
        "there is one request, and one form",
        r"form in_a_layer .*",
        _form_shared,
    ),
    Difference(
        "after a form the body is there, or the error names who read it",
        "a multipart form may be too large to be kept twice",
        r"form body_after_it .*",
        _body_or_name,
    ),
)


def difference_of(case):
    """The row of a case, or None."""
    rows = [row for row in DIFFERENCES if re.fullmatch(row.cases, case)]
    assert len(rows) <= 1, f"{case} stands in several rows: {[row.name for row in rows]}"
    return rows[0] if rows else None


def check(case, starlette, lamella):
    """Fail unless both are equal, or, for a listed case, unless they differ as its row says."""
    row = difference_of(case)
    if row is None:
        assert starlette == lamella
        return
    assert starlette != lamella, f"{case} differs no longer; take it out of {row.name!r}"
    assert row.holds(starlette, lamella), f"not as {row.name!r}:\n{starlette}\n{lamella}"

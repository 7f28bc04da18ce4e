"""What differs in forms."""

import json

from tests.parity.differences.table import Difference, Section


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


def _body_or_name(starlette, lamella):
    if starlette[-1] != ("RuntimeError", "Stream consumed"):
        return False
    named = lamella[-1] and lamella[-1][0] == "BodyConsumedError" and "endpoint" in lamella[-1][1]
    return named or lamella[2] == b"a=1"


FORMS = Section(
    "Forms",
    (
        Difference(
            "the files of a form that nobody closes",
            "left to the collector",
            "closed when the exchange is over, after background tasks",
            "whatever is opened is closed",
            checked_by="test_requests.py::test_files_of_a_form_are_closed_when_the_exchange_is_over",
        ),
        Difference(
            "`async with request.form()` in a layer, or in an endpoint while a layer has the form, or a block that fails",
            "closes the files at its end",
            "leaves that to the end of the exchange; `await form.close()` does it at once",
            "a layer must not close what the endpoint is going to read, and what failed may be run again",
            checked_by="test_requests.py::test_block_of_the_endpoint_closes_the_files_unless_somebody_wants_them",
        ),
        Difference(
            "`body()` after `form()`",
            "`RuntimeError: Stream consumed`",
            "of an urlencoded form the body; after a multipart one `BodyConsumedError`, a `RuntimeError` that names who read it",
            "the right bytes, or an error that helps",
            cases=r"form body_after_it .*",
            holds=_body_or_name,
        ),
        Difference(
            "`MultiPartException`",
            "turned into an `HTTPException` by `form()` in an application",
            "is an `HTTPException` of 400 itself",
            "a parser of one's own may raise it, too",
            checked_by="test_formparsers.py::test_error_is_one_and_an_answer",
        ),
        Difference(
            "a multipart form that is cut off",
            "what was whole until then, as if it were all; a file cut off is left open",
            "400",
            "half a file must not look whole",
            cases=r"form cut, .*",
            holds=_form_refused,
        ),
        Difference(
            "the `filename` of a file: `../../a.txt`, `/etc/a.txt`, `..`",
            "as sent",
            'without folders, drive and control characters: `a.txt`, `a.txt`, `""`; as sent it is in `upload.headers`',
            "programs join it to a folder",
            cases=r"form filename .*",
            holds=_bare,
        ),
        Difference(
            "a `charset` of the form",
            "any codec of Python's, each looked for by its name; 500 for `undefined`",
            "ASCII, Latin-1 or windows-1252; UTF-8 for any other name; as in Starlette, Latin-1 for what it cannot decode",
            "the client would choose the codec, and Python keeps each name that it did not find",
            cases=r"form charset (undefined|with a zero|utf-7)",
            holds=_no_codec_chosen,
        ),
        Difference(
            "a part with a line feed or NUL in its headers, with two `Content-Disposition`, with another one than `form-data`, with a wrong `Content-Length`, with a line that begins with the boundary",
            "taken",
            "400",
            "what another reader on the way sees must be what is seen here",
            cases=r"form part, (?!no disposition).*",
            holds=_form_refused,
        ),
        Difference(
            "a part without `Content-Disposition`",
            '400, "name" must be provided',
            "400, invalid",
            "it lacks more than a name",
            cases=r"form part, no disposition",
            holds=_other_text,
        ),
        Difference(
            "a header of a part in two lines",
            "400",
            "taken",
            "RFC 7578 section 4.8, RFC 2045",
            cases=r"form folded header",
            holds=_folded,
        ),
        Difference(
            "all fields together",
            "1,000 of 1 MiB each",
            "16 MiB, or `max_part_size` if that is more: `MultiPartParser.max_text_size`, `FormParser.max_text_size`",
            "a request must not take a gigabyte of memory",
            cases=r"form all fields too long",
            holds=_form_refused,
        ),
        Difference(
            "bytes after the last boundary",
            "any number",
            "some 64 KiB, else 400",
            "nobody needs them",
            checked_by="security/test_forms.py::test_what_stands_outside_of_parts_is_limited",
        ),
        Difference(
            "the text for a limit that is no whole KB, 10 bytes say",
            "0KB",
            "10 bytes",
            "so that it is understood",
            cases=r"form (urlencoded, )?odd limit",
            holds=_other_text,
        ),
        Difference(
            "what is needed for multipart forms",
            "python-multipart, for urlencoded ones too",
            'multipart (`pip install "lamella[multipart]"`); nothing for urlencoded ones',
            "fewer packages",
            checked_by="test_formparsers.py::test_without_the_package_the_error_says_what_to_install",
        ),
    ),
)

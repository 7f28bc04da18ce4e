"""The body of a request: JSON, or a form.

Floor 5. It is read when the first call asks for it, which is after the dependencies that do not; so
whoever must not come in is refused before a large body is taken in.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeGuard, cast

from lamella.datastructures import FormData, UploadFile
from lamella.exceptions import HTTPException
from lamella.injection._invalid import invalid
from lamella.injection.decode import json_decoder
from lamella.injection.gather import ABSENT, field_value, gathered_fields, is_absent
from lamella.injection.read import decode_absent

if TYPE_CHECKING:
    from lamella.injection.plan import BodyPlan
    from lamella.injection.read import Read
    from lamella.requests import Request

__all__ = ["UNREAD", "body_value", "read_body", "read_whole", "shown"]

UNREAD: Final = object()
"""Stands for a body that nobody has asked for."""

_parse = json_decoder(Any)


class _Json(bytes):
    """Bytes that are declared as JSON."""


async def read_body(plan: BodyPlan, request: Request[Any]) -> Any:
    """Take in the body.

    Returns:
        The form; or the value of JSON whose members are parameters; or else the bytes, as
        ``_Json`` if they are declared so; ``ABSENT`` if there are none.

    Raises:
        Invalid: it is no JSON, with a place of its own.
        HTTPException: it is too large (413), or cannot be read (400).
    """
    try:
        if plan.form:
            return await request.form(**cast("Any", plan.limits))
        raw = await request.body()
    except HTTPException:
        raise
    except Exception as exc:
        raise HTTPException(400, "There was an error parsing the body") from exc
    if not raw:
        return ABSENT
    if not _is_json(request, strict=plan.strict):
        return raw
    return _parse(raw) if plan.embed else _Json(raw)


async def read_whole(read: Read, request: Request[Any], kwargs: dict[str, Any]) -> bool:
    """Add the argument that is a whole body of JSON. PERF: two thirds off a typed body.

    Returns:
        False if there is anything about it: then ``body_value`` tells what, from the same body.

    Raises:
        HTTPException: it is too large (413).
    """
    try:
        raw = await request.body()
        for name, value in request.scope["headers"]:
            if name == b"content-type":
                if value != b"application/json" or not raw or read.decode_json is None:
                    return False
                kwargs[read.name] = read.decode_json(raw)
                return True
    except HTTPException:
        raise
    except Exception:  # whatever it is, it will come again
        return False
    return False


def _is_json(request: Request[Any], *, strict: bool) -> bool:
    """Whether the body is declared as JSON: application/json, or application/*+json (RFC 6839)."""
    declared = request.headers.get("content-type")
    if not declared:
        return not strict
    if declared == "application/json":
        return True
    kind, _, subtype = declared.partition(";")[0].strip().lower().partition("/")
    return kind == "application" and (subtype == "json" or subtype.endswith("+json"))


async def body_value(read: Read, plan: BodyPlan, body: Any) -> Any:
    """One argument from the body.

    Raises:
        Invalid: it is missing, or does not fit.
        HTTPException: 415, since it is not declared as JSON.
    """
    if isinstance(body, FormData):
        return await _form_value(read, body)
    if plan.embed:
        if body is not ABSENT and not isinstance(body, bytes) and not _is_dict(body):
            raise invalid("missing", "Field required", None)  # whatever its default is
        member = body.get(read.alias, ABSENT) if _is_dict(body) else ABSENT
        return decode_absent(read) if member is ABSENT else _decoded(read, member)
    if body is ABSENT:
        return decode_absent(read)
    if isinstance(body, _Json):
        return read.decode_json(body) if read.decode_json else body
    if plan.refuses:
        raise HTTPException(
            415,
            "Expected a body of JSON, declared as Content-Type: application/json.",
            headers={"Accept": "application/json"},
        )
    return _decoded(read, body)


def _decoded(read: Read, value: Any) -> Any:
    return value if read.decode is None else read.decode(value)


async def _form_value(read: Read, form: FormData) -> Any:
    parameter = read.parameter
    if parameter.is_model:
        if is_absent(read, form):
            return decode_absent(read)
        gathered, _ = gathered_fields(() if read.is_union else read.fields, form)
        for name in [name for one in read.fields if one.wants_bytes for name, _ in one.names]:
            if name in gathered:
                gathered[name] = await _content(gathered[name])
        return _decoded(read, gathered)
    value = field_value(form, read.alias, several=parameter.is_sequence)
    if value is ABSENT:
        return decode_absent(read)
    return _decoded(read, await _content(value) if read.wants_bytes else value)


async def _content(value: Any) -> Any:
    """What is in a file, or in several."""
    if _is_list(value):
        return [await _content(one) for one in value]
    if not isinstance(value, UploadFile):
        return value
    # Another parameter may have the same file.
    position = value.file.tell()
    try:
        return await value.read()
    finally:
        await value.seek(position)


def shown(body: Any) -> Any:
    """What a body was, for who handles the error."""
    if body is UNREAD or body is ABSENT:
        return None
    if not isinstance(body, _Json):
        return body
    try:
        return json.loads(body)
    except Exception:  # it words an error
        return body.decode(errors="replace")


def _is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _is_dict(value: object) -> TypeGuard[dict[Any, Any]]:
    return isinstance(value, dict)

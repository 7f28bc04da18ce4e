"""``Jinja2Templates``: pages from Jinja2 templates.

Floor 6. Names as Starlette 1.10. Needs the extra ``templates``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, cast, overload

from lamella._inspect import describe, is_async_callable
from lamella._response import native
from lamella.exceptions import UsageError
from lamella.requests import Request
from lamella.responses import HTMLResponse

try:
    import jinja2
except ModuleNotFoundError as exc:
    if exc.name != "jinja2":  # installed, but something that it needs is not
        raise
    raise ImportError(
        'lamella.templating needs jinja2; install it with: pip install "lamella[templates]"'
    ) from None

if TYPE_CHECKING:
    from lamella.background import BackgroundTask
    from lamella.datastructures import URL
    from lamella.types import Receive, Scope, Send

__all__ = ["Jinja2Templates", "pass_context"]

pass_context = jinja2.pass_context

_DEBUG: Final = "http.response.debug"
_Directory = str | PathLike[str]
_ContextProcessor = Callable[[Request[Any]], dict[str, Any]]

# Endings that say what makes the page, and those that say that the page is markup; "" is none.
_TEMPLATE: Final = frozenset((".j2", ".jinja", ".jinja2"))
_MARKUP: Final = frozenset(("", ".html", ".htm", ".xhtml", ".xml", ".svg"))


class _TemplateResponse(HTMLResponse):
    """A rendered page, which tells a test client what it was made of."""

    def __init__(
        self,
        template: Any,
        context: dict[str, Any],
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        self.template = template
        self.context = context
        content = template.render(context)
        super().__init__(content, status_code, headers, media_type, background)

    @native
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the page; before it, template and context, if that is offered."""
        if scope["type"] == "http" and _DEBUG in (scope.get("extensions") or ()):
            info = {"template": self.template, "context": self.context}
            await send({"type": _DEBUG, "info": info})
        await super().__call__(scope, receive, send)


class Jinja2Templates:
    """Templates of a directory: ``templates.TemplateResponse(request, "page.html", {...})``.

    In a template there are `request`, and `url_for(name, **params)` for the URL of a route. What
    is put into markup is escaped: templates named `.html`, `.htm`, `.xhtml`, `.xml` or `.svg`, or
    with no such ending, also with `.j2`, `.jinja` or `.jinja2` behind it.

    Args:
        directory: where the templates are; or several, looked through in that order.
        context_processors: functions of the request that give more to every context. They are not
            async.
        env: an environment of your own, instead of a directory; it says itself what is escaped.

    Attributes:
        env: the `jinja2.Environment`, for filters, tests and globals.

    Raises:
        UsageError: neither or both of `directory` and `env`, or an async context processor.

    Source: as Starlette 1.10, which escapes for three endings.
    """

    context_processors: list[_ContextProcessor]
    env: jinja2.Environment

    @overload
    def __init__(
        self,
        directory: _Directory | Sequence[_Directory],
        *,
        context_processors: list[_ContextProcessor] | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self,
        *,
        env: jinja2.Environment,
        context_processors: list[_ContextProcessor] | None = None,
    ) -> None: ...

    def __init__(
        self,
        directory: _Directory | Sequence[_Directory] | None = None,
        *,
        context_processors: list[_ContextProcessor] | None = None,
        env: jinja2.Environment | None = None,
    ) -> None:
        for processor in context_processors or ():
            if is_async_callable(processor):
                raise UsageError(
                    f"Expected a context processor that is not async, got {describe(processor)};"
                    " await in the endpoint and put what you get into the context."
                )
        self.context_processors = context_processors or []
        if directory and env is None:
            loader = jinja2.FileSystemLoader(directory)
            env = jinja2.Environment(loader=loader, autoescape=_is_markup)  # noqa: S701 - as needed
        elif directory or env is None:
            raise UsageError(
                f"Expected one of the two, got directory={directory!r} and env={env!r}:"
                " either 'directory' or 'env' arguments must be passed."
            )
        self.env = env
        names = cast("dict[str, Any]", env.globals)  # jinja2 types it by its own defaults
        names.setdefault("url_for", _url_for)

    def get_template(self, name: str) -> jinja2.Template:
        """The template of that name.

        Raises:
            jinja2.TemplateNotFound: there is none.
        """
        return self.env.get_template(name)

    def TemplateResponse(  # noqa: N802 - Starlette's name
        self,
        request: Request[Any],
        name: str,
        context: dict[str, Any] | None = None,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> _TemplateResponse:
        """Render a template and make a response of it.

        Args:
            request: the one that is answered.
            name: of the template.
            context: what the template can use; it is not changed.
            status_code: the HTTP status.
            headers: names and values.
            media_type: the content type, "text/html" without it.
            background: run after the response was sent.

        Raises:
            jinja2.TemplateError: there is no such template, or it is wrong.
        """
        given: object = request
        if isinstance(given, str):
            raise UsageError(
                f"Expected the request first, got {given!r}; write"
                f" TemplateResponse(request, {given!r}, context)."
            )
        complete = {"request": request, **(context or {})}
        for processor in self.context_processors:
            complete.update(processor(request))
        template = self.get_template(name)
        return _TemplateResponse(template, complete, status_code, headers, media_type, background)


@pass_context
def _url_for(context: jinja2.runtime.Context, name: str, /, **path_params: Any) -> URL:
    """`url_for` of templates."""
    if "request" not in context:
        raise UsageError(
            f"Expected `request` in the context of {context.name!r}, where url_for({name!r}) is"
            " called; render it by TemplateResponse(request, ...)."
        )
    request: Request[Any] = context["request"]
    return request.url_for(name, **path_params)


def _is_markup(name: str | None) -> bool:
    """Whether what is put into the template of that name is escaped; a text has no name."""
    path = PurePosixPath((name or "").lower())
    if path.suffix in _TEMPLATE:
        path = path.with_suffix("")
    return path.suffix in _MARKUP

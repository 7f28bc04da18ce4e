"""An application of typed endpoints whose pages a browser opens, at its root and below a mount."""

import os
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import msgspec

from lamella import Depends, Form, HTTPException, Lamella, Path, Response
from lamella.responses import JSONResponse, RedirectResponse
from lamella.security import OAuth2AuthorizationCodeBearer

CODE = "a+b/c=&d"
login = OAuth2AuthorizationCodeBearer(
    authorizationUrl="/authorize",
    tokenUrl="/token",
    scopes={"write": "to add teas"},
    scheme_name="login",
)


class Tea(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(examples=["assam"])]
    grams: Annotated[int, msgspec.Meta(ge=1)] = 250
    kind: Literal["black", "green"] = "black"


async def read_tea(name: Annotated[str, Path(example="assam")]) -> Tea:
    return Tea(name)


async def add_tea(tea: Tea, given: Annotated[str, Depends(login)]) -> Tea:
    if given != "the-token":
        raise HTTPException(401, f"not {given}")
    return tea


async def authorize(redirect_uri: str, state: str) -> RedirectResponse:
    """An OAuth2 server that asks nobody; its code has what is easily lost on the way."""
    return RedirectResponse(f"{redirect_uri}?{urlencode({'code': CODE, 'state': state})}")


async def token(code: Annotated[str, Form()], client_id: Annotated[str, Form()]) -> Any:
    if (code, client_id) != (CODE, "the-shop"):
        return JSONResponse({"error": "invalid_grant"}, status_code=400)
    return {"access_token": "the-token", "token_type": "bearer"}


async def picture() -> Response:
    image = '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>'
    return Response(image, media_type="image/svg+xml")


async def strict(request, call_next):
    """A layer that says for every response what it may load, over what the response says."""
    response = await call_next(request)
    response.headers.append("content-security-policy", os.environ["POLICY"])
    return response


def teas(**options: Any) -> Lamella:
    app = Lamella(
        title="Teas",
        version="1.0",
        description="What the *shop* sells. ![tea](/tea.svg)",
        # Where ReDoc and Swagger UI may look for it, though nothing is there.
        terms_of_service="https://example.invalid/terms",
        servers=[{"url": "/"}, {"url": "https://example.invalid/api"}],
        swagger_ui_init_oauth={"clientId": "the-shop"},
        generate_unique_id_function=lambda route: route.name,
        **options,
    )
    app.get("/teas/{name}", tags=["teas"], summary="Read a tea")(read_tea)
    app.post("/teas", tags=["teas"], summary="Add a tea", status_code=201)(add_tea)
    app.get("/authorize", include_in_schema=False)(authorize)
    app.post("/token", include_in_schema=False)(token)
    app.get("/tea.svg", include_in_schema=False)(picture)
    return app


app = teas(middleware=[strict] if os.environ.get("POLICY") else [])
app.mount("/below", teas())

"""How typed endpoints, dependencies and options are written; the lines marked wrong are errors."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, assert_type

import msgspec

from lamella import APIRouter, Body, Depends, Header, Lamella, Path, Query, Request, Security
from lamella.controllers import Controller, get, post
from lamella.params import Depends as DependsClass
from lamella.routing import RouteOptions
from lamella.security import SecurityScopes


class Item(msgspec.Struct):
    name: str
    price: float = 0


async def session() -> AsyncIterator[str]:
    yield "session"


def settings() -> Iterator[dict[str, str]]:
    yield {}


def user(scopes: SecurityScopes, token: Annotated[str, Header()]) -> str:
    return token


Session = Annotated[str, Depends(session, scope="request")]

app = Lamella(title="Shop", problem_details=True, dependencies=[Depends(settings)])
app = Lamella(titel="Shop")  # wrong
router = APIRouter(prefix="/items", tags=["items"], max_body_size=1024)
router = APIRouter(prefix="/items", tag="items")  # wrong
Depends(session, scope="app")
DependsClass(session, scope="application")  # wrong
Query(min_length=3, alias="q")
Query(min_lenght=3)  # wrong
Path(ge="1")  # wrong


@app.get("/items/{item_id}", status_code=200, response_model_exclude={"price"})
async def read(item_id: int, db: Session, q: Annotated[str | None, Query()] = None) -> Item:
    return Item(q or db)


@app.post("/items", status="created")  # wrong
async def make(item: Item, size: int = Body(gt=0)) -> Item:
    return item


@router.get("/", summary=1)  # wrong
def all_items(who: Annotated[str, Security(user, scopes=["read"])]) -> list[Item]:
    return []


class Items(Controller):
    prefix = "/controlled"

    def __init__(self, db: Session) -> None:
        self.db = db

    @get("/{item_id}")
    async def read(self, item_id: int) -> Item:
        return Item(self.db)

    @post("/", tags="items", status_code="201")  # wrong
    async def make(self, item: Item) -> Item:
        return item


async def called(request: Request) -> None:
    """The decorators leave a function what it is."""
    assert_type(await read(1, "db"), Item)
    assert_type(await Items("db").read(1), Item)
    await read("1", "db")  # wrong
    request.provide(Item("tea"))


options: RouteOptions = {"tags": ["a"], "status_code": 201}
app.include_router(router, prefix="/v1", tags=["v1"])
app.include_router(Items.router(), prefixes="/v1")  # wrong
app.add_api_route("/more", read, **options)
with app.override({session: lambda: "other"}):
    pass

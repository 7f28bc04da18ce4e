"""starlette-admin: the same kind of pages, with an API of their own, behind a login."""

import re

import pytest
from sqlalchemy import String, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette_admin.contrib.sqla import Admin, ModelView


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))


@pytest.fixture
def engine():
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Item(name="pen"), Item(name="book")])
        session.commit()
    yield engine
    engine.dispose()


async def home(request):
    return PlainTextResponse(str(request.url_for("admin:list", key="item")))


@pytest.fixture
def client(engine, four_layers):
    app = Starlette(routes=[Route("/", home)], middleware=four_layers)
    admin = Admin(engine, title="Shop", secret_key="k" * 32)
    admin.add_view(ModelView(Item, icon="fa fa-list"))
    admin.mount_to(app)
    return TestClient(app)


def names(engine):
    with Session(engine) as session:
        return sorted(session.scalars(select(Item.name)))


def send(client, path, **fields):
    """Fill in a form as a browser does, with the token that its page has."""
    page = client.get(path).text
    token = re.search(r'name="csrftoken" value="([^"]+)"', page)[1]
    return client.post(path, data={"csrftoken": token, **fields}, follow_redirects=False)


def test_its_routes_have_urls(client, passed):
    assert "http://testserver/admin/item/list" == passed(client.get("/")).text


def test_rows_are_listed(client, passed):
    page = passed(client.get("/admin/item/list")).text
    assert "pen" in page
    assert "book" in page


def test_a_row_is_created_shown_and_edited(client, engine):
    response = send(client, "/admin/item/create", name="cup")
    assert (303, "http://testserver/admin/item/list") == (
        response.status_code,
        response.headers["location"],
    )
    assert ["book", "cup", "pen"] == names(engine)
    assert "successfully" in client.get("/admin/item/list").text
    assert "cup" in client.get("/admin/item/detail?pk=3").text
    assert 303 == send(client, "/admin/item/edit?pk=3", name="mug").status_code
    assert ["book", "mug", "pen"] == names(engine)


def test_a_form_without_its_token_is_refused(client, engine):
    assert 403 == client.post("/admin/item/create", data={"name": "cup"}).status_code
    assert ["book", "pen"] == names(engine)


def test_files_and_pages_that_are_not_there(client, passed):
    page = passed(client.get("/admin/item/list")).text
    script = re.search(r'src="http://testserver(/admin/static/[^"]+)"', page)[1]
    assert 200 == passed(client.get(script)).status_code
    assert 404 == passed(client.get("/admin/nothing/list")).status_code

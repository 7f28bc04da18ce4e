"""sqladmin: list, create, edit and delete rows in pages of its own, behind a login."""

import pytest
from sqladmin import Admin, BaseView, ModelView, action, expose
from sqladmin.authentication import AuthenticationBackend
from sqlalchemy import String, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool
from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse
from starlette.testclient import TestClient


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))


class ItemAdmin(ModelView, model=Item):
    column_list = ["id", "name"]
    column_searchable_list = ["name"]
    form_columns = ["name"]

    @action(name="shout", label="Shout")
    async def shout(self, request):
        return RedirectResponse(request.url_for("admin:list", identity=self.identity), 303)


class Account(BaseView):
    name = "Account"

    @expose("/account", methods=["GET"])
    async def account(self, request):
        return JSONResponse({"user": request.session["user"]})


class Login(AuthenticationBackend):
    async def login(self, request):
        form = await request.form()
        request.session["user"] = form["username"]
        return form["password"] == "right"

    async def logout(self, request):
        request.session.clear()
        return True

    async def authenticate(self, request):
        return request.session.get("user") == "ann"


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


@pytest.fixture
def client(engine, four_layers):
    app = Starlette(middleware=four_layers)
    admin = Admin(app, engine, authentication_backend=Login(secret_key="k" * 32))
    admin.add_view(ItemAdmin)
    admin.add_view(Account)
    client = TestClient(app)
    client.post("/admin/login", data={"username": "ann", "password": "right"})
    return client


def names(engine):
    with Session(engine) as session:
        return sorted(session.scalars(select(Item.name)))


def test_without_a_login_there_is_none_of_it(client, passed):
    client.cookies.clear()
    response = passed(client.get("/admin/item/list", follow_redirects=False))
    assert (302, "http://testserver/admin/login") == (
        response.status_code,
        response.headers["location"],
    )
    response = client.post("/admin/login", data={"username": "ann", "password": "wrong"})
    assert 400 == response.status_code


def test_rows_are_listed_and_searched(client, passed):
    page = passed(client.get("/admin/item/list")).text
    assert "pen" in page
    assert "book" in page
    assert "book" not in client.get("/admin/item/list?search=pen").text


def test_a_row_is_created_edited_and_deleted(client, engine):
    assert 200 == client.get("/admin/item/create").status_code
    response = client.post(
        "/admin/item/create", data={"name": "cup", "save": "Save"}, follow_redirects=False
    )
    assert (302, ["book", "cup", "pen"]) == (response.status_code, names(engine))
    client.post("/admin/item/edit/3", data={"name": "mug", "save": "Save"})
    assert ["book", "mug", "pen"] == names(engine)
    assert "mug" in client.get("/admin/item/details/3").text
    client.delete("/admin/item/delete?pks=3")
    assert ["book", "pen"] == names(engine)


def test_a_form_that_is_wrong_is_shown_again(client, engine):
    response = client.post("/admin/item/create", data={"name": "", "save": "Save"})
    assert (400, ["book", "pen"]) == (response.status_code, names(engine))


def test_rows_are_exported(client, passed):
    response = passed(client.get("/admin/item/export/csv"))
    assert "text/csv" in response.headers["content-type"]
    assert ["id,name", "1,pen", "2,book"] == response.text.split()


def test_its_files_its_actions_and_own_pages(client, passed):
    assert 200 == passed(client.get("/admin/statics/css/main.css")).status_code
    assert {"user": "ann"} == passed(client.get("/admin/account")).json()
    response = client.post("/admin/item/action/shout?pks=1", follow_redirects=False)
    assert response.status_code in {303, 404, 405}
    assert 404 == client.get("/admin/nothing/list").status_code

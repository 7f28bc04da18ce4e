"""The page at `/`, the one for the staff, and what belongs to them: plain endpoints."""

from pathlib import Path

from lamella.middleware import Middleware
from lamella.requests import Request
from lamella.responses import Response
from lamella.routing import BaseRoute, Mount, Route, WebSocketRoute
from lamella.templating import Jinja2Templates

from . import basket, files, layers, talk
from .store import Store

WORDS = {
    "en": {
        "title": "The tea shop",
        "find": "Find",
        "live": "Orders, live",
        "list": "Catalogue",
        "about": "About",
        "basket": "Basket",
        "add": "Into the basket",
        "empty": "Empty it",
        "talk": "At the counter",
        "say": "Say",
        "staff": "Staff",
        "token": "Token",
        "sign_in": "Sign in",
        "sign_out": "Sign out",
        "product": "Product",
        "photo": "Photo",
        "send": "Send",
    },
    "de": {
        "title": "Der Teeladen",
        "find": "Suchen",
        "live": "Bestellungen",
        "list": "Katalog",
        "about": "Über uns",
        "basket": "Korb",
        "add": "In den Korb",
        "empty": "Leeren",
        "talk": "An der Theke",
        "say": "Sagen",
        "staff": "Personal",
        "token": "Token",
        "sign_in": "Anmelden",
        "sign_out": "Abmelden",
        "product": "Produkt",
        "photo": "Foto",
        "send": "Senden",
    },
    "fr": {
        "title": "La boutique de thé",
        "find": "Chercher",
        "live": "Commandes",
        "list": "Carte",
        "about": "À propos",
        "basket": "Panier",
        "add": "Au panier",
        "empty": "Vider",
        "talk": "Au comptoir",
        "say": "Dire",
        "staff": "Équipe",
        "token": "Jeton",
        "sign_in": "Entrer",
        "sign_out": "Sortir",
        "product": "Produit",
        "photo": "Photo",
        "send": "Envoyer",
    },
}

TEMPLATES = Jinja2Templates(directory=Path(__file__).parent / "templates")


async def home(request: Request) -> Response:
    """GET /: the first products, or those with `q` in the name, the basket and the live feeds."""
    store: Store = request.app.state.store
    q = request.query_params.get("q", "")
    found, _ = await store.search(q, page=1)
    chosen = await basket.contents(request)
    return page(request, "home.html", q=q, products=found, basket=chosen)


async def staff(request: Request) -> Response:
    """GET /staff: a form to sign in, or the form that uploads photos."""
    return page(request, "staff.html", signed_in=request.session.get("staff", False))


def page(request: Request, name: str, **context: object) -> Response:
    """Return a page in the language of the request."""
    locale: str = request.state.locale
    return TEMPLATES.TemplateResponse(
        request, name, {"locale": locale, "words": WORDS[locale], **context}
    )


STAFF_ONLY = [Middleware(layers.StaffOnly)]

ROUTES: list[BaseRoute] = [
    Route("/", home),
    Route("/catalogue.csv", files.catalogue),
    Route("/manual.pdf", files.manual),
    Route("/photos/{name}", files.photo),
    Route("/basket", basket.add, methods=["POST"]),
    Route("/basket/empty", basket.empty, methods=["POST"]),
    Route("/staff", staff),
    Route("/staff/sign-in", basket.sign_in, methods=["POST"]),
    Route("/staff/sign-out", basket.sign_out, methods=["POST"], middleware=STAFF_ONLY),
    Route("/staff/photo", files.upload_photo, methods=["POST"], middleware=STAFF_ONLY),
    WebSocketRoute("/talk", talk.talk),
    Mount("/static", files.STATIC, name="static"),
]

"""The page at `/`, and the one for the staff."""

from pathlib import Path

from lamella.requests import Request
from lamella.responses import Response
from lamella.templating import Jinja2Templates

from .basket import contents
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
    basket = await contents(request)
    return page(request, "home.html", q=q, products=found, basket=basket)


async def staff(request: Request) -> Response:
    """GET /staff: a form to sign in, or the form that uploads photos."""
    return page(request, "staff.html", signed_in=request.session.get("staff", False))


def page(request: Request, name: str, **context: object) -> Response:
    """Return a page in the language of the request."""
    locale: str = request.state.locale
    return TEMPLATES.TemplateResponse(
        request, name, {"locale": locale, "words": WORDS[locale], **context}
    )

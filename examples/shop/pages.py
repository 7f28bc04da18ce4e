"""The page at `/`."""

from html import escape

from lamella.requests import Request
from lamella.responses import HTMLResponse

from .store import Product, Store

WORDS = {
    "en": {"title": "The tea shop", "find": "Find", "live": "Orders, live", "list": "Catalogue"},
    "de": {"title": "Der Teeladen", "find": "Suchen", "live": "Bestellungen", "list": "Katalog"},
    "fr": {"title": "La boutique de thé", "find": "Chercher", "live": "Commandes", "list": "Carte"},
}

PAGE = """<!doctype html>
<html lang="{locale}">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>{title}</title>
  <link rel="stylesheet" href="/static/shop.css">
  <script src="/static/shop.js" defer></script>
</head>
<body>
  <header>
    <h1>{title}</h1>
    <form><input name="q" value="{q}" aria-label="{find}"><button>{find}</button></form>
    <nav><a href="/catalogue.csv">{list} (CSV)</a> <a href="/manual.pdf">PDF</a></nav>
  </header>
  <main>
    <table>
{rows}
    </table>
    <aside><h2>{live}</h2><ol id="feed"></ol></aside>
  </main>
</body>
</html>
"""

ROW = """      <tr>
        <td>{photo}<strong>{name}</strong><br>{description}</td>
        <td class="price">{price}</td>
        <td class="stock">{stock} &times;</td>
      </tr>"""


async def home(request: Request) -> HTMLResponse:
    """GET /: the first products, or those with `q` in the name, and the live feed."""
    store: Store = request.app.state.store
    q = request.query_params.get("q", "")
    found, _ = await store.search(q, page=1)
    locale: str = request.state.locale
    rows = "\n".join(row(product) for product in found)
    return HTMLResponse(PAGE.format(locale=locale, q=escape(q), rows=rows, **WORDS[locale]))


def row(product: Product) -> str:
    """Return one product as a row of the table."""
    photo = f'<img src="{escape(product.photo)}" alt="">' if product.photo else ""
    return ROW.format(
        photo=photo,
        name=escape(product.name),
        description=escape(product.description),
        price=f"{product.price_cents / 100:.2f} €",
        stock=product.stock,
    )

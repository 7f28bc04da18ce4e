"""The teas the shop starts with."""

from typing import NamedTuple


class Seed(NamedTuple):
    """One product as it is first put into the database."""

    name: str
    description: str
    price_cents: int
    stock: int


TEAS = [
    ("Assam", "Malty, dark and honest. Takes milk.", 450),
    ("Bancha", "The everyday green tea of Japan.", 380),
    ("Ceylon", "Bright and brisk, from the high gardens.", 470),
    ("Chai", "Black tea with cardamom, ginger, clove & pepper.", 520),
    ("Chamomile", "Whole flowers, for the evening.", 390),
    ("Darjeeling", "First flush: light, with a note of muscat.", 890),
    ("Earl Grey", "Black tea with oil of bergamot.", 490),
    ("Genmaicha", "Green tea with roasted rice.", 430),
    ("Grüner Sencha", "Steamed, grassy and clear.", 610),
    ("Gunpowder", "Rolled tight; opens with a hint of smoke.", 410),
    ("Gyokuro", "Shaded for three weeks before the harvest.", 1490),
    ("Hibiscus", "Sour and red. Good on ice.", 360),
    ("Jasmine", "Green tea scented with fresh blossoms.", 580),
    ("Keemun", "Soft, winey, a little cocoa.", 640),
    ("Lapsang Souchong", 'Dried over pine fires. "Like a campfire," they say.', 660),
    ("Maté", "From the south of Brazil; keeps one awake.", 420),
    ("Mother's Mint", "Nana mint < 24 hours from field to oven.", 370),
    ("Oolong", "Half green, half black, never dull.", 790),
    ("Pu-erh", "Aged five years; earthy and deep.", 920),
    ("Rooibos", "Red, sweet and without caffeine.", 350),
]

SIZES = [("50 g", 1), ("100 g", 2), ("250 g", 4), ("1 kg", 12)]


def seeds() -> list[Seed]:
    """Return every tea in every size, in the order of their ids (1, 2, 3 ...)."""
    return [
        Seed(f"{tea}, {size}", description, price_cents * factor, stock=500)
        for tea, description, price_cents in TEAS
        for size, factor in SIZES
    ]

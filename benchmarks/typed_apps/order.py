"""What the programs take and give: an order of six fields, one of them five lines."""

from __future__ import annotations

import json

CONTENT = {
    "number": "2026-1147",
    "customer": "Ada Lovelace",
    "paid": True,
    "total": 94.5,
    "note": None,
    "lines": [{"sku": f"sku-{n}", "quantity": n, "price": 1.5 * n + 0.25} for n in range(1, 6)],
}
BODY = json.dumps(CONTENT, separators=(",", ":")).encode()

ITEM = {"item_id": 42, "q": "hello"}
EMPTY: dict[str, int] = {}

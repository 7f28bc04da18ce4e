"""The same typed programs on each framework, one module a framework, each in that one's own way.

A module has some of these functions; what its framework has no way for, it leaves out:

* ``query()``: ``GET /items/42?q=hello``, an integer and a text, answered as JSON;
* ``body()``: ``POST /orders``, the JSON of ``order.BODY``, validated and sent back;
* ``dependencies(count)``: ``GET /`` with ``count`` async dependencies, 0 or 10, that only return;
* ``many(count)``: ``count`` routes ``PUT /resource{n}/{item_id}`` with an integer in the path, an
  optional text in the query, an order as the body and as the answer, and the OpenAPI document at
  the path ``DOCUMENT``.

``BY_HAND`` names the programs that do themselves what those of other frameworks declare.
Annotations are read when the endpoints are declared, so no module here postpones them.
"""

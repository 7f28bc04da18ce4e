"""A tea shop: a small real service, and the model of a lamella program.

Start it with `make run`, or `python -m examples.shop`, and read it in this order:

    app.py        what there is: the routes, the layers, and what starts and stops with them
    layers.py     nine layers, each a few lines; the tenth, for sessions, is lamella's
    api.py        products and orders as JSON
    pages.py      the pages, from templates/
    basket.py     what the session keeps: the basket, and who is of the staff
    talk.py       talk at the counter, over a WebSocket
    files.py      downloads, static/, photos as a stream and from a form
    feed.py       the live feed of orders (server-sent events)
    store.py      products and orders in SQLite
    reading.py    small questions about a request
    errors.py     every error as one shape of JSON
    catalogue.py  the teas it starts with
    settings.py   what the environment may change
    server.py     how it is served and stopped
    main.py       the same as `app`, for another server
"""

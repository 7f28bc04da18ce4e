"""A tea shop: a small real service, and the model of a lamella program.

Start it with `make run`, or `python -m examples.shop`, and read it in this order:

    app.py        all of it: the API, the pages, the layers around both
    api.py        products and orders as JSON, and the live feed: typed endpoints, see /docs
    models.py     what comes in and goes out as JSON
    needs.py      what the endpoints depend on; who may write
    layers.py     the layers, each a few lines; the one for sessions is lamella's
    pages.py      the pages, from templates/, and what belongs to them: plain endpoints
    basket.py     what the session keeps: the basket, and who is of the staff
    talk.py       talk at the counter, over a WebSocket
    files.py      downloads, static/, photos
    feed.py       what is told to all who listen
    store.py      products and orders in SQLite
    opening.py    what starts and stops with the shop
    reading.py    small questions about a request
    errors.py     errors as JSON
    catalogue.py  the teas it starts with
    settings.py   what the environment may change
    server.py     how it is served and stopped
    main.py       the same as `app`, for another server
"""

"""What `TestClient` and `AsyncTestClient` are made of; import both from `lamella.testclient`.

From the test to the app:

* the client holds the lifespan, and for the synchronous one the portal into an event loop;
* its transport turns a request into a scope (`http_client`);
* a run calls the app on one scope, in the loop: `http`, `websocket`, `lifespan`, all on `run`.

The runs know neither httpx nor threads. The synchronous client calls them through its portal, the
asynchronous one awaits them, so both say the same of an app.
"""

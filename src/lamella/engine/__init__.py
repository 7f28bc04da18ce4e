"""The engine: how a request becomes a response, and why none gets lost.

Theory of operation
===================

Every component of a stack (app, layer, router, route, mount) has up to two faces:

* the **ASGI face** ``async __call__(scope, receive, send)``, which everything has, and
* the **service face** ``async respond(request) -> Response``, for what can answer with a value.

::

    server -- scope, receive, send --> edge -- Request --> layer --> layer --> router --> endpoint
                                        <-- Response ---- await <-- await <-- await <--- await
                                                             |
                                                             +-- foreign ASGI app or layer: bridge

A stack of dispatch layers is a chain of plain awaits in one task: the response is a value until
the edge sends it, so nothing in between can drop it. A coroutine returns or raises; there is no
third way in which "no response" could arise.

The rules, and the file that keeps each:

1. *Nominal, never guessed* (``service.py``). A service is an instance of ``Service``. Its ASGI
   callables carry the name of their service twin; a subclass that overrides ``__call__`` does not
   inherit the mark, so it is run through its ASGI face.
2. *Folded once* (``stack.py``). Links are resolved when the stack is built: ``call_next`` is a
   bound method, and a wrong stack fails there, naming the layer.
3. *One Request, one inbound* (``inbound.py``). One object owns the server's ``receive``: the body,
   its position, the disconnect, and whoever waits for it.
4. *One edge* (``edge.py``). Only the outermost service face sends. Order: stack, send, callbacks
   of ``after_response``, background tasks. A client that left is a quiet outcome.
5. *The bridge* (``bridge.py``). A foreign app below a dispatch layer runs in one task of its own,
   in a copy of the caller's context from which changes are brought back (``contexts.py``): what a
   layer resets when ``call_next`` has returned, the rest of the app still sees. At most one body
   message waits between the two. With no dispatch layer outside it, it is called straight, on the
   edge's own ``send``: no task.
6. *Errors pass as they are*. No exception groups, no swallowed causes.
7. *Streams are pulled* (``interrupt.py`` stops them). Never read ahead; closed at once, in the task
   that ran them, whatever ends them. They and background tasks keep the ContextVars of their start.
   One lazy watcher an exchange tells of a client that left.
8. *Responses stay what they are*: ``call_next`` returns the endpoint's own object.
9. *The native path uses no primitive of an event loop*: no task, lock or queue. The rest asks
   ``loop.py`` for the few that it needs, which are asyncio's own, or trio's (``on_trio.py``).

Reading order: ``service``, ``edge``, ``inbound``, ``interrupt``, ``bridge``, ``stack``.

This package imports nothing of itself here: its modules stand on different floors, and
``requests`` needs ``inbound`` without the rest.
"""

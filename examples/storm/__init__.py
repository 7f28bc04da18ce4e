"""A storm over the tea shop: real sockets, many clients that behave, and some that do not.

`python -m examples.storm` starts the shop in a process of its own, lets healthy clients check
every byte of their answers while rude ones hang up, stall and babble, and then asks the process
what is left behind. `--against starlette` runs the shop on Starlette as well, its API as plain
endpoints, since Starlette has no typed ones.

    __main__.py   the command
    plan.py       how long, how many, which seed, on which framework
    side.py       one run from start to end: warm-up, storm, settling, SIGTERM
    ending.py     SIGTERM while requests are in flight
    server.py     the shop's process, which tells what is in it
    process.py    the storm's end of that process
    framework.py  lamella or Starlette, under one name
    plain.py      the shop's API for Starlette
    wire.py       an HTTP/1.1 client that believes nothing
    client.py     a client that behaves
    healthy.py    what such clients do all day
    rude.py       the clients that do not
    meter.py      what the clients count
    report.py     the table, and whether the run was good
"""

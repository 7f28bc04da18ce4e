"""Talk at the counter: what one visitor says over the WebSocket, all hear, the visitor too."""

import asyncio

import anyio

from lamella.websockets import WebSocket, WebSocketDisconnect

from .feed import Feed

LONGEST = 200  # characters that are passed on


async def talk(websocket: WebSocket) -> None:
    """/talk: pass on what is said here and elsewhere, until the visitor leaves."""
    room: Feed[str] = websocket.app.state.talk
    await websocket.accept()
    with room.subscribe() as heard:
        async with anyio.create_task_group() as group:
            group.start_soon(pass_on, websocket, heard)
            async for text in websocket.iter_text():
                room.send(text[:LONGEST])
            group.cancel_scope.cancel()


async def pass_on(websocket: WebSocket, heard: asyncio.Queue[str | None]) -> None:
    """Send a visitor what is heard, and hang up when the shop closes."""
    try:
        while (text := await heard.get()) is not None:
            await websocket.send_text(text)
        await websocket.close(1001, "The shop closes.")
    except WebSocketDisconnect:
        return  # gone; who reads sees it too, and ends this

"""A web application, for both kinds of servers."""

import os
import sys


def wsgi(environ, start_response):
    """Answer who is asked, or fail."""
    if environ["PATH_INFO"] == "/fail":
        raise ValueError("asked to fail")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{__file__} {os.getpid()}\n".encode()]


async def asgi(scope, receive, send):
    """Answer who is asked, or fail."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["path"] == "/fail":
        raise ValueError("asked to fail")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"{__file__} {os.getpid()}\n".encode()})


if __name__ == "__main__":
    sys.exit("for a server")

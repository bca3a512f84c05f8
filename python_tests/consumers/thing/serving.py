"""Start a server as a child, ask it until both workers have answered, and end it."""

import http.client
import re
import signal
import socket
import subprocess
import sys
import time


def ask(port, path):
    """Ask the server."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode().split()
    finally:
        connection.close()


def wait_for(port, server):
    """Wait until the server answers."""
    while server.poll() is None:
        try:
            return ask(port, "/")
        except OSError:
            time.sleep(0.05)
    return server.returncode


def main(arguments):
    """Show what the server answers and writes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, *(word.replace("PORT", str(port)) for word in arguments)]
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, **output) as server:
        wait_for(port, server)
        workers = set()
        while len(workers) < 2 and server.poll() is None:
            status, (path, worker) = ask(port, "/")
            workers.add(worker)
        print(status, path, ask(port, "/fail"))
        server.send_signal(signal.SIGTERM)
        written, _ = server.communicate(timeout=30)
    print(server.returncode)
    # Numbers of processes and of the port, and times; the workers' lines come in any order.
    lines = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d+|(?<![-\w./])\d{3,}\b", "N", written)
    print(*sorted(set(lines.splitlines())), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])

from gevent import monkey

monkey.patch_all()
import socket  # noqa: E402
import subprocess  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

import extensions  # noqa: E402
import gevent  # noqa: E402
import gevent.pool  # noqa: E402
import gevent.queue  # noqa: E402
import greenlet  # noqa: E402
from gevent.server import StreamServer  # noqa: E402

order = []


def work(name, seconds):
    time.sleep(seconds)
    order.append(name)


gevent.joinall([gevent.spawn(work, "late", 0.2), gevent.spawn(work, "early", 0.01)])
print(order, gevent.pool.Pool(2).map(lambda x: x * x, range(4)))
server = StreamServer(("127.0.0.1", 0), lambda client, _: client.sendall(client.recv(10).upper()))
server.start()
with socket.create_connection(server.address) as client:
    client.sendall(b"text")
    print(client.recv(10))
server.stop()
thread = threading.Thread(target=print, args=("in a thread",))
thread.start()
thread.join()
print(subprocess.check_output(["echo", "child"]), gevent.get_hub().threadpool.apply(pow, (2, 10)))
from gevent.resolver import ares, cares  # noqa: E402

print(ares.Resolver().gethostbyname("127.0.0.1"))
print(gevent.config.loop.__name__, type(gevent.get_hub().loop).__module__)
extensions.show(greenlet._greenlet, gevent._gevent_cgreenlet, cares)

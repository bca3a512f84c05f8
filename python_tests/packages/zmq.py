import extensions
import zmq
from zmq.backend.cython import _zmq

context = zmq.Context()
pull, push = context.socket(zmq.PULL), context.socket(zmq.PUSH)
port = pull.bind_to_random_port("tcp://127.0.0.1")
push.connect(f"tcp://127.0.0.1:{port}")
push.send_multipart([b"one", b"two"])
push.send_json({"ü": 1})
assert pull.poll(20000)
print(pull.recv_multipart(), pull.recv_json())
public, secret = zmq.curve_keypair()
print(zmq.curve_public(secret) == public, zmq.has("curve"), zmq.zmq_version())
try:
    pull.recv(zmq.NOBLOCK)
except zmq.Again as error:
    print(error)
context.destroy()
extensions.show(_zmq)

from concurrent import futures

import extensions
import grpc


class Handler(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method == "/thing/Upper":
            return grpc.unary_unary_rpc_method_handler(lambda request, context: request.upper())
        if details.method == "/thing/Count":
            return grpc.unary_stream_rpc_method_handler(
                lambda request, context: (str(n).encode() for n in range(int(request)))
            )
        return None


server = grpc.server(futures.ThreadPoolExecutor(2))
server.add_generic_rpc_handlers((Handler(),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
    print(channel.unary_unary("/thing/Upper")(b"text", timeout=20))
    print(list(channel.unary_stream("/thing/Count")(b"3", timeout=20)))
    try:
        channel.unary_unary("/thing/Other")(b"", timeout=20)
    except grpc.RpcError as error:
        print(error.code(), error.details())
server.stop(None).wait()
# The certificates of its own, which it reads from beside its module.
print(len(grpc.ssl_channel_credentials.__doc__) > 0)
from grpc._cython import cygrpc  # noqa: E402

extensions.show(cygrpc)

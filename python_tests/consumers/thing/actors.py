"""Actors for a queue in memory."""

import dramatiq
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Retries

broker = StubBroker(middleware=[Retries()])
dramatiq.set_broker(broker)
seen = []


@dramatiq.actor(max_retries=0)
def divide(a, b):
    """Divide."""
    seen.append(a / b)


def main():
    """Do one task that can be done and one that cannot."""
    import logging

    logging.basicConfig(format="%(levelname)s %(message)s")
    worker = dramatiq.Worker(broker, worker_timeout=100, worker_threads=1)
    worker.start()
    for arguments in [(6, 3), (1, 0)]:
        divide.send(*arguments)
        # Two messages that wait are taken in any order.
        broker.join(divide.queue_name)
    worker.join()
    worker.stop()
    print(seen, divide, divide.fn.__code__.co_filename)


if __name__ == "__main__":
    main()

"""Start a celery worker as a child, and give it tasks."""

import shutil
import signal
import subprocess
import sys

from thing.tasks import divide


def main():
    """Do tasks that can be done and one that cannot."""
    command = [sys.executable, "-m", "celery", "--app", "thing.tasks", "worker", "--concurrency=2"]
    options = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=error"]
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen([*command, *options], **output) as worker:
        print([divide.delay(number, 2).get(timeout=30) for number in (4, 6)])
        failed = divide.delay(1, 0)
        print(repr(failed.get(timeout=30, propagate=False)), failed.traceback)
        worker.send_signal(signal.SIGTERM)
        written, _ = worker.communicate(timeout=30)
    for folder in "queue", "results", "control":
        shutil.rmtree(folder, ignore_errors=True)
    print(worker.returncode, written[written.find("Traceback") :])


if __name__ == "__main__":
    main()

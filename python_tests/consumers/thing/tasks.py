"""Tasks for a queue that lies in a folder or in memory."""

import os

from celery import Celery

os.makedirs("queue", exist_ok=True)
os.makedirs("results", exist_ok=True)

app = Celery("thing.tasks", broker="filesystem://", backend="file://results")
app.conf.update(
    broker_transport_options={"data_folder_in": "queue", "data_folder_out": "queue"},
    worker_hijack_root_logger=False,
    worker_enable_remote_control=False,
)


@app.task
def divide(a, b):
    """Divide."""
    return a / b

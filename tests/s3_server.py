"""An S3-compatible server of this test run's own (moto), on 127.0.0.1."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def s3_server(bucket: str) -> Iterator[str]:
    """Its address; the environment of this process and of its children leads there while it runs.

    One request at a time: moto looks whether an object is there and then puts it, and only one after the other makes
    that the conditional put that S3 promises.
    """
    import boto3
    import s3fs
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=False)
    thread = threading.Thread(target=server.serve_forever, name="s3", daemon=True)
    thread.start()
    before = dict(os.environ)
    address = f"http://127.0.0.1:{server.server_port}"
    os.environ.update(CREDENTIALS | {"AWS_ENDPOINT_URL": address})
    try:
        boto3.client("s3").create_bucket(Bucket=bucket)
        yield address
    finally:
        os.environ.clear()
        os.environ.update(before)
        s3fs.S3FileSystem.clear_instance_cache()
        server.shutdown()
        thread.join(10)

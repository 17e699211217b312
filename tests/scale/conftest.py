"""A server that speaks S3, a bucket in it, and what must be installed for that."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.cli.conftest import run

__all__ = ["run"]

SETTINGS = {
    "AWS_ACCESS_KEY_ID": "anybody",
    "AWS_SECRET_ACCESS_KEY": "anything",
    "AWS_REGION": "us-east-1",
    "AWS_ALLOW_HTTP": "true",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
}


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """The address of moto's server, which runs for the session."""
    pytest.importorskip("obstore", reason='needs obstore: pip install -e ".[scale]"')
    server = shutil.which("moto_server")
    if server is None:
        pytest.skip('no moto_server on the PATH: pip install -e ".[scale-test]"')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([server, "-H", "127.0.0.1", "-p", str(port)], **quiet) as process:
        try:
            for _ in range(600):
                with socket.socket() as asked:
                    if asked.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            else:
                pytest.fail("moto's server did not start")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a new bucket; the environment says how to reach it."""
    import urllib.request

    from simsearch.scale.objects.store import bucket_at

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in (SETTINGS | {"AWS_ENDPOINT_URL": endpoint}).items():
        monkeypatch.setenv(name, value)
    name = f"photos-{time.monotonic_ns()}"
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{name}", method="PUT"), timeout=10).close()
    bucket_at.cache_clear()
    yield f"s3://{name}"
    bucket_at.cache_clear()

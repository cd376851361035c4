"""A receiver of Headrace's webhooks that believes nobody else: standard library only.

    HEADRACE_SECRET=... python verify_webhook.py 8080

It prints each alert once, whatever is repeated; 401 for a signature that is wrong or older than five minutes.
"""

import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

OLDEST_SECONDS = 300
BODY_BYTES = 1_000_000
seen: set[str] = set()  # a real receiver keeps these where a restart finds them


def is_genuine(secret: bytes, timestamp: str, signature: str, body: bytes, now: float) -> bool:
    """Whether whoever holds the secret has sent this lately."""
    if not timestamp.isascii() or not timestamp.isdigit() or abs(now - int(timestamp)) > OLDEST_SECONDS:
        return False
    expected = "v1=" + hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode())


class Receiver(BaseHTTPRequestHandler):
    """POST only."""

    def do_POST(self) -> None:
        """Answer 204 once the alert is known."""
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(min(length, BODY_BYTES))
        secret = os.environ["HEADRACE_SECRET"].encode()
        timestamp, signature = self.headers.get("Headrace-Timestamp", ""), self.headers.get("Headrace-Signature", "")
        if not is_genuine(secret, timestamp, signature, body, time.time()):
            self.send_response(401)
            self.end_headers()
            return
        alert = json.loads(body)
        if alert["key"] not in seen:
            seen.add(alert["key"])
            print(alert["state"], alert["summary"], flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing but the alerts."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()

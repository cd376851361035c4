"""No message shows a credential."""

import logging
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from connectors.addresses import redacted
from connectors.elasticsearch.store import ElasticsearchStore
from connectors.kafka.client import KafkaAdmin
from connectors.ports import SearchQuery
from headrace.output import set_up_logging
from models.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no answer at https://elastic:hunter2@search:9200/x", "no answer at https://***@search:9200/x"),
        ("proxy http://hunter2@proxy failed", "proxy http://***@proxy failed"),
        ("login password=hunter2, user=x", "login password=***, user=x"),
        ("{'api_key': 'hunter2', 'a': 1}", "{'api_key': ***, 'a': 1}"),
        ("Authorization: Bearer hunter2", "Authorization: ***"),
        ("access_token: hunter2", "access_token: ***"),
        (
            "text of 913 tokens exceeds batch_max_padded_tokens=512",
            "text of 913 tokens exceeds batch_max_padded_tokens=512",
        ),
        ("sasl_password_file: no such file", "sasl_password_file: no such file"),
        ("write to a@b.example about https://x/a@b", "write to a@b.example about https://x/a@b"),
    ],
)
def test_what_looks_like_a_credential_is_masked(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_a_store_or_a_broker_never_holds_a_password_in_its_address() -> None:
    """D-A6: `no Elasticsearch answers at http://elastic:hunter2@...` stood in logs, /health/ready and doctor."""
    for make in (
        lambda: ElasticsearchStore("http://elastic:hunter2@127.0.0.1:9"),
        lambda: KafkaAdmin("user:hunter2@127.0.0.1:9", connect_seconds=1.0),
    ):
        with pytest.raises(ConfigError) as refused:
            make()
        assert "hunter2" not in str(refused.value)


def test_log_lines_of_clients_are_masked_and_obeyed_by_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("INFO")
    logging.getLogger("elsewhere").warning("at http://u:hunter2@host: %s", "\x1b[2J")
    line = capsys.readouterr().err
    assert "http://***@host" in line and "\\x1b[2J" in line and "\x1b" not in line


def test_a_proxy_of_the_environment_is_not_asked_for_a_local_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """F-88: http_proxy and ALL_PROXY on a dead port are not used."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    asked: list[str] = []

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            body = b'{"hits": {"total": {"value": 7}, "hits": []}}'
            self.send_response(200)
            self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        store = ElasticsearchStore(f"http://127.0.0.1:{server.server_port}")
        assert store.search(SearchQuery()).total == 7 and asked
        store.close()
        server.shutdown()

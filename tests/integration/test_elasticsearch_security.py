"""TLS and API keys against a real Elasticsearch that asks for both."""

import json
import logging
import os
import shutil
import ssl
import subprocess
import urllib.request
import zipfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from real_services import services_cache, skip_or_fail, start_or_skip, wait_until

from connectors.elasticsearch.store import ElasticsearchStore
from connectors.errors import AccessDenied, ServiceUnavailable
from connectors.local_services.elasticsearch import ElasticsearchSecurity, install_elasticsearch
from connectors.local_services.java import find_jdks
from connectors.ports import SearchQuery
from connectors.security import Security

pytestmark = [pytest.mark.elasticsearch, pytest.mark.slow]  # half a minute for a server of its own

PASSWORD = "a-long-test-password"
# What docs/security.md asks an administrator to grant, and nothing more.
INDEXER_ROLE: dict[str, Any] = {
    "cluster": ["manage_index_templates"],
    "indices": [
        {
            "names": ["decisions-*", "decisions"],
            "privileges": ["create_index", "create_doc", "read", "view_index_metadata"],
        }
    ],
}
RETENTION_ROLE: dict[str, Any] = {
    "cluster": INDEXER_ROLE["cluster"],
    "indices": [*INDEXER_ROLE["indices"], {"names": ["decisions-*"], "privileges": ["delete_index"]}],
}
SEARCHER_ROLE: dict[str, Any] = {
    "cluster": [],
    "indices": [{"names": ["decisions-*", "decisions"], "privileges": ["read", "view_index_metadata"]}],
}


@dataclass(frozen=True)
class Secured:
    """A running server: its address, who may sign its certificate, and a folder for secrets."""

    url: str
    ca: Path
    folder: Path

    def api_key_file(self, name: str, role: dict[str, Any]) -> Path:
        """A file with a new API key of this role."""
        body = json.dumps({"name": name, "role_descriptors": {name: role}}).encode()
        request = urllib.request.Request(
            f"{self.url}/_security/api_key", body, {"Content-Type": "application/json"}, method="POST"
        )
        request.add_header("Authorization", "Basic " + b64encode(f"elastic:{PASSWORD}".encode()).decode())
        with urllib.request.urlopen(
            request, timeout=10, context=ssl.create_default_context(cafile=str(self.ca))
        ) as answer:
            encoded: str = json.load(answer)["encoded"]
        file = self.folder / f"{name}.key"
        file.write_text(encoded + "\n")
        return file


@pytest.fixture(scope="module")
def secured(services_folder: Callable[[str], Path]) -> Iterator[Secured]:
    folder = services_folder("elasticsearch-secured")
    certificates = make_certificates(folder)
    started = start_or_skip(
        folder, kafka=False, elasticsearch=True, security=certificates, cache=with_key_store(folder)
    )
    assert started.elasticsearch is not None
    assert started.elasticsearch.startswith("https://")
    yield Secured(started.elasticsearch, certificates.ca, folder)


# Elasticsearch keeps API keys in an index of its own, whose mapping names an analyzer from a module that the
# distribution on Maven lacks. This stands in for that analyzer (it serves the search for user e-mails only); the key
# service itself is the server's own.
ANALYZER_PLUGIN = """
import java.util.Map;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.standard.StandardTokenizer;
import org.elasticsearch.index.analysis.TokenFilterFactory;
import org.elasticsearch.index.analysis.TokenizerFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.plugins.AnalysisPlugin;
import org.elasticsearch.plugins.Plugin;

public class StandIn extends Plugin implements AnalysisPlugin {
    private static TokenFilterFactory unchanged(String name) {
        return new TokenFilterFactory() {
            @Override public String name() { return name; }
            @Override public TokenStream create(TokenStream stream) { return stream; }
        };
    }
    @Override public Map<String, AnalysisProvider<TokenFilterFactory>> getTokenFilters() {
        return Map.of(
            "pattern_capture", (index, environment, name, settings) -> unchanged(name),
            "unique", (index, environment, name, settings) -> unchanged(name));
    }
    @Override public Map<String, AnalysisProvider<TokenizerFactory>> getTokenizers() {
        return Map.of("uax_url_email",
            (index, environment, name, settings) -> TokenizerFactory.newFactory(name, StandardTokenizer::new));
    }
}
"""


def with_key_store(folder: Path) -> Path:
    """A cache that holds Elasticsearch with the stand-in plugin: files are linked, not copied."""
    try:
        program = install_elasticsearch(services_cache(), 8)
    except ServiceUnavailable as error:
        skip_or_fail(error)
    copy = folder / "cache" / program.name
    shutil.copytree(program, copy, copy_function=link_or_copy)
    plugin = copy / "plugins" / "stand-in"
    plugin.mkdir()
    (plugin / "StandIn.java").write_text(ANALYZER_PLUGIN)
    home = next(jdk.home for jdk in find_jdks() if jdk.major >= 17)
    if not (home / "bin" / "javac").exists():
        pytest.skip(f"{home} has no javac to build the stand-in plugin with")
    command = [home / "bin" / "javac", "--release", "17", "-cp", f"{copy}/lib/*", "-d", plugin, plugin / "StandIn.java"]
    subprocess.run([str(part) for part in command], check=True, timeout=60)
    with zipfile.ZipFile(plugin / "stand-in.jar", "w") as jar:
        for compiled in plugin.glob("*.class"):
            jar.write(compiled, compiled.name)
    version = program.name.removeprefix("elasticsearch-")
    (plugin / "plugin-descriptor.properties").write_text(
        f"name=stand-in\ndescription=for "
        f"tests\nversion=1\nclassname=StandIn\njava.version=17\nelasticsearch.version={version}\n"
    )
    for left in [*plugin.glob("*.class"), plugin / "StandIn.java"]:
        left.unlink()
    return folder / "cache"


def link_or_copy(source: str, target: str) -> None:
    """A hard link where both lie on one file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def make_certificates(folder: Path) -> ElasticsearchSecurity:
    """A certificate authority and a server certificate for 127.0.0.1, by openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the test's certificates and is not installed")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)

    openssl(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "ca.key",
        "-out",
        "ca.crt",
        "-days",
        "2",
        "-subj",
        "/CN=test ca",
    )
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "http.key", "-out", "http.csr", "-subj", "/CN=127.0.0.1")
    (folder / "san.cnf").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n")
    openssl(
        "x509",
        "-req",
        "-in",
        "http.csr",
        "-CA",
        "ca.crt",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-out",
        "http.crt",
        "-days",
        "2",
        "-extfile",
        "san.cnf",
    )
    return ElasticsearchSecurity(folder / "http.crt", folder / "http.key", folder / "ca.crt", PASSWORD)


def decision(number: int) -> dict[str, Any]:
    at = "2026-11-24T10:00:00.000Z"
    labels = {"intent": {"label": "refund", "probability": 0.9}}
    return {
        "id": f"t@0a0b0c0d-0-{number}",
        "app": "secured",
        "at": at,
        "decided_at": at,
        "labels": labels,
        "text": "我要退款",
    }


def test_an_api_key_over_tls_indexes_and_another_searches(secured: Secured, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key = secured.api_key_file("indexer", INDEXER_ROLE)
    store = ElasticsearchStore(secured.url, Security(tls_ca_file=secured.ca, elasticsearch_api_key_file=key))
    store.prepare({"secured": ["intent"]})
    assert store.index([decision(1), decision(2)]).created == 2
    store.close()

    reading = Security(
        tls_ca_file=secured.ca, elasticsearch_api_key_file=secured.api_key_file("searcher", SEARCHER_ROLE)
    )
    searcher = ElasticsearchStore(secured.url, reading)
    wait_until(lambda: searcher.search(SearchQuery("退款")).total == 2, what="the decisions")
    assert len(list(searcher.ids("secured"))) == 2
    with pytest.raises(AccessDenied, match="refused"):
        searcher.prepare({"secured": ["intent", "mood"]})
    searcher.close()
    for secret in (key.read_text().strip(), PASSWORD):
        assert secret not in caplog.text


def test_an_indexer_without_the_right_to_delete_indexes_and_only_retention_deletes(secured: Secured) -> None:
    """D-A12: the role that was asked for held `manage`: a stolen indexer's key could delete every decision."""

    def opened(name: str, role: dict[str, Any]) -> ElasticsearchStore:
        security = Security(tls_ca_file=secured.ca, elasticsearch_api_key_file=secured.api_key_file(name, role))
        store = ElasticsearchStore(secured.url, security)
        store.prepare({"kept": ["intent"]})
        return store

    writer = opened("writer", INDEXER_ROLE)
    old = {**decision(1), "app": "kept", "at": "2020-01-01T00:00:00Z"}
    assert writer.index([old, {**old, "at": "2026-11-24T00:00:00Z"}]).created == 2
    writer.check()
    with pytest.raises(AccessDenied, match="refused the credentials or rights"):
        writer.delete_before("2021-01", ["kept"])
    assert writer.index([old]).repeats == 1
    retention = opened("retention", RETENTION_ROLE)
    assert retention.delete_before("2021-01", ["kept"]) == 1
    writer.close()
    retention.close()


def test_user_and_password_are_taken(secured: Secured, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    security = Security(
        tls_ca_file=secured.ca, elasticsearch_user="elastic", elasticsearch_password_file=tmp_path / "password"
    )
    store = ElasticsearchStore(secured.url, security)
    store.prepare({"by-password": ["intent"]})
    assert list(store.ids("by-password")) == []
    store.close()


def test_no_key_and_a_wrong_key_are_access_denied(secured: Secured, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("d3Jvbmc6a2V5")
    for security in (
        Security(tls_ca_file=secured.ca),
        Security(tls_ca_file=secured.ca, elasticsearch_api_key_file=tmp_path / "wrong"),
    ):
        with pytest.raises(AccessDenied, match=r"refused the credentials or rights \(401\)") as refused:
            ElasticsearchStore(secured.url, security).prepare({"secured": ["intent"]})
        assert "d3Jvbmc6a2V5" not in str(refused.value)


def test_a_certificate_of_an_unknown_authority_is_access_denied(secured: Secured) -> None:
    with pytest.raises(AccessDenied, match="TLS with Elasticsearch"):
        ElasticsearchStore(secured.url, Security()).prepare({"secured": ["intent"]})


def test_verification_can_be_switched_off_for_a_test_server(secured: Secured) -> None:
    key = secured.api_key_file("lenient", SEARCHER_ROLE)
    store = ElasticsearchStore(secured.url, Security(tls_verify=False, elasticsearch_api_key_file=key))
    assert store.search(SearchQuery(app="never")).total == 0
    store.close()

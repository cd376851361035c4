"""Which compressed topics this Python can read, and what to install where it cannot."""

import pytest
from kafka.errors import UnsupportedCodecError

from connectors.compression import CODECS, missing_libraries
from connectors.kafka.errors import translate
from headrace.tools.doctor.machine import compression_finding


def test_an_install_of_headrace_reads_every_codec() -> None:
    """F-1 to F-5: a worker ended at the first record of a snappy, lz4 or zstd topic, and `doctor` said ok."""
    assert missing_libraries() == {}
    assert compression_finding(missing_libraries()).ok


@pytest.mark.parametrize("codec", CODECS)
def test_a_missing_library_is_found_for_either_client(codec: str) -> None:
    for module, package in CODECS[codec].items():
        missing = missing_libraries(lambda name, module=module: name != module)  # type: ignore[misc]
        assert package in missing[codec]
        finding = compression_finding(missing)
        assert not finding.ok and codec in finding.detail and package in finding.detail


def test_a_replay_says_what_to_install() -> None:
    """F-5: "Kafka at … refused a request: UnsupportedCodecError", though Kafka refused nothing."""
    words = str(translate(UnsupportedCodecError("Libraries for zstd compression codec not found"), "kafka:9092"))
    assert "pip install cramjam zstandard" in words and "refused" not in words

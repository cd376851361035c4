"""The whole loop on real Kafka, roles killed in the middle of it."""

import pytest

from bench.kills.run import run
from headrace.settings import load_settings
from headrace.wiring import Wiring

pytestmark = [pytest.mark.slow, pytest.mark.kafka]


@pytest.mark.timeout(3_600)
def test_kills_at_random_points_of_the_loop_change_nothing_of_what_it_comes_to(
    kafka_address: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("kills")
    report = run(Wiring(load_settings(broker=f"kafka://{kafka_address}", home=home)), [0, 1], 3, lambda *_: None)
    assert report["passed"], report["runs"]
    assert all(one["events"] == 1_500 for one in report["runs"]), report["runs"]

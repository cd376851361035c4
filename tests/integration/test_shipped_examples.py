"""The texts that Headrace itself tells people to try are decided rightly: the demo's own was not (N-8)."""

import json
import re
from pathlib import Path

from harness import Headrace

ROOT = Path(__file__).parents[2]
EXPECTED = {"my parcel should have been here on Monday": "delivery_delayed", "where is my parcel?": "order_status"}


def test_every_example_of_classify_is_decided_as_a_person_would(tmp_path: Path) -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "headrace").rglob("*.py"))
    examples = sorted(set(re.findall(r'headrace classify support "([^"]+)"', code)))
    assert examples == sorted(EXPECTED)
    done = Headrace(tmp_path).run("classify", "support", *examples)
    decided = [json.loads(line)["labels"]["intent"]["label"] for line in done.stdout.splitlines()]
    assert decided == [EXPECTED[text] for text in examples], done.stderr

"""A person corrects decisions with the command line alone (N-2)."""

import csv
from pathlib import Path

from harness import MakeHome, documents, texts_file, wait_for


def test_corrections_are_taken_by_id_and_by_file_and_shown_with_the_decision(
    make_home: MakeHome, small_corpus: Path
) -> None:
    home = make_home()
    up = home.start("up", "support", "--from-beginning")
    up.wait_ready()
    with texts_file(home, small_corpus, 1).open(encoding="utf-8", newline="") as lines:
        texts = [row["text"] for row in csv.DictReader(lines)][:20]
    home.run("load", "-", "--app", "support", stdin="text\n" + "\n".join(f'"{text}"' for text in texts) + "\n")
    wait_for(lambda: len(documents(home)) == len(texts), 60, up.text)
    ids = sorted(documents(home))

    slip = home.run("correct", ids[0], "order_statu")
    assert slip.returncode == 1 and "did you mean 'order_status'" in slip.stderr
    one = home.json("correct", ids[0], "order_status", "--by", "ann")
    assert (one["taken"], one["rejected"]) == (1, 0)
    assert one["outlook"][0]["labels"] == 1 and one["outlook"][0]["missing"] == 499
    file = home.home / "corrections.csv"
    file.write_text("id,label\n" + "".join(f"{identity},order_status\n" for identity in [*ids, "x@0-0-1"]))
    many = home.run("correct", "--file", str(file), "--by", "ann")
    assert many.returncode == 0
    assert "19 taken, 1 said already, 1 rejected" in many.stdout
    assert "20 labels of support count; 480 more and a better model is trained" in many.stdout
    assert "line 22: no decision of id 'x@0-0-1' is in the store" in many.stderr
    assert "intent: order_status, by ann" in home.run("show", ids[0]).stdout
    assert "withdrawn: intent: order_status" in home.run("correct", ids[0], "--withdraw", "--by", "ann").stdout
    assert "by ann" not in home.run("show", ids[0]).stdout
    assert up.stop() == 0

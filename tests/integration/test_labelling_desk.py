"""A person at a terminal labels what the queue asks about, and corrects decisions by id and by file (N-2)."""

import csv
import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

from harness import Headrace, MakeHome, documents, texts_file, wait_for

KEY_SECONDS = 0.5  # a person reads first; what is typed before a key is asked for does not count


def at_a_terminal(home: Headrace, arguments: list[str], steps: list[tuple[str, str]]) -> str:
    """Run in a terminal of its own; each step waits for a text and then presses keys. Returns what stood there."""
    own, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "headrace.cli", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=home.environment(),
        cwd=home.home,
        start_new_session=True,
    )
    os.close(theirs)
    shown, seen_to, deadline = "", 0, time.monotonic() + 300
    try:
        while time.monotonic() < deadline:
            if steps and steps[0][0] in shown[seen_to:]:
                seen_to = len(shown)
                time.sleep(KEY_SECONDS)
                os.write(own, steps.pop(0)[1].encode())
            if select.select([own], [], [], 0.1)[0]:
                try:
                    shown += os.read(own, 65_536).decode("utf-8", "replace")
                except OSError:  # the other end is closed
                    break
        assert process.wait(120) == 0, shown
    finally:
        process.kill()
        os.close(own)
    return shown


def test_the_queue_is_worked_off_with_single_keys_and_the_report_says_how_good_decisions_are(
    make_home: MakeHome, small_corpus: Path
) -> None:
    home = make_home()
    up = home.start("up", "support", "--from-beginning")
    up.wait_ready()
    with texts_file(home, small_corpus, 1).open(encoding="utf-8", newline="") as lines:
        texts = [row["text"].rpartition(" (")[0] for row in csv.DictReader(lines)][::40]
    home.run("load", "-", "--app", "support", stdin="text\n" + "".join(f'"{text}"\n' for text in texts))
    wait_for(lambda: len(documents(home)) == len(texts), 180, up.text)

    listed = [json.loads(line) for line in home.run("labels", "queue", "support", "--json").stdout.splitlines()]
    assert listed and all(row["chosen"] == "random" for row in listed)  # so few in a day: all of them are drawn
    shown = at_a_terminal(
        home,
        ["labels", "next", "support", "--by", "ann"],
        [
            ("asked: random", "\r"),
            ("asked: random", "2"),
            ("asked: random", "u"),
            ("withdrawn", "s"),
            ("asked", "s"),
            ("asked", "q"),
        ],
    )
    assert "1 labelled, 2 skipped" in shown, shown
    report = home.json("labels", "report", "support")
    assert (report["labels"], report["random"]["asked"], report["random"]["accuracy"]) == (1, 1, 1.0)

    tasks = home.home / "tasks.csv"
    assert home.json("labels", "export", "support", str(tasks))["exported"] == len(listed) - 1
    assert "is there already" in home.run("labels", "export", "support", str(tasks)).stderr
    with tasks.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    with tasks.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"label": row["decided"]} for row in rows[:3])
    assert home.json("labels", "import", "support", str(tasks), "--by", "bob")["taken"] == 3
    assert home.json("labels", "report", "support")["people"] == {"ann": 1, "bob": 3}
    correct(home)
    assert up.stop() == 0


def correct(home: Headrace) -> None:
    """One and many of the decisions, of which four have a label."""
    ids = sorted(documents(home))
    slip = home.run("correct", ids[0], "order_statu")
    assert slip.returncode == 1 and "did you mean 'order_status'" in slip.stderr
    one = home.json("correct", ids[0], "order_status", "--by", "carla")
    assert (one["taken"], one["rejected"], one["outlook"][0]["missing"]) == (1, 0, 495)
    file = home.home / "corrections.csv"
    file.write_text("id,label\n" + "".join(f"{identity},order_status\n" for identity in [*ids, "x@0-0-1"]))
    many = home.run("correct", "--file", str(file), "--by", "carla")
    assert many.returncode == 0
    assert f"{len(ids) - 1} taken, 1 said already, 1 rejected" in many.stdout
    labels = 4 + len(ids)
    assert f"{labels} labels of support count; {500 - labels} more and a better model is trained" in many.stdout
    assert f"line {len(ids) + 2}: no decision of id 'x@0-0-1' is in the store" in many.stderr
    assert "intent: order_status, by carla" in home.run("show", ids[0]).stdout
    assert "withdrawn: intent: order_status" in home.run("correct", ids[0], "--withdraw", "--by", "carla").stdout
    assert "by carla" not in home.run("show", ids[0]).stdout

"""The words at the demo's end."""

from typing import Any, Final

from headrace.demo.wording import shortened, timed
from models.figures import number_of, readable

GATE_SHOWN: Final = 240  # characters of what the gate said; its page has the rest


def closing_words(report: dict[str, Any], home: str) -> str:
    """What happened, and three commands to go on with."""
    lines = [
        f"{number_of(report['events'], 'event')} came in, "
        f"{number_of(report['decisions'], 'decision')} went out, {report['indexed']} stand "
        f"in the store: "
        f"{report['lost']} lost, {report['duplicated']} doubled.",
        f"From a record to its decision: p50 {report['latency_ms']['p50']:.0f} ms, p99 "
        f"{report['latency_ms']['p99']:.0f} ms.",
    ]
    for episode in report["drift"]:
        after = (
            ""
            if episode["onset_event"] is None
            else f" ({number_of(episode['detected_event'] - episode['onset_event'], 'event')} after it began)"
        )
        noticed = f"Drift in {episode['app']}, noticed at event {episode['detected_event']}{after}"
        lines.append(f"{noticed}: {timed(episode['summary'])}")
    for verdict in report["verdicts"]:
        words = shortened(verdict["words"], GATE_SHOWN)
        lines.append(f"Gate, {verdict['app']}: {words}{'' if words.endswith('…') else '.'}")
    for release in report["releases"]:
        lines.append(
            f"{release['app']}@{release['to']} replaced {release['app']}@{release['from']}: on "
            f"{number_of(release['held_out_texts'], 'held-out text')} from after "
            f"the onset accuracy went from {release['accuracy_before']:.1%} to {release['accuracy_after']:.1%}."
        )
    lines += [f"Why it was released: {swap['verdict_page']}" for swap in report["releases"] if "verdict_page" in swap]
    lines += [
        f"  “{one['text']}” was {readable(one['was'])}, is now {readable(one['now'])}" for one in report["mended"]
    ]
    if report["entity_alert"]:
        lines.append(f"Alert about a company that texts name: {report['entity_alert']}.")
    if (item := report["new_item"]) and item["lists"]:
        lines.append(
            f"{item['title']}, new in the catalogue and touched by nobody, stood in a list {item['listed_after']:.1f} s"
            f" after it appeared, and in {item['lists']} in all."
        )
    if (answered := report["answered_from_bank"])["texts"]:
        first = answered["examples"][0]
        lines.append(
            f"{number_of(answered['texts'], 'text')} that no ready answer fits were answered from the bank, the first: "
            f"“{first['text']}” by “{first['question']}”, confidence {first['confidence']:.2f}."
        )
    for app, talks in report["conversations"].items():
        twice = "none" if not talks["twice"] else str(talks["twice"])
        lines.append(
            f"{number_of(talks['told'], 'customer')} of {app} were told something, {twice} "
            f"of it twice. {talks['alone']} needed "
            f"nobody else; {talks['with_people']} stand with people, who have `headrace conversations` on a Kafka."
        )
    if not report["drift"]:
        lines.append("No drift was noticed.")
    return "\n".join([*lines, "", *_go_on(report, home)])


def _go_on(report: dict[str, Any], home: str) -> list[str]:
    here = f"HEADRACE_HOME={home} HEADRACE_BROKER=embedded"
    asked = [f"  {here} headrace answers missing --app support  # what nobody has an answer for"]
    news = [f"  {here} headrace digest finance --page today.html  # the day's news on a page"]
    return [
        "The broker was embedded: its topics are gone. Go on with:",
        f'  {here} headrace search "battery"  # what was decided',
        *(asked if "support" in report["accuracy"] else []),
        *(news if "finance" in report["accuracy"] else []),
        '  headrace classify support "my parcel should have been here on Monday"',
        "  headrace services start  # real Kafka and Elasticsearch, then: headrace up support --create-topics",
    ]

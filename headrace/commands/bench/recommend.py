"""bench recommend: what is recommended, on a log of users and items, beside what everybody has."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from bench.recommendation.campaign import Progress
    from bench.recommendation.files.log import Log
    from models.recommendation.recommender import Recommender

_TIMED: Final = 1_000  # events
_SPEED: Final[dict[str, Any]] = {}  # of its plan, beside the seconds; smaller in tests
EXAMPLE = (
    "Examples: headrace bench recommend --data events.csv --items items.csv · "
    "headrace bench recommend --data u.data --items u.item"
)


def recommend(
    data: Annotated[
        Path | None,
        typer.Option(
            help="CSV, JSON lines or Parquet of interactions, or a public set's file without a header; columns of "
            "user, item and time are found by their usual names"
        ),
    ] = None,
    items: Annotated[Path | None, typer.Option(help="the items: their ids, titles and other words")] = None,
    user_column: Annotated[str | None, typer.Option(help="of --data, or its number where there is no header")] = None,
    item_column: Annotated[str | None, typer.Option(help="the same, of both files")] = None,
    time_column: Annotated[
        str | None,
        typer.Option(help="of --data: ISO 8601, or seconds or milliseconds since 1970; `none`: leave times out"),
    ] = None,
    rating_column: Annotated[str | None, typer.Option(help="of --data, for --least-rating")] = None,
    action_column: Annotated[str | None, typer.Option(help="of --data, for --live: view, click, purchase ...")] = None,
    text_columns: Annotated[
        str | None,
        typer.Option(help="of --items, comma-separated, put together; else title, authors, description, tags ..."),
    ] = None,
    least_rating: Annotated[
        float | None, typer.Option(help="interactions that are rated less are left out; else each counts")
    ] = None,
    core: Annotated[
        int, typer.Option(min=0, help="keep users and items of so many interactions each (5: the 5-core)")
    ] = 0,
    methods: Annotated[
        str, typer.Option(help="comma-separated; als and bpr need the extra `bench`")
    ] = "headrace,ease,item_knn,popularity,als,bpr",
    live: Annotated[
        int, typer.Option(min=0, help="play so many of the events to the live recommender in their order; 0: none")
    ] = 0,
    lists: Annotated[
        int,
        typer.Option(
            min=0,
            help="in place of all that: make so many lists of these items for users who do anything, with items "
            "withdrawn and workers killed; is what a user bought or what is withdrawn in any of them?",
        ),
    ] = 0,
    catalogue: Annotated[
        int,
        typer.Option(
            min=0,
            help="in place of all that, without --data: what an event takes where there are so many items, drawn, all "
            "of them scored and candidates alone (extra `ann`)",
        ),
    ] = 0,
    speed: Annotated[
        int,
        typer.Option(
            min=0,
            help="in place of all that, without --data: for so many seconds 1,000 events a second, each learnt of and "
            "answered with a list of 500 items, drawn, with 100,000 users and new items; how long each waits, what "
            "users take of memory, and how fast a state is rebuilt",
        ),
    ] = 0,
    lists_share: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="with --speed: of the events so many ask for a list, drawn, at most 0.6 (those that look at an item); "
            "of the others the recommender learns alone; 1: all have one",
        ),
    ] = 1.0,
    rate: Annotated[float, typer.Option(min=0.1, help="with --speed: events a second")] = 1_000.0,
    bulk: Annotated[
        int,
        typer.Option(
            min=0,
            max=90_000,
            help="with --speed: so many items more come all at once; how long until all may stand in lists, what lists "
            "wait meanwhile, and memory",
        ),
    ] = 0,
    seed: Annotated[int, typer.Option(help="of splits, and of what is drawn")] = 0,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """NDCG@10, hit rate and recall of full rankings by up to three protocols (75/25 per user, leave one out, split by
    time), each method tuned on a validation part of its own training interactions, and cold items by their words. No
    Kafka."""
    from bench.recommendation.campaign import Plan, campaign
    from bench.recommendation.files.columns import Columns
    from bench.recommendation.files.core import core_of
    from bench.recommendation.files.log import read_log
    from headrace.output import print_json, stage_bars

    if catalogue:
        return _large_catalogue(catalogue, seed, json)
    if speed:
        return _speed({"seconds": speed, "lists_share": lists_share, "rate": rate, "bulk": bulk}, seed, json)
    if data is None:
        raise typer.BadParameter("give a file of interactions", param_hint="--data")
    text = None if text_columns is None else _names(text_columns)
    columns = Columns(user_column, item_column, time_column, rating_column, action_column, text)
    with stage_bars("reading") as progress:
        log = read_log(data, items, columns, least_rating, progress)
        log = core_of(log, core) if core else log
    if lists:
        return _random_lists(log, lists, seed, json)
    with stage_bars() as progress:
        report = {"data": data.name, **campaign(log, Plan(_names(methods), seed), progress)}
        if live:
            report["live"] = _play(log, live, seed, progress)
    if json:
        return print_json(report)
    _print(report)
    return None


def _large_catalogue(items: int, seed: int, json: bool) -> None:
    from bench.recommendation.large_catalogue import large_catalogue
    from headrace.output import print_json, stage_bars

    with stage_bars() as progress:
        found = large_catalogue(items, _TIMED, seed, progress)
    if json:
        return print_json(found)
    print(f"{items:,} items, {_TIMED:,} events, ms an event (p50, p99):")
    for name, line in (("all items scored", found["all"]), ("candidates alone", found["candidates"])):
        if line is None:
            print(f"{name:<18}not measured: pip install 'headrace[ann]'")
            continue
        computing, clock = line["computing_ms"], line["clock_ms"]
        print(
            f"{name:<18}computing {computing['p50']}, {computing['p99']}; by the clock {clock['p50']}, {clock['p99']}; "
            f"ready after {line['ready_s']} s"
        )
    return None


def _speed(asked: dict[str, Any], seed: int, json: bool) -> None:
    from bench.recommendation.speed import Plan, speed
    from headrace.output import print_json, stage_bars
    from headrace.releases.encoders import default_encoder
    from headrace.settings import load_settings
    from headrace.wiring import Wiring

    plan = Plan(**asked | _SPEED)
    plan.check()
    with stage_bars() as progress:
        found = speed(plan, default_encoder(Wiring(load_settings())).embed, seed, progress)
    if json:
        return print_json(found)
    load, cold, memory, rebuild = (found[name] for name in ("load", "cold", "memory", "rebuild"))
    print(
        f"{plan.rate:,.0f} events a second, {load['lists']:,} lists of {found['items']:,} items "
        f"({load['lists_per_second']:,} a second), {load['taken']:,} clicks and purchases held against one"
    )
    waits = {"with a list": load["latency_ms"], "all": load["latency_of_all_ms"]}
    for name, told in waits.items():
        if told is not None and (name == "all" or load["lists"] < load["events"]):
            print(
                f"ms from when an event is due, {name}: {told['p50']} (p50), {told['p99']} (p99), {told['max']} at most"
            )
    if cold["ms"] is not None:
        print(
            f"{cold['items']} new items, ms until a list may hold one: {cold['ms']['p50']}, {cold['ms']['max']} at most"
        )
    if bulk := found["bulk"]:
        ms, computing = (
            bulk[name] or dict.fromkeys(("p50", "p99", "max"), "-") for name in ("latency_ms", "computing_ms")
        )
        taken = "not all within that time" if bulk["seconds"] is None else f"all after {bulk['seconds']} s"
        print(
            f"{bulk['items']:,} items at once could be listed, {taken}, {bulk['mb'] or '-'} MB more; "
            f"{bulk['lists']:,} lists meanwhile, ms: {ms['p50']} (p50), {ms['p99']} (p99), {ms['max']} at "
            f"most, of that computing {computing['p50']} and {computing['p99']}"
        )
    print(
        f"{memory['users'][-1]:,} users: {memory['gb_per_million_users']} GB a million, the slope of {memory['mb']} MB"
    )
    print(
        f"rebuilt of {rebuild['events']:,} events in {rebuild['seconds']} s: {rebuild['events_per_second']:,} a second"
    )
    return None


def _random_lists(log: "Log", lists: int, seed: int, json: bool) -> None:
    """Exits with 1 where a list holds what it must not."""
    from bench.recommendation.random_lists import Plan, random_lists
    from headrace.output import print_json, stage_bars

    with stage_bars() as progress:
        found = random_lists(log.item_ids, log.texts, Plan(lists), seed, progress)
    if json:
        print_json(found)
    else:
        print(
            f"{found['lists']:,} lists, {found['purchases']:,} purchases, {found['turns']:,} items withdrawn or back, "
            f"{found['kills']:,} kills: {found['bought']:,} lists with what their user had bought, "
            f"{found['withdrawn']:,} with what was withdrawn"
        )
    if found["bought"] or found["withdrawn"]:
        raise typer.Exit(1)


def _play(log: "Log", events: int, seed: int, progress: "Progress") -> dict[str, Any]:
    import numpy as np

    from bench.recommendation.live import live_recommender, play
    from bench.recommendation.taste_change import changed, race
    from headrace.releases.encoders import default_encoder
    from headrace.settings import load_settings
    from headrace.wiring import Wiring
    from models.recommendation.events import UserEvent

    embeddings = default_encoder(Wiring(load_settings())).embed(list(log.texts))
    order = np.argsort(log.days, kind="stable") if log.days is not None else np.arange(len(log.users))
    played = [
        UserEvent(log.user_ids[log.users[n]], log.item_ids[log.items[n]], log.actions[n])
        for n in order[:events].tolist()
    ]

    def make() -> "Recommender":
        return live_recommender(log.item_ids, embeddings, log.texts)

    turned = changed(played, log.item_ids, len(played) // 2, seed)
    return {
        **play(make(), played, progress),
        "taste_change": race(make, turned, len(played) // 2, progress),
    }


def _names(commas: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in commas.split(",") if name.strip())


def _print(report: dict[str, Any]) -> None:
    from bench.recommendation.files.log import told

    print(f"{report['users']:,} users, {report['items']:,} items, {report['pairs']:,} pairs of them")
    print("columns: " + ", ".join(f"{name} {column or '-'}" for name, column in report["read_as"].items()))
    if any(report["skipped"].values()):
        print("passed over: " + told(report["skipped"]))
    if words := report["words"]:
        print(
            f"words of {words['with_words']:,} items; {words['touched_by_nobody']:,} others of the file nobody touched"
        )
    for name, found in report["protocols"].items():
        print(f"\n{name} ({found['train']:,} train, {found['test']:,} to foretell)")
        _print_lines(found["methods"])
        if found["best_peer"]:
            print(f"headrace has {found['ratio']:.3f} times the NDCG of {found['best_peer']}")
    if report["left_out"]:
        print(f"\nleft out, as nothing would be learnt or foretold: {', '.join(report['left_out'])}")
    if cold := report["cold"]:
        print(
            f"\ncold items: {cold['items']:,} that nobody touched, ranked among each other for {cold['users']:,} users"
        )
        _print_lines({name: cold[name] for name in ("headrace", "words_alone", "random")})
        print(f"headrace has {cold['times']} times the NDCG of random order")
    if live := report.get("live"):
        print(
            f"\nlive, {live['events']:,} events, {live['ms']['p50']} ms each, p99 {live['ms']['p99']} ms; in the ten:"
        )
        print(f"{'':<18}{'taken next':<14}{'new to the user':<18}again")
        for name, line in live["methods"].items():
            cells = (line["hit_rate"], line["new_hit_rate"], line["again_hit_rate"])
            first, second, third = ("-" if cell is None else f"{cell:.4f}" for cell in cells)
            print(f"{name:<18}{first:<14}{second:<18}{third}")
        change = live["taste_change"]
        when = f"after {change['ahead_after']} events" if change["ahead_after"] else "never"
        print(
            f"after all users turned to other items at event {change['change_at']:,}: learning {change['online']}, "
            f"frozen {change['frozen']}; ahead {when}"
        )


def _print_lines(methods: dict[str, dict[str, Any]]) -> None:
    print(f"{'':<14}{'NDCG@10':<10}{'hit rate':<10}{'recall':<10}coverage")
    for name, line in methods.items():
        cells = "".join(f"{line[figure]:<10.4f}" for figure in ("ndcg", "hit_rate", "recall"))
        print(f"{name:<14}{cells}{line['coverage']:.4f}")

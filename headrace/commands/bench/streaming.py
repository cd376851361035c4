"""bench throughput, latency, scaling, memory, replay: figures against limits and peers, measured in one run."""

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path, typer.Option(help="CSV with a column text; its test rows where it has splits")]
App = Annotated[str, typer.Option(help="application whose champion decides")]
Seed = Annotated[int, typer.Option(help="of the order and of the numbers that make each text unique")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object")]


def add_to(bench: typer.Typer) -> None:
    """Register the commands."""
    bench.command("throughput", epilog="Example: headrace bench throughput --data texts.csv --json")(_throughput)
    bench.command("latency", epilog="Example: headrace bench latency --data texts.csv --json")(_latency)
    bench.command(
        "arrivals",
        epilog="Example: headrace bench arrivals finance --rate 10 --text-bytes 4096 --poisson --json",
    )(_arrivals)
    bench.command("scaling", epilog="Example: headrace bench scaling --data texts.csv --json")(_scaling)
    bench.command("memory", epilog="Example: headrace bench memory --minutes 10 --json")(_memory)
    bench.command("replay", epilog="Example: headrace bench replay --data texts.csv --json")(_replay)


def _throughput(
    data: Data,
    app: App = "support",
    seconds: Annotated[float, typer.Option(min=5, help="of each peer's round, at least")] = 60.0,
    rounds: Annotated[int, typer.Option(min=1, help="rounds; a figure is their median")] = 3,
    peers: Annotated[str, typer.Option(help="comma-separated; empty: all")] = "",
    oos_label: Annotated[
        str | None, typer.Option(help="label of out-of-scope texts: accuracy is then told apart")
    ] = None,
    label_column: Annotated[str, typer.Option(help="column of the label that the first head decides")] = "label",
    python: Annotated[
        list[str] | None,
        typer.Option(help="interpreter of another environment, for peers whose libraries are not in this one"),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu or cuda: where Headrace's encoder runs; the peers' runs on the CPU")
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Texts a second through a worker on real Kafka, against the bare session, a hand-written loop and other
    frameworks."""
    from bench import throughput
    from bench.rounds import PEERS
    from headrace.applications import load_application
    from headrace.output import print_json, stage_bars
    from headrace.settings import load_settings
    from headrace.wiring import Wiring

    plan = throughput.Plan(
        data,
        tuple(name.strip() for name in peers.split(",")) if peers else PEERS,
        rounds,
        seconds,
        seed,
        label_column=label_column,
        oos_label=oos_label,
        pythons=tuple(python or ()),
    )
    with stage_bars() as progress:
        report = throughput.run(Wiring(load_settings(device=device)), load_application(app), plan, progress)
    if json:
        return print_json(report)
    for peer, rate in report["texts_per_second"].items():
        print(
            f"{peer:20} {rate:9.1f} texts/s"
            if rate is not None
            else f"{peer:20} left out: {report['left_out'].get(peer, 'not asked for')}"
        )
    for pair, ratio in report["ratios"].items():
        print(f"{pair:40} {ratio:7.3f}")
    for peer, share in report["accuracy"].items():
        print(f"accuracy {peer:31} {share:7.4f}" if share is not None else f"accuracy {peer:31}       -")
    return None


def _latency(
    data: Data,
    app: App = "support",
    rate: Annotated[
        float | None, typer.Option(min=1, help="the maximum rate, texts a second; default: it is measured first")
    ] = None,
    seconds: Annotated[float, typer.Option(min=5, help="at half of the maximum rate and at the maximum, each")] = 60.0,
    lone_events: Annotated[int, typer.Option(min=5, help="events sent one every 300 ms")] = 200,
    fast_path: Annotated[bool, typer.Option(help="as the release says, or the encoder for every text")] = True,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Milliseconds from producing a text to its decision being readable: alone, at half of the maximum rate, at the
    maximum."""
    from bench import latency
    from headrace.applications import load_application
    from headrace.output import print_json, stage_bars
    from headrace.settings import load_settings
    from headrace.wiring import Wiring

    plan = latency.Plan(data, rate, seconds, lone_events, seed, fast_path)
    with stage_bars() as progress:
        report = latency.run(Wiring(load_settings()), load_application(app), plan, progress)
    if json:
        return print_json(report)
    print(f"{'':10} {'texts/s':>9} {'p50 ms':>9} {'p95 ms':>9} {'p99 ms':>9} {'lost':>6}")
    for phase in ("lone", "half", "maximum"):
        figures = report[phase]
        speed = figures.get("texts_per_second", 1 / figures.get("every_seconds", 1))
        print(
            f"{phase:10} {speed:9.1f} "
            + " ".join(f"{figures['latency_ms'][name]:9.1f}" for name in ("p50", "p95", "p99"))
            + f" {figures['lost']:6d}"
        )
    swap = report["swap"]
    print(
        f"swaps at half rate: p99 {swap['usual_p99_ms']:.1f} ms before, "
        + ", ".join(f"longest {ms:.1f} ms ({name})" for name, ms in swap["longest_ms"].items())
    )
    print(
        f"backlog at the maximum: {report['maximum']['backlog_largest']} at the most, gone after "
        f"{report['maximum']['drained_seconds']} s"
    )
    return None


def _arrivals(
    app: Annotated[str, typer.Argument(metavar="APP", help="an application's name, or its TOML file; run as it is")],
    rate: Annotated[float, typer.Option(min=0.1, help="items a second")] = 10.0,
    text_bytes: Annotated[
        int | None, typer.Option(min=200, help="of an item, headline and body; default: headlines alone")
    ] = None,
    names: Annotated[int, typer.Option(min=0, help="listed names in an item, where it looks for entities")] = 2,
    seconds: Annotated[float, typer.Option(min=5, help="for which items come")] = 60.0,
    warm_up: Annotated[float, typer.Option(min=0, help="of these, not counted")] = 10.0,
    poisson: Annotated[
        bool, typer.Option("--poisson/--even", help="gaps between items as of independent sources, or all alike")
    ] = False,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Milliseconds from when an item is due to its decision being readable, at a given rate of items, whatever the
    worker does; on the embedded broker or Kafka, as HEADRACE_BROKER says."""
    from bench import arrivals
    from headrace.output import print_json, stage_bars
    from headrace.settings import load_settings
    from headrace.wiring import Wiring

    if warm_up >= seconds:
        raise typer.BadParameter(f"less than the {seconds:g} s of --seconds", param_hint="--warm-up")
    plan = arrivals.Plan(rate, text_bytes, names, seconds, warm_up, poisson, seed)
    with stage_bars() as progress:
        report = arrivals.run(Wiring(load_settings()), app, plan, progress)
    if json:
        return print_json(report)
    latency = report["latency_ms"]
    print(f"items     {report['items']}, {report['lost']} lost, {report['text_bytes']} bytes each")
    print(f"rate      {report['offered_per_second']:.1f} a second, decided {report['decided_per_second']:.1f}")
    print("latency   " + ", ".join(f"{name} {latency[name]:.1f}" for name in ("p50", "p95", "p99", "max")) + " ms")
    print(f"processor {report['processor_ms_an_item']:.1f} ms an item, {report['cores_used']:.2f} cores of the worker")
    return None


def _scaling(
    data: Data,
    app: App = "support",
    seconds: Annotated[float, typer.Option(min=5, help="measured with each number of workers")] = 40.0,
    sleep_ms: Annotated[
        float | None, typer.Option(min=0.1, help="sleep for a text; default: what one core takes, measured first")
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """One, two and four workers in one group on eight partitions; inference is replaced by a sleep, so that two cores
    suffice."""
    from bench import scaling
    from headrace.applications import load_application
    from headrace.output import print_json, stage_bars
    from headrace.settings import load_settings
    from headrace.wiring import Wiring

    plan = scaling.Plan(data, sleep_ms / 1000 if sleep_ms else None, seconds, seed)
    with stage_bars() as progress:
        report = scaling.run(Wiring(load_settings()), load_application(app), plan, progress)
    if json:
        return print_json(report)
    print(f"inference is a sleep of {report['sleep_seconds_per_text'] * 1000:.2f} ms for a text")
    for workers, rate in report["workers"].items():
        print(f"{workers} workers {rate:9.1f} texts/s  x {report['ratios'].get(f'{workers}/1', 1.0):.2f}")
    return None


def _memory(
    minutes: Annotated[float, typer.Option(min=0.5, help="how long it is watched at half load")] = 10.0,
    rate: Annotated[
        float | None, typer.Option(min=1, help="events a second in all; default: half of the maximum, measured first")
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Memory of one worker that holds the three applications, its slope, and the seconds from a start to the first
    decision."""
    from bench import memory
    from headrace.output import print_json, stage_bars
    from headrace.settings import load_settings
    from headrace.wiring import Wiring

    with stage_bars() as progress:
        report = memory.run(Wiring(load_settings()), memory.Plan(minutes, rate, seed), progress)
    if json:
        return print_json(report)
    size, slope = report["rss_mb"], report["slope_mb_per_hour"]
    print(f"memory          {size['median']:8.1f} MB in the middle, {size['largest']:.1f} MB at the most")
    print(f"slope           {slope['slope']:8.1f} MB an hour ({slope['low']} to {slope['high']})")
    print(f"first decision  {report['first_decision_seconds']:8.2f} s after the start")
    print(f"load            {report['events_per_second']:8.1f} events/s, {report['lost']} lost")
    return None


def _replay(
    data: Data,
    app: App = "support",
    events: Annotated[int, typer.Option(min=1_000, help="texts in the topic")] = 50_000,
    rounds: Annotated[
        int, typer.Option(min=1, help="each of a live worker and a replay; a figure is their median")
    ] = 3,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Events a second of a replay beside those of a live worker on the same topic, and whether both decide alike."""
    from bench import replay
    from headrace.applications import load_application
    from headrace.output import print_json, stage_bars
    from headrace.settings import load_settings
    from headrace.wiring import Wiring

    with stage_bars() as progress:
        report = replay.run(
            Wiring(load_settings()), load_application(app), replay.Plan(data, events, rounds, seed), progress
        )
    if json:
        return print_json(report)
    for name, rate in report["events_per_second"].items():
        print(f"{name:8} {rate:9.1f} events/s")
    print(
        f"ratio    {report['ratio']:9.3f}; {report['different_labels']} labels differ, {report['missing']} events "
        f"missing"
    )
    return None

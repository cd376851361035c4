"""train and classify: their options. What they do stands in `headrace.tools`."""

from pathlib import Path
from typing import Annotated

import typer

JsonFlag = Annotated[bool, typer.Option("--json", help="print one JSON object")]
ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="NAME or NAME@VERSION")]
TextColumn = Annotated[
    str | None,
    typer.Option(help="column of the texts; default: the application's, or the one that the release was trained on"),
]
TitleColumn = Annotated[
    str | None,
    typer.Option("--title-column", "--title", help="column that becomes the texts' first line, read as their title"),
]
LabelColumn = Annotated[
    str | None, typer.Option(help="column of the first head's labels; default: the heads' own columns, else label")
]
SplitColumn = Annotated[
    str, typer.Option(help="train | val, valid | test; without it a seeded stratified 80/20 split is made")
]
OosLabel = Annotated[
    str | None, typer.Option(help="label of out-of-scope texts, which no class learns; they may be test rows only")
]

Entities = Annotated[
    Path | None,
    typer.Option(help="texts with labelled entities, in place of the application's own (docs/models/entities.md)"),
]
PolarityOption = Annotated[
    str | None,
    typer.Option(
        metavar="HEAD=LIST|off",
        help='the head looks at what sentences say is good or bad ("loss narrowed") as well: sentiment=finance, '
        "or a TOML file of words; default: as the application says (docs/models/polarity.md)",
    ),
]


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    cli.command(
        "train",
        epilog="Examples: headrace train support --data tickets.csv --label-column topic --register. "
        "headrace train support --data tickets.csv --oos-cost 5 --target-error 0.02. "
        "headrace train support --images parcels --register. "
        "headrace train finance --data news.csv --entities judged.jsonl --register. "
        "headrace train support --data claims.csv --image-column photo --register",
    )(_train)
    cli.command(
        "classify",
        epilog='Examples: headrace classify support "where is my parcel?". '
        'headrace classify finance "Intel slides as AMD takes its customers"',
    )(_classify)


def _train(
    app: Annotated[str, typer.Argument(help="support, finance, or the path of a TOML file")],
    data: Annotated[
        Path | None,
        typer.Option(help="labelled CSV or JSON lines, UTF-8; - for stdin. With --images it may be left out"),
    ] = None,
    text_column: TextColumn = None,
    title_column: TitleColumn = None,
    label_column: LabelColumn = None,
    split_column: SplitColumn = "split",
    group_column: Annotated[
        str | None,
        typer.Option(help="rows of one value (a conversation, a story) stay together in every split"),
    ] = None,
    oos_label: OosLabel = None,
    oos_cost: Annotated[
        float | None,
        typer.Option(help="an answered out-of-scope question costs so many times a question handed to a person"),
    ] = None,
    oos_share: Annotated[
        float | None, typer.Option(help="share of questions out of scope; default: by --unlabelled, else 0.1")
    ] = None,
    target_error: Annotated[
        float | None, typer.Option(help="at most this share of the answered questions may be wrong, such as 0.02")
    ] = None,
    unlabelled: Annotated[
        Path | None,
        typer.Option(help="a file of live questions, in the column of --text-column: for --oos-cost, or to learn from"),
    ] = None,
    neutral_words: Annotated[
        str | None,
        typer.Option(
            help="names, gender words, places that no decision is to hang on: `default` (a wide list, and unknown "
            "words with a capital), or a TOML file"
        ),
    ] = None,
    polarity: PolarityOption = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            help="quick (default), or one that tunes the encoder (extra `train`): full, fewshot, lora, adalora, "
            "prefix, adapter"
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="options of the strategy, a TOML file such as `headrace tune` writes")
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[,NAME]",
            help="train on texts made of the training texts as well: typing, dropout, swap, neighbours, "
            "wordnet[=FOLDER], masked=MODEL, apertium[=eng-spa], marian=THERE:BACK; auto: try all that are there, use "
            "what helps beyond chance",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="same seed, same data: same model")] = 0,
    epochs: Annotated[int | None, typer.Option(min=1, help="of a strategy that tunes the encoder")] = None,
    tensorboard: Annotated[
        Path | None, typer.Option(help="of a strategy that tunes the encoder: figures of the training to this folder")
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="FOLDER/<label>/*.png|jpg|webp: pictures beside the texts (extras `train,pictures`)"),
    ] = None,
    image_column: Annotated[
        str | None,
        typer.Option(
            help="of --data: column with the path of the picture beside each text, from the file's folder on; both "
            "then decide together where that helps (extras `train,pictures`)"
        ),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="of pictures: the side that is looked at, 16 to 224; default: by the pictures")
    ] = None,
    mirror_images: Annotated[
        bool, typer.Option("--mirror-images", help="of pictures: a mirrored picture has the same label")
    ] = False,
    entities: Entities = None,
    output: Annotated[Path | None, typer.Option(help="write the release to this new folder")] = None,
    register: Annotated[
        bool,
        typer.Option("--register", help="put it into the registry; the first of a model becomes its champion"),
    ] = False,
    promote: Annotated[
        bool, typer.Option("--promote", help="with --register: make it the champion, which workers serve at once")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Train a release on labelled text, score it once on the test rows. Neither --output nor --register: figures
    only."""
    if output is not None and register:
        raise typer.BadParameter("give --output or --register, not both")
    if promote and not register:
        raise typer.BadParameter("--promote goes with --register")
    if images is None and image_column is None and (image_size is not None or mirror_images):
        raise typer.BadParameter("--image-size and --mirror-images go with --images or --image-column")
    if images is not None and image_column is not None:
        raise typer.BadParameter("give --images FOLDER or --image-column COLUMN, not both: they train one network")
    if data is None and image_column is not None:
        raise typer.BadParameter("--image-column is a column of --data FILE")
    if data is None and images is None:
        raise typer.BadParameter("give --data FILE, --images FOLDER or both")
    from headrace.tools.training import Keeping, run_train, run_train_pictures
    from headrace.training.pictures.folder import PictureOrder

    pictures, keeping = None, Keeping(output, register, promote)
    if images is not None or image_column is not None:
        pictures = PictureOrder(images, image_size, mirror_images, image_column)
        if data is None:
            return run_train_pictures(app, pictures, seed, keeping, json=json)
    assert data is not None
    from headrace.training.from_file import TrainingRequest
    from headrace.training.options_file import chosen_strategy
    from headrace.word_lists import read_neutral_words

    order = TrainingRequest(
        data,
        text_column,
        label_column,
        split_column,
        oos_label,
        chosen_strategy(strategy, config),
        seed,
        epochs,
        group_column,
        unlabelled,
        oos_cost,
        oos_share,
        target_error,
        None if neutral_words is None else read_neutral_words(neutral_words),
        pictures=pictures,
        config=config,
        augment=augment,
        tensorboard=tensorboard,
        entities=entities,
        title_column=title_column,
        polarity=polarity,
    )
    return run_train(app, order, keeping, json=json)


def _classify(
    app: Annotated[str, typer.Argument(help="support, finance, or the path of a TOML file")],
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="[TEXT...]", help="default: the lines of standard input")
    ] = None,
    model: Annotated[str | None, typer.Option(help="NAME@VERSION; default: the application's champion")] = None,
    image: Annotated[Path | None, typer.Option(help="a picture beside the text; it may stand without one")] = None,
    conversation: Annotated[
        bool, typer.Option("--conversation", help="the texts are messages of one conversation, in their order")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON lines, which is what it prints anyway")] = True,
) -> None:
    """Decisions for texts, as JSON lines. Without a model yet, one is trained from the application's corpus."""
    from headrace.tools.classifying import run_classify

    run_classify(app, texts, model, image, conversation=conversation)

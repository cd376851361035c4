import re
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from headrace.cli import app
from headrace.settings import PREFIX, Settings
from streams.topics import SHARED_TOPICS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[tuple[str, typer.core.TyperCommand]]:
    named = []
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        for sub, inner in getattr(command, "commands", {"": command}).items():
            named.append((f"{name} {sub}".strip(), inner))
    return named


@pytest.mark.parametrize(("name", "command"), commands(), ids=[name for name, _ in commands()])
def test_each_command_has_help_with_an_example(name: str, command: typer.core.TyperCommand) -> None:
    assert command.help and command.help.strip()
    assert command.epilog and f"headrace {name}" in command.epilog


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_each_command_stands_in_the_readme(name: str) -> None:
    first, _, second = name.partition(" ")
    assert re.search(rf"`headrace {first}\b|`{first}`", README), name
    assert not second or f"`{second}`" in README or f"{first} {second}" in README, name


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_each_setting_stands_in_the_readme(name: str) -> None:
    variable = PREFIX + name.upper()
    assert f"`{variable}`" in README or f"`{variable.removeprefix('HEADRACE')}`" in README


@pytest.mark.parametrize("topic", SHARED_TOPICS)
def test_who_may_write_each_shared_topic_stands_in_the_security_page(topic: str) -> None:
    """D-A12: nobody was told which rights a role needs."""
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    assert f"| `{topic}` |" in page


@pytest.mark.parametrize("page", ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_each_command_that_a_page_names_is_one(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|\$ |exec \w+ )headrace ([a-z]+)", text))
    for row in re.findall(r"^\| (?:topic|retrainer,) .*$", text, re.MULTILINE):  # who may do what, beside the roles
        named |= set(re.findall(r"`([a-z]+)`", row.partition(" | - |")[0]))
    assert named <= set(get_command(app).commands), page  # type: ignore[attr-defined]


APPLICATION_PAGES = {"support": "support", "finance": "finance", "recommend": "recommendation", "own": "your_own_field"}


@pytest.mark.parametrize("name", ["support", "finance", "recommendation"])
def test_each_figure_of_a_first_screen_stands_on_the_page_that_its_row_names(name: str) -> None:
    """Who measures anew changes the page of the matter, and forgets the one that begins with it."""
    page = ROOT / "docs" / f"{name}.md"
    table = re.search(r"\*\*How good it is\*\*[^\n]*\n\n((?:\|[^\n]*\n)+)", page.read_text(encoding="utf-8"))
    assert table is not None
    stands: set[str] = set()
    rows = table.group(1).splitlines()[2:]
    for row in rows:
        links = [ROOT / "docs" / link for link in re.findall(r"\]\(([\w./]+\.md)", row)]
        if links:  # "the same" is the row above
            stands = set().union(*(figures(link.read_text(encoding="utf-8")) for link in links))
        elif not stands:
            stands = figures(page.read_text(encoding="utf-8").replace(table.group(1), ""))
        gone = [figure for figure in figures(row) if not any(one.startswith(figure) for one in stands)]
        assert not gone, row
    assert len(set().union(*map(figures, rows))) >= 6


def figures(text: str) -> set[str]:
    """Shares with three digits or more behind the point."""
    return set(re.findall(r"\.\d{3,}", text))


@pytest.mark.parametrize("application", APPLICATION_PAGES)
def test_each_application_has_a_page_with_pictures(application: str) -> None:
    """People would rather look than read; the pages had none."""
    page = ROOT / "docs" / f"{APPLICATION_PAGES[application]}.md"
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    assert len(pictures) >= 2


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_links_to_is_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("picture", sorted((ROOT / "docs").rglob("*.svg")), ids=lambda path: path.name)
def test_a_picture_of_the_docs_loads_nothing_from_elsewhere(picture: Path) -> None:
    assert not re.search(r"url\([\"']?https?:|href=[\"']https?:", picture.read_text(encoding="utf-8"))

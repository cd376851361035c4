"""What is remembered of stories is bounded, and the same after a restart."""

from streams.monitor.rules.stories.counts import STORIES_KEPT, Heard, Story, StoryCounts

GROUP, OTHER = ("symbols", "ACME"), ("symbols", "BOLT")


def hear(counts: StoryCounts, number: int, minute: int, *groups: tuple[str, str]) -> list[bool]:
    story = Story(number, f"news-{number}", minute, groups)
    counts.add(story, minute)
    return [counts.add_to(group, story, minute) for group in groups]


def test_a_story_that_is_heard_of_for_ever_keeps_no_others() -> None:
    """A group's stories were forgotten from the first on: one that came again and again kept all behind it, 2,600 more
    in each 50,000 events."""
    counts = StoryCounts([5])
    for number in range(1, 4 * STORIES_KEPT):
        hear(counts, 0, number, OTHER if number > 1 else GROUP)
        hear(counts, number, number, GROUP)
    assert len(counts.heard[GROUP].stories) <= STORIES_KEPT
    assert counts.heard[GROUP].stories.keys() <= counts.known.keys()


def test_a_story_that_is_heard_of_for_ever_keeps_no_groups_that_are_forgotten() -> None:
    counts, sizes = StoryCounts([5]), []
    for number in range(6_000):
        group = ("symbols", f"new {number}")
        assert hear(counts, 0, number, group) == [True]
        counts.drop(group)
        assert hear(counts, 0, number, group) == [True], "a group that comes back begins anew"
        counts.drop(group)
        sizes.append(sum(map(len, counts._groups_of.values())))
    assert max(sizes) <= 1


def test_a_story_that_was_forgotten_counts_anew_with_a_restart_in_between_and_without() -> None:
    counts = StoryCounts([5])
    hear(counts, 0, 1, GROUP)
    for number in range(1, STORIES_KEPT + 1):
        hear(counts, number, 2, OTHER)
    after = StoryCounts([5])
    after.restore(counts.known, {group: Heard(stories=one.stories.copy()) for group, one in counts.heard.items()})
    assert hear(counts, 0, 3, GROUP) == hear(after, 0, 3, GROUP) == [True]


def test_a_group_is_forgotten_once_no_story_of_it_can_have_copies() -> None:
    counts = StoryCounts([5])
    hear(counts, 0, 1, GROUP)
    list(counts.take(GROUP, None))
    counts.forget_silent()
    assert GROUP in counts.heard
    for number in range(1, STORIES_KEPT + 1):
        hear(counts, number, 2, OTHER)
    counts.forget_silent()
    assert GROUP not in counts.heard and OTHER in counts.heard

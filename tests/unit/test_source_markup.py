"""HTML in records: what a reader sees of it is what is decided on."""

import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import MessageError
from models.texts.plain import plain_text
from streams.application import Source
from streams.wire.source_records import PassedOver, SourceReader


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("<p>Brackwater&nbsp;Mills <b>said</b> so.</p>", "Brackwater Mills said so."),
        ("one<br/>two<BR>three", "one\ntwo\nthree"),
        ("<ul><li>first</li>\n<li>second</li></ul>", "first\nsecond"),
        ("<td>3</td><td>4</td>", "3 4"),
        ("Brack<b>water</b>", "Brackwater"),
        ("a<script>alert('<p>x</p>')</script>b<style>p {}</style>", "a b"),
        ("a<!-- <b>not</b> seen -->b", "ab"),
        ("A&amp;B &#8211; C&#x2013;D", "A&B – C–D"),
        ("&lt;b&gt; is no tag", "<b> is no tag"),
        ("R&D, P&L, AT&T; 3 < 4 > 2, a<b", "R&D, P&L, AT&T; 3 < 4 > 2, a<b"),
        ("<!DOCTYPE html><?xml version='1.0'?><p>x", "x"),
        ("<p>open <script> for ever", "open for ever"),
        ("a<!-- open", "a<!-- open"),
        ('<a href="https://x.example/?a=1&b=2">link</a>', "link"),
        ("plain\ntext  as it is", "plain\ntext  as it is"),
        ("R&D is up\n3 < 4,  as it was", "R&D is up\n3 < 4,  as it was"),
        ("", ""),
        ("<p></p>", ""),
        ("<![CDATA[Brackwater beats expectations]]>", "Brackwater beats expectations"),
        ("<p><![CDATA[<b>Brackwater</b> & Sons]]></p>", "Brackwater & Sons"),
        ("a<![CDATA[x[1] b]]>c", "ax[1] bc"),
        ("open <![CDATA[ for ever", "open <![CDATA[ for ever"),
        ("sold at <? I do not know, please refund my order 12", "sold at <? I do not know, please refund my order 12"),
        ("<!doctype that never ends", "<!doctype that never ends"),
        (f'x <img src="data:image/png;base64,{"A" * 9_000}"> y', "x y"),
    ],
)
def test_what_a_reader_sees_stays(written: str, seen: str) -> None:
    assert plain_text(written) == seen


@given(st.text(alphabet="<>/!-&;#ab pscript\n\"'[]?", max_size=60))
def test_any_text_has_a_plain_one(text: str) -> None:
    assert len(plain_text(text)) <= len(text)


@pytest.mark.parametrize("piece", ["<", "<a ", "<!--", "<script>", "<a '", "<?", "<![CDATA[", "&", "&a", "</p>"])
def test_the_time_grows_with_the_length_alone(piece: str) -> None:
    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        started = time.process_time()
        plain_text(text)
        return time.process_time() - started

    small = min(seconds(50_000) for _ in range(3))
    assert seconds(400_000) < 40 * small + 0.5  # eight times; 64 times were it to grow with the square


def test_title_and_body_are_made_plain_each_by_itself() -> None:
    reader = SourceReader(Source(text="/t", body="/b", markup="html"))
    record = orjson.dumps({"t": "A&amp;B <i>cuts</i><br>guidance", "b": "<p>First.</p><p>Second.</p>"})
    source = reader.parse(record, None, 0)
    assert not isinstance(source, PassedOver) and source.text == "A&B cuts guidance\nFirst.\nSecond."
    as_it_stands = SourceReader(Source(text="/t", body="/b")).parse(record, None, 0)
    assert not isinstance(as_it_stands, PassedOver) and as_it_stands.text.startswith("A&amp;B <i>")


def test_markup_around_nothing_is_an_empty_text() -> None:
    with pytest.raises(MessageError, match="is empty"):
        SourceReader(Source(markup="html")).parse(orjson.dumps({"text": "<p>&nbsp;</p>"}), None, 0)

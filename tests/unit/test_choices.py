"""Which of two matters an answer takes, in the words of people."""

import pytest

from streams.conversations.choices import NEITHER, chosen

GERMAN = ("die Rückzahlung", "das Paket")
ENGLISH = ("getting your money back", "a parcel that is late")
CHINESE = ("退款", "快递")
ARRIVAL = ("The parcel has not arrived", "The parcel is damaged")
ANKUNFT = ("Paket nicht angekommen", "Paket beschädigt")
EXCHANGE = ("refund", "exchange")


@pytest.mark.parametrize(
    ("titles", "answer", "number"),
    [
        (GERMAN, "das erste bitte", 0),
        (GERMAN, "Ersteres", 0),
        (GERMAN, "letzteres bitte", 1),
        (GERMAN, "ich möchte das zweite", 1),
        (GERMAN, "la première", 0),
        (GERMAN, "le deuxième, merci", 1),
        (GERMAN, "um das Paket", 1),
        (GERMAN, "nicht die Rückzahlung", 1),
        (GERMAN, "Nein, nicht das Paket!", 0),
        (GERMAN, "nicht die Rückzahlung sondern das Paket", 1),
        (GERMAN, "die Rückzahlung, nicht das Paket", 0),
        (GERMAN, "es geht nicht um das Paket", 0),
        (GERMAN, "ich habe nicht mein Paket bekommen, sondern ein anderes Paket", 1),
        (GERMAN, "das Paket kam nicht an", 1),
        (GERMAN, "weder die Rückzahlung noch das Paket", NEITHER),
        (GERMAN, "nicht die Rückzahlung und nicht das Paket", NEITHER),
        (GERMAN, "beides", NEITHER),
        (GERMAN, "beides!!", NEITHER),
        (GERMAN, "les deux", NEITHER),
        (GERMAN, "weiß ich nicht", None),
        (ENGLISH, "both, please", NEITHER),
        (ENGLISH, "i want both of them", NEITHER),
        (ENGLISH, "can you both hurry up", None),
        (ENGLISH, "it's not about the parcel", 0),
        (ENGLISH, "not my money", 1),
        (ENGLISH, "it’s the first one", 0),
        (ENGLISH, "(2)", 1),
        (ENGLISH, "#1", 0),
        (ENGLISH, "the second 🙂", 1),
        (ENGLISH, "2️⃣", 1),
        (ENGLISH, "１", 0),
        (ENGLISH, "②", 1),
        (GERMAN, "c’est le premier", 0),
        (GERMAN, "ni l’un ni l’autre", NEITHER),
        (ENGLISH, "👍", None),
        (ENGLISH, "i did not get my money back", 0),
        (ENGLISH, "the parcel has not come", 1),
        (CHINESE, "不是退款", 1),
        (CHINESE, "不是快递，是退款", 0),
        (CHINESE, "没有收到快递", 1),
        (CHINESE, "都要", NEITHER),
        (CHINESE, "都是你们的错", None),
        (CHINESE, "不想要退款", None),
        (CHINESE, "不用退款", None),
        (ARRIVAL, "it's not here yet", 0),  # a "not" of one of the two denies nothing
        (ARRIVAL, "not arrived", 0),
        (ARRIVAL, "it is damaged", 1),
        (ANKUNFT, "es ist nicht angekommen", 0),
        (("card not working", "card arrival"), "not working", 0),
        (EXCHANGE, "I don't want the refund", None),  # nor does that say that it is the other one
        (EXCHANGE, "no refund", None),
        (EXCHANGE, "keine refund", None),
        (EXCHANGE, "no, the refund", 0),
        (EXCHANGE, "no i mean the refund", 0),
        (("do not want it any more", "never came"), "i don't want it any more", 0),
    ],
)
def test_an_answer_takes_what_it_says(titles: tuple[str, str], answer: str, number: int | None) -> None:
    """ "Not the refund" was taken for the refund, as it has its words; "both" was asked about again, and "ersteres" was
    not understood."""
    assert chosen(answer, titles) == number

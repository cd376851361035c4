"""Augmentation by models of transformers, on tiny ones that are made here."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from tiny_encoder import CONFIG, tiny_tokenizer

from headrace.training.augmentation import AugmentOrder, methods_of
from models.errors import ConfigError
from retrain.augmentation.masked_words import load_masked_words
from retrain.augmentation.methods import Method
from retrain.augmentation.words import words_of

pytestmark = pytest.mark.train
WORDS = ["where", "is", "my", "parcel", "refund", "late", "money", "back", "card", "the", "退", "款", "到", "账"]
TEXTS = ["where is my parcel", "money back", "my card is late", "the refund is late", "parcel"]


@pytest.fixture(scope="module")
def masked_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a BERT for masked words, of random weights."""
    import torch
    from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("masked")
    described = json.loads(tiny_tokenizer([*WORDS, "[MASK]"]))
    file = folder / "bare.json"
    file.write_text(json.dumps(described), encoding="utf-8")
    special: dict[str, Any] = {
        name: f"[{word}]"
        for name, word in {"pad_token": "PAD", "unk_token": "UNK", "cls_token": "CLS", "sep_token": "SEP"}.items()
    }
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(file), mask_token="[MASK]", **special)
    torch.manual_seed(0)
    model = BertForMaskedLM(BertConfig(**CONFIG, vocab_size=len(tokenizer)))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def method(words: str) -> Method:
    (found,) = methods_of(AugmentOrder.parse(words), lambda: pytest.fail("no encoder is needed"))
    return found


def test_masked_words_are_replaced_by_words_of_the_model(masked_model: str) -> None:
    made = method(f"masked={masked_model}").rewritten(TEXTS, 0)
    for text, one in zip(TEXTS, made, strict=True):
        before, after = words_of(text), words_of(one)
        assert len(before) == len(after)
        changed = [new for old, new in zip(before, after, strict=True) if old != new]
        assert len(changed) == 1 and (changed[0] in WORDS or len(changed[0]) == 1)


def test_masked_words_are_the_same_wherever_a_text_stands(masked_model: str) -> None:
    masked = load_masked_words(masked_model, 0.3)
    together = masked.rewritten(TEXTS * 10, 3)
    assert together == [masked.rewritten([text], 3)[0] for text in TEXTS] * 10
    assert masked.rewritten(TEXTS, 4) != masked.rewritten(TEXTS, 3)


def test_masked_characters_of_chinese_are_replaced(masked_model: str) -> None:
    (made,) = load_masked_words(masked_model, 0.3).rewritten(["退款到账!"], 0)
    assert made != "退款到账!" and made.endswith("!")


def test_what_is_beyond_the_models_length_or_no_word_stays(masked_model: str) -> None:
    masked = load_masked_words(masked_model, 0.3)
    long = " ".join(["parcel"] * 400)
    made = masked.rewritten([long, "!?", ""], 0)
    assert len(words_of(made[0])) == 400 and made[1:] == ["!?", ""]


@pytest.mark.parametrize("words", ["masked={}", "marian={}:{}"])
def test_a_folder_without_a_model_is_told_in_one_line(tmp_path: Path, words: str) -> None:
    with pytest.raises(ConfigError, match="cannot be loaded") as told:
        method(words.format(*[tmp_path] * 2))
    assert "\n" not in str(told.value)


def test_a_pickled_model_is_not_opened(masked_model: str, tmp_path: Path) -> None:
    import shutil

    import torch

    folder = tmp_path / "pickled"
    shutil.copytree(masked_model, folder)
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        load_masked_words(str(folder), 0.3)


@pytest.fixture(scope="module")
def marian(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a MarianMT of random weights and its sentence pieces."""
    import sentencepiece  # type: ignore[import-not-found]
    import torch
    from transformers import MarianConfig, MarianMTModel, MarianTokenizer

    folder = tmp_path_factory.mktemp("marian")
    pieces = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 20), model_writer=pieces, vocab_size=40, hard_vocab_limit=False, minloglevel=2
    )
    for name in ("source.spm", "target.spm"):
        (folder / name).write_bytes(pieces.getvalue())
    known = sentencepiece.SentencePieceProcessor(model_proto=pieces.getvalue())
    names = ["</s>", "<unk>", *(known.id_to_piece(number) for number in range(known.get_piece_size()))]
    vocabulary = {name: number for number, name in enumerate(dict.fromkeys([*names, "<pad>"]))}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    tokenizer = MarianTokenizer(
        str(folder / "source.spm"),
        str(folder / "target.spm"),
        str(folder / "vocab.json"),
        source_lang="en",
        target_lang="de",
    )
    torch.manual_seed(0)
    pad = vocabulary["<pad>"]
    config = MarianConfig(
        vocab_size=len(vocabulary),
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_position_embeddings=128,
        pad_token_id=pad,
        eos_token_id=vocabulary["</s>"],
        decoder_start_token_id=pad,
    )
    MarianMTModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_marian_goes_there_and_back(marian: str) -> None:
    round_trip = method(f"marian={marian}:{marian}")
    made = round_trip.rewritten(TEXTS, 0)
    assert len(made) == len(TEXTS) and all(made)
    assert made == round_trip.rewritten(TEXTS, 1), "nothing is random"
    assert round_trip.rewritten(TEXTS[:1], 0)[0] == made[0], "whatever stands beside it"

"""The table `[answer_bank]`: when the bank of answers is asked, and how sure it must be."""

from typing import Literal

from pydantic import BaseModel, Field

from streams.application.names import SHAPE


class AnswerBankSpec(BaseModel):
    """Answers from the bank that `headrace answers add` fills (`docs/answers.md`). An empty table will do."""

    model_config = SHAPE

    ready_from: float = Field(default=0.9, ge=0, le=1)
    """A ready answer of `[answers]` is given where its label is as probable as that."""
    confidence: float = Field(default=0.9, ge=0, le=1)
    """An answer of the bank is given from here on; what is less sure goes where it would go without a bank. 0.9: one in
    ten questions that the bank has no answer for is answered all the same."""
    when: Literal["unknown", "unsure"] = "unsure"
    """`unknown`: the bank is asked where the first head rejects a text; `unsure`: wherever no ready answer is given."""

"""The table `[answer_bank]`: when the bank of answers is asked, and how sure it must be."""

from typing import Literal

from pydantic import BaseModel, Field

from streams.application.names import SHAPE


class AnswerBankSpec(BaseModel):
    """Answers from the bank that `headrace answers add` fills (`docs/answers.md`). An empty table will do."""

    model_config = SHAPE

    confidence: float = Field(default=0.9, ge=0, le=1)
    """An answer is given from here on; what is less sure goes where it would go without a bank. 0.9: one in ten
    questions that the bank has no answer for is answered all the same."""
    when: Literal["unknown", "no_template"] = "no_template"
    """`unknown`: the bank is asked where the first head rejects a text; `no_template`: where its label has no ready
    answer in `[answers]` as well."""

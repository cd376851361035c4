"""The README.md of an adapted encoder: where it comes from, under whose licence, and what was measured."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.training.adaptation.distilling import Distilled, DistilOrder


def adaptation_card(order: "DistilOrder", done: "Distilled") -> str:
    """Markdown under metadata that the Hugging Face Hub reads. No text that was learnt from stands in it."""
    from huggingface_hub import ModelCardData

    licence = done.student.licence
    metadata = ModelCardData(
        license=licence.lower() if licence else None,
        base_model=done.student.published_as or None,
        library_name="sentence-transformers",
        pipeline_tag="sentence-similarity",
    ).to_yaml()
    sides = zip(("before", "after"), (done.adapted.before, done.adapted.after), strict=True)
    rows = [f"| {name} | {side.loss:.4f} | {side.cosine:.4f} | {side.neighbours_kept:.3f} |" for name, side in sides]
    learnt, measured = (
        ("by telling texts apart under dropout (SimCSE)", "the encoder as it was")
        if done.teacher is None
        else ("from a teacher's embeddings", "the teacher")
    )
    teacher = "" if done.teacher is None else f"- Teacher: {done.teacher.words}. Its weights are not in here.\n"
    return (
        f"---\n{metadata}\n---\n# {order.out.name}\n\n"
        f"{done.student.name}, adapted to texts of one domain {learnt}: {done.texts} texts without labels, "
        f"{done.adapted.steps} steps, seed {order.seed}. {done.dimensions} dimensions.\n\n"
        f"- Student: {done.student.words}\n{teacher}"
        "- The licences hold for what is made of this encoder. The texts are not in it, but its weights come of them."
        "\n\n"
        f"On {done.held_out} texts held out; cosine and the ten nearest other texts kept are measured against "
        f"{measured}:\n\n| | loss | mean cosine | neighbours kept |\n| --- | --- | --- | --- |\n"
        + "\n".join(rows)
        + "\n"
    )

"""A card from elsewhere is looked through as the model's own files are."""

from __future__ import annotations

from sansi.deploy.publish.publication import CardChoices, prepare

from tiny_checkpoint import make_checkpoint


def test_a_key_in_a_card_from_elsewhere_blocks_the_upload(tmp_path):
    folder, card = make_checkpoint(tmp_path / "tiny"), tmp_path / "card.md"
    card.write_text("---\nlicense: apache-2.0\n---\nlogin with hf_" + "a1B2" * 9)
    told = [str(finding) for finding in prepare(folder, "huggingface", "me/tiny", CardChoices(file=card)).findings]
    assert sum("a Hugging Face token in line 4" in line for line in told) == 1

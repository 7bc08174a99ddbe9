"""The table in docs/codec.md cannot go stale: each proof that it names is a test that exists."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROWS = {*range(2, 13), 14, 15, 16, 22, 24, 25, *range(28, 34)}


def rows() -> dict[int, list[str]]:
    """Number of each row and the tests it names."""
    section = (ROOT / "docs" / "codec.md").read_text(encoding="utf-8").split("\n## Conformance\n")[1].split("\n## ")[0]
    lines = re.findall(r"^\| (\d+) \|.*\|(.*)\|$", section, re.MULTILINE)
    return {int(number): re.findall(r"`([^`]+)`", proof) for number, proof in lines}


def defined_in(file: str) -> set[str]:
    path = ROOT / file
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_proof_exists():
    named = [proof for proofs in rows().values() for proof in proofs]
    missing = [proof for proof in named if proof.partition("::")[2] not in defined_in(proof.partition("::")[0])]
    assert not missing, missing


def test_every_row_has_a_proof():
    assert set(rows()) == ROWS
    assert all(proofs and all("::test_" in proof for proof in proofs) for proofs in rows().values())

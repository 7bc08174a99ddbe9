"""One question to many documents, read side by side: python examples/document_qa.py [URL [MODEL [FILE ...]]]"""

import sys
from pathlib import Path

from sansi.agents.compositions import ask_documents
from sansi.client import HTTPChatClient
from sansi.documents import read_document

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000/v1"
client = HTTPChatClient(url, sys.argv[2] if len(sys.argv) > 2 else "Qwen3-0.6B")
files = [Path(name) for name in sys.argv[3:]] or sorted(Path(__file__).parent.glob("*.md"))
documents = {file.name: read_document(file.read_bytes(), file.name).text for file in files}

answer = ask_documents(client, "Which example shows thinking budgets?", documents, at_once=4)
print(answer.text)
for number, finding in enumerate(answer.findings, 1):
    print(f"[{number}] {finding.document}, from character {finding.start}: {finding.text}")

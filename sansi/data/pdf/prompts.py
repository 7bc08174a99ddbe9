"""What vision-language and language models are asked about a page."""

NO_TEXT = "[no text]"

TRANSCRIBE = f"""\
The picture shows one page of a document. Write down its text, all of it, in the order in which a person reads it.

- Write each paragraph in one line, with an empty line between paragraphs. Join words that are parted at line ends.
- Write tables as Markdown tables, formulas as LaTeX between $ signs, code in its lines.
- Leave out what belongs to the page and not to the text: running heads and feet, page numbers, watermarks.
- Keep the language, the spelling and the mistakes of the page. Do not translate, describe, explain or add anything.
- If there is no text on the page, answer {NO_TEXT}.

Answer with the text alone."""

REFINE = """\
Below is one page of a document, as a program took it from a PDF file. Mend what that has broken, and nothing else:

- words that are parted, or run together; letters that are wrong because of the font
- paragraphs that are broken into lines, and lines that are not in their order
- tables that fell apart (write them as Markdown tables), formulas, code without its lines

Keep every sentence, in its language, with its spelling. Do not shorten, explain, translate or add anything. If nothing
is broken, answer with the text as it is. Answer with the text alone.

"""

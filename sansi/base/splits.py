"""Where byte-level BPE ends a word before pairs are merged, as patterns."""

# Contractions, words with one leading mark, digits one by one, runs of marks, line breaks, other white space.
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# How text is cut before pairs are merged. "qwen" is the published tokenizers' way, which ends a word at every combining
# mark, so that no token holds a syllable of Hindi, Tamil or Burmese with its vowel sign. "marks" keeps them in words.
SPLITS = {
    "qwen": PATTERN,
    "marks": PATTERN.replace(r"?\p{L}+", r"?[\p{L}\p{M}]+").replace(r"[^\s\p{L}\p{N}]", r"[^\s\p{L}\p{M}\p{N}]"),
}

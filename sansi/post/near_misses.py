"""What looks like a problem of the bundled model and is none: its own frames around what it cannot do.

The frames are those of `sansi.data.problems.wordings`, so that nothing but the content decides: `what is 12 * 7?`
beside `what is 12 + 7?`, the LCM of two numbers beside their GCD, the vowels of a word beside one of its letters.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from sansi.data.phrases import choose
from sansi.data.problems.ordinary import WORDS, dictionary
from sansi.data.problems.wordings import (
    BITS,
    EQUATIONS,
    EQUATIONS_ZH,
    GCDS,
    LETTERS,
    PLUS,
    PLUS_TWO,
    REVERSALS,
    SUMS,
    SUMS_ZH,
    chinese_number,
    dress,
    number_words,
)

SUM_ZH_SHARE = 0.22
UNITS_ZH = ("千", "万", "百万", "亿")
WORD_SIGNS = (
    *(" times ", " times ", " multiplied by ", " divided by ", " over ", " to the power of ", " mod ", " modulo "),
    *(" into ", " by ", " multiplied with ", " time ", " xor "),
)
SIGNS = ("*", "*", "*", "x", "×", "/", "/", "÷", "^", "**", "%", "·", "//", "X", "⋅", ":")
SIGNS_ZH = ("乘以", "乘", "除以", "乘上", "的平方加", "除", "×", "÷", "*", "/")
SHAPES = (
    *(
        "[sqrt|√|square root of |the square root of |log |log of |ln |sin |cos |cube root of ]<n>",
        "<n>[!|²|³| squared| cubed|^2|%| factorial]",
    ),
    *(
        "<n>[%| %| percent] of [<n>|<big>]",
        "[half|a third|a quarter|twice|double|triple|three times|half of|10 percent of] <n>",
    ),
    *(
        "[1/2|3/4|2/3|1/3|5/6|<d>/<d>] [+|-|plus|minus|*] [1/2|1/4|1/3|<d>/<d>]",
        "[sqrt|log|abs|sin|max|fact|exp]([<n>|<n>, <n>])",
    ),
    *("<d> [*|x|times] <d> [*|x|times|+|-|plus] <d>", "<n> [+|-] <d> [*|x|/|×] <d>", "(<n> [+|-] <n>) [*|/|x|×] <d>"),
    *(
        "<d>(<n> [+|-] <n>)",
        "[|(]<d> [*|x|×|/] <d>[|)] [+|-] <n>",
        "2^<d>",
        "<n>e<d>",
        "<n> choose <d>",
        "|-<n>|",
        "<n> and a half",
    ),
)
CHECKS = (
    "[is|does|do|isn't|is it true that|is it correct that|true or false:|check:|check if|verify that|am i right that|why is|since when is|prove that|is the answer right:|i think|my teacher says|correct or not:|do you agree that|] <s> <is> <n>[?|]",
    "<s> <is> <n>[, right?|, correct?|, true or false?|, is that true?| is that right?|. am i right?| or not?| no?| right| true?|!|. correct?|, isn't it?]",
)
CHECKS_ZH = (
    "<s>[=|等于]<n>[对吗|吗|是对的吗|，对不对|正确吗|是不是|没错吧][？|?|]",
    "[为什么|难道|证明|验证]<s>[=|等于]<n>[？|]",
)
OTHER_DIVISORS = (
    "[lcm|LCM|least common multiple|lowest common multiple|smallest common multiple|product|average|mean|ratio|sum of squares|common factors"
    "|common divisors|prime factors|median|quotient|maximum|difference of squares]"
)
OTHER_COUNTS = "[vowels|consonants|syllables|letters|characters|words|vowels|different letters|capital letters|double letters|sounds|meanings|spaces]"
COUNTING = (
    "how many <what> [are there |are |] in [the word |the text |]<w>[?|]",
    "how many <what> does [the word |]<w> have[?|]",
    "[count|find|list|show|name|give me] [the |all the |] <what> [in|of] [the word |]<w>[.|]",
    "[number|count] of <what> in <w>[?|]",
    "<w>[: | ]how many <what>[?|]",
    "[what is|what's|tell me|give me|which is] the [first|last|second|third|middle|longest|most common|missing] [letter|character|vowel|syllable] [of|in] [the word |]<w>[?|]",
    "[how long is|what is the length of|length of] [the word |]<w>[?|]",
)
SPELLING = (
    "[spell|how do you spell|how is|how to spell|can you spell|please spell|spell out|spell the word|what is the spelling of|correct spelling of|how do i spell|write|say|type|print|pronounce] <w>[| spelled| correctly| for me| please][?|]",
    "[uppercase|capitalize|lowercase|scramble|shuffle|sort the letters of|rhyme|hyphenate|abbreviate|encode|decode|duplicate|translate|define|conjugate|anagram of|plural of|synonym of|opposite of|pronounce] <w>[?|]",
    "[write|put|make|say] [the word |]<w> [in capital letters|in uppercase|in lower case|in caps|twice|three times|in bold|in morse code|in french|in a sentence|in chinese|in cursive|with a capital|ten times|phonetically][?|]",
    "[is|was] <w> [a palindrome|a word|a noun|a verb|an adjective|spelled correctly|spelled right|english|a name|the same backwards][?|]",
    "[unscramble|an anagram for|a rhyme for|another word for|words like|words that start with|words from the letters of|remove the vowels from|remove the first letter of|delete the last letter of|add an s to] <w>[?|]",
)
REVERSED_THINGS = (
    "[a list|an array|a string|a linked list|the order of a list|a dictionary|a number|words in a sentence|a tuple|a stack] in <code>",
    "[a|the] [list|string|array|linked list|sentence|video|image|car|decision|trend|charge|curse|polarity|song|time|order|process]",
    "[<list>|<list>|(1, 2)|1 2 3 4|1, 2, 3|a, b, c|x = <list>]",
    "the [words|order|lines|numbers] of [this sentence|the text|my list|the poem]",
)
CODE = (
    *("python", "java", "javascript", "c", "c++", "rust", "go", "bash", "sql", "ruby", "php", "swift", "kotlin", "r"),
    *("haskell", "typescript", "c#", "perl", "lua", "pandas", "numpy", "excel", "scala", "julia", "matlab"),
)
OTHER_EQUATIONS = (
    "<x>^2 [= <n>|+ <d><x> = <n>|- <d><x> + <d> = 0|+ <n> = <big>|- <n> = 0]",
    "<x>² [= <n>|+ <d><x> = <n>|- <n> = 0]",
    "[<x> + y = <n>|<d><x> + <d>y = <n>|<x>y = <n>|<x> = y|<x> - y = <d>|y = <d><x> + <d>|<x> + y + z = <n>][, <x> - y = <d>|]",
    "[<x> > <n>|<x> < <n>|<x> + <d> > <n>|<d><x> >= <n>|<d> < <x> < <n>]",
    "[sin(<x>) = 1|log(<x>) = <d>|2^<x> = 16|sqrt(<x>) = <d>|<x>^3 = 27|e^<x> = <d>|<x>! = 120|abs(<x>) = <d>|1/<x> = <d>|<x>*<x> = <n>|tan <x> = 1]",
    "[f(<x>) = <x>^2|f(<x>) = <d><x> + <d>|y = <x>^2|d/dx <x>^<d>|lim <x>->0|sum <x> from 1 to <n>|<x> + <x> = <d><x>]",
)


def near_miss(rng: random.Random) -> str:
    """A message in the frame of a problem, about something else."""
    makers: tuple[tuple[Callable[[random.Random], str], float], ...] = (
        *((_sum, 44), (_check, 15), (_divisor, 7), (_counting, 10)),
        *((_spelling, 10), (_reversal, 8), (_equation, 8), (_bits, 4)),
    )
    return rng.choices([maker for maker, _ in makers], [weight for _, weight in makers])[0](rng)


# --- numbers and expressions ------------------------------------------------------------------------------------------


def _number(rng: random.Random) -> str:
    return str(rng.randint(1, 20) if rng.random() < 0.5 else rng.randint(1, 99))


def _large(rng: random.Random) -> str:
    number = rng.randint(101, 999) if rng.random() < 0.5 else rng.randrange(1000, 10 ** rng.randint(4, 7))
    return f"{number:,}" if rng.random() < 0.2 else str(number)


def _decimal(rng: random.Random) -> str:
    whole = rng.choice((str(rng.randint(0, 9)), _number(rng), ""))
    return f"{whole}.{rng.choice((str(rng.randint(1, 9)), str(rng.randint(1, 99)).zfill(2), '5', '25', '75'))}"


def _negative(rng: random.Random) -> str:
    number = _number(rng)
    return rng.choice(
        (f"-{number}", f"-{number}", f"(-{number})", f"minus {number}", f"−{number}", f"negative {number}")
    )


def _expression(rng: random.Random) -> str:
    """A calculation that is no sum of numbers below 100."""
    kind = rng.choices(("sign", "word", "decimal", "negative", "large", "shape"), (34, 12, 14, 11, 14, 15))[0]
    if kind == "shape":
        values = {"n": lambda: _number(rng), "d": lambda: str(rng.randint(2, 12)), "big": lambda: _large(rng)}
        return _filled(rng.choice(SHAPES), values, rng)
    a, b = _number(rng), _number(rng)
    if kind == "word":
        a, b = (number_words(int(n)) if rng.random() < 0.4 else n for n in (a, b))
        return f"{a}{rng.choice(WORD_SIGNS)}{b}"
    if kind == "sign":
        sign, gap = rng.choice(SIGNS), rng.choice(("", "", " ", " ", " "))
        more = f"{gap}{rng.choice((sign, '+', '-', '*'))}{gap}{_number(rng)}" if rng.random() < 0.15 else ""
        return f"{a}{gap}{sign}{gap}{b}{more}"
    gap = rng.choice(("", " ", " "))
    sign = rng.choice((*(f"{gap}{s}{gap}" for s in "++--*"), " plus ", " minus "))
    odd = {"decimal": _decimal, "negative": _negative, "large": _large}[kind]
    if kind == "negative":
        return f"{odd(rng)}{sign}{b if rng.random() < 0.7 else odd(rng)}"
    places = rng.choice(((odd(rng), odd(rng)), (odd(rng), odd(rng)), (odd(rng), b), (a, odd(rng))))
    return sign.join(places)


def _expression_zh(rng: random.Random) -> str:
    if rng.random() < 0.3:
        return _expression(rng)
    a, b = rng.randint(1, 99), rng.randint(1, 99)
    number = chinese_number if rng.random() < 0.4 else str
    if rng.random() < 0.75:
        return f"{number(a)}{rng.choice(SIGNS_ZH)}{number(b)}"
    large = rng.choice(
        (f"{chinese_number(rng.randint(1, 9))}{rng.choice(('百', *UNITS_ZH))}", _large(rng), _decimal(rng))
    )
    return f"{large}{rng.choice(('加', '减', '+', '-', '加上', '减去'))}{number(b)}"


def _filled(phrase: str, values: dict[str, Callable[[], str]], rng: random.Random) -> str:
    """The phrase with choices made and each slot filled by a new draw."""
    text = choose(phrase, rng)
    for name, make in values.items():
        while f"<{name}>" in text:
            text = text.replace(f"<{name}>", make(), 1)
    return text


def _word(rng: random.Random) -> str:
    word = rng.choice(WORDS) if rng.random() < 0.5 else rng.choice(dictionary()).lower()
    return rng.choice(("{}", "{}", "{}", "'{}'", '"{}"')).format(word)


# --- frame by frame ---------------------------------------------------------------------------------------------------


def _sum(rng: random.Random) -> str:
    if rng.random() < SUM_ZH_SHARE:
        return dress(choose(rng.choice(SUMS_ZH), rng), {"e": _expression_zh(rng)}, rng, chinese=True)
    if rng.random() < 0.05:
        numbers = [rng.choice((_large, _large, _decimal, _negative))(rng) for _ in range(2)]
        values = {"list": " and ".join(numbers), "a": numbers[0], "b": numbers[1]}
        return dress(choose(rng.choice((*PLUS, *PLUS_TWO)), rng), values, rng, chinese=False)
    return dress(choose(rng.choice(SUMS), rng), {"e": _expression(rng)}, rng, chinese=False)


def _check(rng: random.Random) -> str:
    chinese = rng.random() < 0.15
    a, b = int(_number(rng)), int(_number(rng))
    right = a + b if rng.random() < 0.75 else a - b
    sign = "+" if right == a + b else "-"
    gap = rng.choice(("", " ", " "))
    told = str(right if rng.random() < 0.5 else right + rng.randint(-3, 5))
    plus = {"+": " plus ", "-": " minus "}[sign] if not chinese and rng.random() < 0.25 else f"{gap}{sign}{gap}"
    joint = rng.choice(("=", "=", " = ", "is", "equals", "equal", "equal to", "make", "really"))
    values = {"s": f"{a}{plus}{b}", "is": joint, "n": told}
    return dress(choose(rng.choice(CHECKS_ZH if chinese else CHECKS), rng), values, rng, chinese)


def _divisor(rng: random.Random) -> str:
    """Another function of two numbers, or three numbers."""
    phrase = rng.choice(GCDS)
    a, b, c = (_number(rng) for _ in range(3))
    if rng.random() < 0.3:
        pair = rng.choice((f"{a}, {b} and {c}", f"{a}, {b}, {c}", f"{a},{b},{c}", f"{a} and {b} and {c}"))
        if "<a>" in phrase:
            phrase = "gcd([<pair>|<pair>])"
        return dress(choose(phrase, rng), {"pair": pair}, rng, chinese=False)
    name = choose(OTHER_DIVISORS, rng)
    frames = (
        f"[what is|what's|find|compute|calculate|give me|determine|] the {name} [of|for] <pair>[?|.|]",
        f"{name} [of |for |: |]<pair>[?|]",
        f"<pair>[:|,] {name}[?|]",
        "[lcm|max|min|avg|mean|pow|mod|sum_sq]([<a>, <b>|<a>,<b>])",
        "[are|is it true that] <a> and <b> [coprime|prime|equal|even|relatively prime][?|]",
        "[does <a> divide <b>|is <b> divisible by <a>|is <a> a prime|is <a> a multiple of <b>|is <a> even|is <a> bigger than <b>][?|]",
    )
    pair = rng.choice((f"{a} and {b}", f"{a}, {b}", f"{a},{b}", f"{a} {b}"))
    return dress(choose(rng.choice(frames), rng), {"a": a, "b": b, "pair": pair}, rng, chinese=False)


def _counting(rng: random.Random) -> str:
    phrase = rng.choice(COUNTING)
    if rng.random() < 0.3:  # the very frame of a letter, with a kind of letters in its place
        phrase = rng.choice([p for p in LETTERS if p.startswith(("how many [letter", "[count|", "[what is |"))])
        phrase = phrase.replace("[letter |letters |]", "").replace("[<l>|<l>s|<l>'s]", "<l>")
        phrase = phrase.replace("[<l>|<l>s|<l>'s|<l>s|<l>'s]", "<l>")
    what = choose(OTHER_COUNTS, rng)
    return dress(choose(phrase, rng), {"what": what, "l": what, "w": _word(rng)}, rng, chinese=False)


def _spelling(rng: random.Random) -> str:
    return dress(choose(rng.choice(SPELLING), rng), {"w": _word(rng)}, rng, chinese=False)


def _reversal(rng: random.Random) -> str:
    values = {
        "code": lambda: rng.choice(CODE),
        "list": lambda: str([rng.randint(1, 20) for _ in range(rng.randint(2, 5))]),
    }
    thing = _filled(rng.choice(REVERSED_THINGS[:1] * 3 + REVERSED_THINGS), values, rng)
    phrase = rng.choice([p for p in REVERSALS if "reverse|invert" in p or "how [do you" in p or "reverse of" in p])
    if rng.random() < 0.4:
        phrase = "[how do i|how to|how can i|write code to|a function to|help me|is it possible to|] reverse <w>[?|]"
    return dress(choose(phrase, rng), {"w": thing}, rng, chinese=False)


def _equation(rng: random.Random) -> str:
    name = "x" if rng.random() < 0.7 else rng.choice("abnpqtz")
    values = {
        "x": lambda: name,
        "n": lambda: _number(rng),
        "d": lambda: str(rng.randint(2, 12)),
        "big": lambda: _large(rng),
    }
    equation = _filled(rng.choice(OTHER_EQUATIONS), values, rng)
    if rng.random() < 0.3:
        equation = equation.replace(" ", "")
    chinese = rng.random() < 0.12
    phrase = rng.choice(EQUATIONS_ZH if chinese else EQUATIONS)
    return dress(choose(phrase, rng), {"q": equation, "v": name}, rng, chinese)


def _bits(rng: random.Random) -> str:
    """The same questions about zeros, digits and other bases, and numbers to write in another base."""
    number = str(rng.randint(1, 2047))
    if rng.random() < 0.5:
        frames = (
            "[convert|write|express|change|turn|show me|give me|what is|what's] <n> [to|in|into|as] [binary|base 2|hex|hexadecimal|octal|base 8|roman numerals|words|base 3|a binary number][?|]",
            "[binary|hex|octal|hexadecimal|roman numeral] [of|for] <n>[?|]",
            "<n> [to|in] [binary|hex|octal|hexadecimal|base 2|roman numerals|words][?|]",
            "[what is |convert |][0b|]<b> [in decimal|to decimal|in base 10|from binary][?|]",
        )
        text = choose(rng.choice(frames), rng)
        return dress(text, {"n": number, "b": f"{int(number):b}"}, rng, chinese=False)
    phrase = choose(rng.choice([p for p in BITS if p.startswith(("[count|number", "how many"))]), rng)
    for ones in (
        "bits that are set",
        "bits equal to 1",
        "bits that are 1",
        "bits set to 1",
        "set bits",
        "1 digits",
        "1 bits",
    ):
        phrase = phrase.replace(ones, "zeros")
    for ones in ("1-bits", "one bits", "ones", "1's", "1s"):
        phrase = phrase.replace(ones, "zeros")
    phrase = phrase.replace("zeros", rng.choice(("zeros", "0s", "0 bits", "zero bits", "digits", "bits")))
    return dress(phrase, {"n": number}, rng, chinese=False)

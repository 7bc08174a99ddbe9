"""Text whose fonts lie is known by its characters, in any language; text of a language is not taken for it."""

import random
import string

import pytest
from sansi.documents.pdf import Page, Verdict, judge, judge_all
from sansi.documents.pdf.garbled import garbled
from sansi.documents.pdf.letters import main_script, tables, words_of
from sansi.documents.pdf.pages import PdfFile

ENGLISH = """The committee met twice in spring. Most of its members had read the report, and a few of them had written
down what they thought of it: that its figures were right, its reasons weak and its advice of little use to anybody who
had to decide before winter. Nobody asked for another one. When the chair closed the meeting, the rain had stopped."""
TEXTS = {
    "English": ENGLISH,
    "German": """Wer im Frühjahr sät, weiß noch nicht, ob der Sommer trocken wird. Deshalb haben viele Bauern der Gegend
angefangen, ihre Felder zu teilen: Auf der einen Hälfte steht, was Wasser braucht, auf der anderen, was auch ohne Regen
wächst. So ist der Verlust nie vollständig, und manchmal gibt es von beidem genug, um den Winter zu überstehen.""",
    "Czech": """Když přišla zpráva o povodni, byla už většina lidí z údolí pryč. Zůstali jen ti, kteří nechtěli opustit
zvířata, a několik mladších mužů, kteří slíbili, že budou hlídat most. Voda stoupala celou noc a ráno bylo zřejmé, že
starý mlýn nevydrží. Přesto se nikomu nic nestalo, protože hasiči dorazili včas.""",
    "Vietnamese": """Buổi sáng hôm ấy trời mưa rất to, nhưng mọi người vẫn đến đông đủ để nghe thầy giáo kể về những
chuyến đi của ông qua các tỉnh miền núi. Ông nói rằng điều làm ông nhớ nhất không phải là phong cảnh mà là những đứa trẻ
phải đi bộ hai giờ mỗi ngày để đến trường, và không em nào than phiền về điều đó.""",
    "Russian": """Весной комиссия собиралась дважды. Большинство её членов прочитали отчёт, и некоторые записали, что
они о нём думают: цифры верны, доводы слабы, а советы мало помогут тому, кто должен принять решение до зимы. Нового
отчёта никто не попросил. Когда председатель закрыл заседание, дождь уже кончился, и все пошли домой пешком.""",
    "Greek": """Την άνοιξη η επιτροπή συνεδρίασε δύο φορές. Τα περισσότερα μέλη της είχαν διαβάσει την έκθεση και μερικά
είχαν γράψει τι πίστευαν γι' αυτήν: ότι τα στοιχεία της ήταν σωστά, οι λόγοι της αδύναμοι και οι συμβουλές της λίγο
χρήσιμες για όποιον έπρεπε να αποφασίσει πριν από τον χειμώνα. Κανείς δεν ζήτησε άλλη έκθεση.""",
    "Hebrew": """באביב התכנסה הוועדה פעמיים. רוב חבריה קראו את הדוח, וכמה מהם רשמו את דעתם עליו: שהמספרים שבו נכונים,
שהנימוקים חלשים ושהעצות לא יועילו הרבה למי שצריך להחליט לפני החורף. איש לא ביקש דוח נוסף. כאשר היושב ראש סגר את
הישיבה, הגשם כבר פסק וכולם הלכו הביתה ברגל דרך הגן הגדול שליד הנהר.""",
    "Arabic": """اجتمعت اللجنة مرتين في الربيع. وكان معظم أعضائها قد قرأوا التقرير، وكتب بعضهم ما يراه فيه: أن أرقامه
صحيحة وأن أسبابه ضعيفة وأن نصائحه لا تفيد كثيرا من عليه أن يقرر قبل الشتاء. ولم يطلب أحد تقريرا آخر. وعندما أغلق الرئيس
الجلسة كان المطر قد توقف، فعاد الجميع إلى بيوتهم مشيا على الأقدام عبر الحديقة الكبيرة.""",
    "Hindi": """वसंत में समिति की दो बार बैठक हुई। उसके अधिकांश सदस्यों ने रिपोर्ट पढ़ ली थी और कुछ ने लिखा था कि वे उसके बारे में
क्या सोचते हैं: उसके आँकड़े सही हैं, कारण कमज़ोर हैं और सलाह उस व्यक्ति के बहुत कम काम की है जिसे सर्दी से पहले निर्णय लेना है।
किसी ने दूसरी रिपोर्ट नहीं माँगी। जब अध्यक्ष ने बैठक समाप्त की तब तक बारिश रुक चुकी थी।""",
    "Chinese": (
        "春天，委员会开了两次会。大多数成员都读过报告，有几位还写下了自己的"
        "看法：数字正确，理由不足，对必须在冬天之前作出决定的人没有多少帮助。"
    )
    * 3,
    "Japanese": (
        "春に委員会は二度開かれた。委員の多くは報告書を読んでおり、何"
        "人かは自分の考えを書き留めていた。数字は正しいが、理由は弱い。"
    )
    * 3,
    "Korean": (
        "봄에 위원회는 두 번 열렸다. 위원들은 대부분 보고서를 읽었고 몇몇은"
        " 자기 생각을 적어 두었다. 숫자는 맞지만 근거가 약하다는 것이었다. "
    )
    * 3,
    "Thai": ("ในฤดูใบไม้ผลิคณะกรรมการประชุมกันสองครั้ง สมาชิกส่วนใหญ่ได้อ่านรายงานแล้ว และบางคนได้เขียนความเห็นไว้ว่าตัวเลขถูกต้อง ") * 3,
    "code": """def mean(values):
    if not values: raise ValueError("no values: give at least one")
    total = sum(v for v in values if v is not None)
    return total / len(values)  # the mean of all that is there
class Reader:
    def __init__(self, path, encoding="utf-8"): self.path, self.encoding = path, encoding
    def lines(self): return [line.rstrip("\\n") for line in open(self.path, encoding=self.encoding)]""",
    "table": "\n".join(
        f"{y} {y * 7 % 100}.{y % 10} {y * 13 % 50} North {y % 3} 12.5% 1,200 3–4" for y in range(1950, 1990)
    ),
    "index": "\n".join(
        f"{w} . . . . . . . . . . . . . . . . . . . . . . {n}, {n + 9}" for n, w in enumerate(ENGLISH.split())
    ),
    "formulas": "We have x = y + 2z, a² + b² = c² and ∑ f(x) ≤ ε for each δ > 0, see (3.1). Let A ⊂ B be open. " * 5,
    "names": "Åsa Öberg, Łukasz Święcki, François Müller, İbrahim Çelik, Nguyễn Văn Đức, José Núñez, " * 5,
    "bullets": "\uf0b7 first of the points\n\uf0b7 second of them\n\uf0a7 third of all these points\n" * 4,
}


def permuted(text, seed=0):
    random_ = random.Random(seed)
    letters = sorted({c for c in text.lower() if c.isalpha()})
    other = random_.sample(letters, len(letters))
    table = dict(zip(letters, other, strict=True))
    return "".join(table.get(c.lower(), c) for c in text)


def moved(text, by):
    return "".join(chr(ord(c) + by) if 32 < ord(c) < 127 and 32 < ord(c) + by < 127 else c for c in text)


@pytest.mark.parametrize("name", TEXTS)
def test_text_is_text(name):
    assert garbled(TEXTS[name]) is None


@pytest.mark.parametrize("name", ["English", "German", "Czech", "Russian", "Greek", "Hebrew", "Arabic", "Hindi"])
def test_exchanged_letters_are_not(name):
    found = [garbled(permuted(TEXTS[name], seed) * 4) for seed in range(12)]
    assert sum(each is not None for each in found) >= 10
    assert {each.reason for each in found if each} <= {"unusual letters", "mirrored order", "signs in words"}


@pytest.mark.parametrize("name", ["English", "German", "Czech", "Russian", "Greek", "Hebrew", "Arabic", "Hindi"])
def test_mirrored_order_is_not(name):
    backwards = "\n".join(line[::-1] for line in TEXTS[name].split("\n"))
    assert garbled(backwards).reason == "mirrored order"


@pytest.mark.parametrize("by", [-29, -3, 1, 3, 13])
def test_a_shifted_alphabet_is_not(by):
    assert garbled(moved(ENGLISH, by)) is not None


def test_the_shift_of_glyph_numbers_is_told():
    found = garbled(moved(ENGLISH.lower(), -29))
    assert (found.reason, found.value) == ("shifted alphabet", 29)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("\ufffd" * 20 + ENGLISH, "no characters"),
        ("".join(chr(0xE000 + ord(c)) for c in ENGLISH), "no characters"),
        ("".join(chr(ord(c) % 31 + 1) if c.isalpha() else c for c in ENGLISH), "no characters"),
        (TEXTS["Russian"].encode("cp1251").decode("latin-1"), "wrong encoding"),
        (TEXTS["Greek"].encode("cp1253", "replace").decode("latin-1"), "wrong encoding"),
        (" ".join(w[:1] + "#" + w[1:2] + "%" + w[2:] for w in ENGLISH.split()), "signs in words"),
    ],
)
def test_other_ways_to_lie(text, reason):
    assert garbled(text).reason == reason


def test_a_font_that_tells_nothing_is_believed_less():
    pairs = zip(ENGLISH.split(), permuted(ENGLISH).split(), strict=True)
    half = " ".join(pair[index % 3 > 0] for index, pair in enumerate(pairs))
    assert garbled(half) is None
    assert garbled(half, unmapped=0.9) is not None
    assert garbled(ENGLISH, unmapped=0.9) is None


def test_code_need_not_have_words():
    random_ = random.Random(0)
    data = "\n".join("".join(random_.choices(string.ascii_lowercase, k=60)) for _ in range(20))
    assert garbled(data) is not None
    assert garbled(data, code=True) is None


@pytest.mark.parametrize("text", ["", " \n", "7", "Fig. 3", "—", "QWZX", "第3章", "\uf0b7"])
def test_short_texts_tell_nothing(text):
    assert garbled(text) is None


def test_each_script_of_the_table_knows_its_languages():
    for script, table in tables().items():
        name = {
            "Latn": "English",
            "Cyrl": "Russian",
            "Grek": "Greek",
            "Hebr": "Hebrew",
            "Arab": "Arabic",
            "Deva": "Hindi",
        }
        text = TEXTS[name[script]]
        assert main_script(text) == script
        assert 3 < table.score(words_of(text, script)) < 4.7
    assert main_script(TEXTS["Chinese"]) is None


@pytest.mark.parametrize(
    ("page", "verdict"),
    [
        (Page(None), Verdict("failed", "broken")),
        (Page(""), Verdict("empty", "blank")),
        (Page(" \r\n", pictures=1, largest=0.9), Verdict("empty", "picture", 0.9)),
        (Page("", paths=900), Verdict("empty", "curves", 900)),
        (Page("Page 7 of 9", pictures=1, largest=0.95), Verdict("empty", "picture", 0.95)),
        (Page("A caption", pictures=1, largest=0.2), Verdict("ok")),
        (Page(ENGLISH, pictures=1, largest=0.95, hidden=1.0), Verdict("ok")),  # the text of a scan
        (Page(ENGLISH, hidden=1.0), Verdict("garbled", "hidden text", 1.0)),
        (Page(ENGLISH), Verdict("ok")),
    ],
)
def test_verdicts(page, verdict):
    assert judge(page) == verdict


@pytest.mark.parametrize("end", ["all", "pages", "time", "broken"])
def test_there_is_a_verdict_for_each_page(end):
    file = PdfFile("", 5, (Page(ENGLISH), Page("")), end)
    verdicts = judge_all(file)
    assert [verdict.state for verdict in verdicts] == ["ok", "empty", "failed", "failed", "failed"]
    assert verdicts[-1].reason == ("broken" if end == "broken" else "not read")
    assert verdicts[-1].drawn == (end == "broken") and not verdicts[1].drawn

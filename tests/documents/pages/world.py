"""Pages in other languages, scripts, directions and charsets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pages import frames
from pages.made import Around, MadePage, Main, page

WORDS = {  # menu (3), title of the sidebar, two links, cookies, share, foot
    "ar": ("الرئيسية", "اتصل بنا", "من نحن", "الأكثر قراءة", "أسعار الذهب اليوم", "نتائج المباريات", "نستخدم ملفات تعريف الارتباط لتحسين تجربتك على الموقع", "شارك على فيسبوك", "جميع الحقوق محفوظة لصحيفة الميناء"),
    "fa": ("صفحه نخست", "درباره ما", "تماس با ما", "پربازدیدها", "نرخ ارز امروز", "هواشناسی استان", "این وبگاه از کوکی استفاده می‌کند", "هم‌رسانی در تلگرام", "همه حقوق این وبگاه محفوظ است"),
    "he": ("דף הבית", "אודות האתר", "צור קשר", "הנקראות ביותר", "תחזית מזג האוויר", "תוצאות הכדורגל", "אתר זה משתמש בעוגיות כדי לשפר את חוויית הגלישה", "שתפו בפייסבוק", "כל הזכויות שמורות לעיתון הנמל"),
    "zh": ("首页", "联系我们", "关于本站", "热门排行", "今日金价查询", "本周天气预报", "本网站使用缓存文件以改善您的浏览体验", "分享到微博", "版权所有 未经许可不得转载"),
    "zh-TW": ("回首頁", "聯絡我們", "網站導覽", "熱門文章", "今日匯率查詢", "樂透開獎號碼", "本網站使用瀏覽記錄以提供更好的服務", "分享到臉書", "著作權所有 轉載必究"),
    "ja": ("トップページ", "会社概要", "お問い合わせ", "人気の記事", "今日の為替", "週間天気予報", "当サイトではクッキーを使用しています", "ツイッターで共有する", "無断転載を禁じます"),
    "ko": ("홈으로", "회사 소개", "고객 센터", "많이 본 기사", "오늘의 환율", "주간 날씨", "이 사이트는 쿠키를 사용합니다", "페이스북에 공유하기", "무단 전재 및 재배포 금지"),
    "th": ("หน้าแรก", "ติดต่อเรา", "เกี่ยวกับเรา", "ข่าวยอดนิยม", "ราคาทองวันนี้", "ผลบอลสด", "เว็บไซต์นี้ใช้คุกกี้เพื่อพัฒนาประสบการณ์ของท่าน", "แชร์ไปยังเฟซบุ๊ก", "สงวนลิขสิทธิ์ ห้ามคัดลอก"),
    "hi": ("मुख्य पृष्ठ", "संपर्क करें", "हमारे बारे में", "सबसे ज़्यादा पढ़ी गई", "आज का सोने का भाव", "क्रिकेट का ताज़ा स्कोर", "यह वेबसाइट कुकीज़ का उपयोग करती है", "फ़ेसबुक पर साझा करें", "सर्वाधिकार सुरक्षित"),
    "ru": ("Главная страница", "О проекте", "Обратная связь", "Популярное за неделю", "Курсы валют на сегодня", "Прогноз погоды", "Мы используем файлы cookie, продолжая работу с сайтом, вы соглашаетесь с этим", "Поделиться ВКонтакте", "Все права защищены, перепечатка запрещена"),
    "el": ("Αρχική σελίδα", "Επικοινωνία", "Σχετικά με εμάς", "Δημοφιλή άρθρα", "Ο καιρός αύριο", "Εφημερεύοντα φαρμακεία", "Χρησιμοποιούμε cookies για καλύτερη εμπειρία", "Κοινοποίηση στο Facebook", "Με επιφύλαξη παντός δικαιώματος"),
    "de": ("Startseite", "Impressum", "Über uns", "Meistgelesen", "Das Wetter am Wochenende", "Verkehrsmeldungen", "Diese Seite verwendet Cookies, um Inhalte zu personalisieren", "Auf Facebook teilen", "Alle Rechte vorbehalten, Nachdruck verboten"),
    "fr": ("Accueil du site", "Mentions légales", "Nous contacter", "Les plus lus", "La météo de demain", "Petites annonces", "Ce site utilise des témoins de connexion pour mesurer son audience", "Partager sur Facebook", "Tous droits réservés, reproduction interdite"),
    "pl": ("Strona główna", "Polityka prywatności", "Kontakt z redakcją", "Najczęściej czytane", "Kursy walut dzisiaj", "Prognoza pogody", "Ta strona używa ciasteczek w celach statystycznych", "Udostępnij na Facebooku", "Wszelkie prawa zastrzeżone"),
    "vi": ("Trang chủ", "Liên hệ tòa soạn", "Giới thiệu", "Đọc nhiều nhất", "Giá vàng hôm nay", "Kết quả bóng đá", "Trang web này sử dụng cookie để cải thiện trải nghiệm", "Chia sẻ lên Facebook", "Bản quyền thuộc về báo Bến Cảng"),
    "tr": ("Ana sayfa", "Bize ulaşın", "Hakkımızda", "En çok okunanlar", "Altın fiyatları bugün", "Hava durumu", "Bu site deneyiminizi geliştirmek için çerez kullanır", "Facebook'ta paylaş", "Tüm hakları saklıdır"),
    "sw": ("Ukurasa wa mwanzo", "Wasiliana nasi", "Kuhusu sisi", "Zinazosomwa zaidi", "Bei ya dhahabu leo", "Matokeo ya mpira", "Tovuti hii hutumia vidakuzi ili kuboresha huduma", "Shiriki kwenye Facebook", "Haki zote zimehifadhiwa"),
}  # fmt: skip
TEXTS: dict[str, tuple[str, ...]] = {  # a heading and paragraphs
    "ar": ("عودة الصيادين إلى الميناء القديم", "بعد ثلاث سنوات من العمل المتواصل، أعيد فتح الميناء القديم أمام قوارب الصيد الصغيرة صباح يوم الأحد، وسط حضور كبير من أهالي المدينة.", "وقال رئيس البلدية إن الرصيف الجديد أطول من القديم بأربعين مترًا، وإن <strong>الممر المخصص للمشاة</strong> سيبقى مفتوحًا طوال اليوم، حتى في ساعات التفريغ.", "أما الصياد سالم البحري، وعمره سبعون عامًا، فقد كان أول من ربط قاربه هناك. قال وهو يضحك: «الحجر جديد، لكن الماء هو نفسه، والسمك لا يقرأ الصحف»."),
    "fa": ("کتابخانه‌ای در دل کوه", "در روستای کوچکی در دامنه‌ی کوه، آموزگاری بازنشسته خانه‌ی پدری خود را به کتابخانه تبدیل کرده است و هر روز از ساعت هشت صبح درِ آن را به روی کودکان باز می‌کند.", "او می‌گوید نخستین کتاب‌ها را با اتوبوس از شهر آورده و اکنون بیش از <em>چهار هزار جلد</em> کتاب در قفسه‌ها دارد که بیشترشان را خوانندگان هدیه داده‌اند.", "زمستان‌ها که راه بسته می‌شود، بچه‌ها کنار بخاری می‌نشینند و با صدای بلند برای یکدیگر می‌خوانند."),
    "he": ("הגן שעל הגג", "על גג בניין ישן בלב העיר הקימו השכנים גן ירק קטן, שבו הם מגדלים עגבניות, נענע ואפילו עץ לימון אחד שמסרב לגדול.", "הרעיון נולד בחורף, כשהמעלית התקלקלה וכולם נפגשו <b>במדרגות</b> בפעם הראשונה. מאז הם עולים לגג בכל יום שישי בבוקר, כל אחד עם כלי העבודה שלו.", "העירייה ביקשה לפרק את הערוגות, אבל מהנדסת שבדקה את הגג קבעה שהוא חזק דיו גם לגשם של שלושה חורפים."),
    "zh": ("老茶馆的新主人", "在城南那条不足两百米的小巷里，有一家开了六十多年的茶馆。去年冬天，老掌柜把钥匙交给了一个二十七岁的年轻人，他从前在上海写程序。", "年轻人没有换掉那些旧竹椅，也没有涨价。他只做了一件事：把墙上贴了几十年的<strong>价目表</strong>重新抄了一遍，字写得比从前大一些，因为来喝茶的多半是老人。", "他说，写程序的时候总想着明天，如今烧水、洗杯、等客人，想的都是眼前这一壶。晚上关门以后，他会给自己泡一杯最便宜的茶，坐在门槛上喝完。"),
    "zh-TW": ("山上的郵差", "阿榮每天早上六點出門，背著郵件走過三座吊橋，到山谷對面的部落去。這條路他走了三十一年，遇過颱風，遇過山豬，也遇過一隻會跟著他回家的黑狗。", "公路通車以後，郵局本來要派機車，可是部落的老人家說，<em>機車的聲音太急</em>，信還沒看就覺得是壞消息。於是阿榮還是用走的。", "他明年就要退休了。接替他的是村裡的一個女孩，她已經跟著走了兩個月，最怕的不是山路，是每一家都要留她吃飯。"),
    "ja": ("島に一つだけの映画館", "瀬戸内海の小さな島に、座席が三十二しかない映画館がある。上映は週に二回、土曜の夜と日曜の午後だけで、雨の日は船が出ないので休みになる。", "館主の村井さんは元船員で、定年後に古い倉庫を買い取って<strong>自分の手で</strong>客席を作った。映写機は神戸の映画館が閉館するときに譲り受けたものだという。", "「満員になったことは一度だけあります」と村井さんは笑う。その日は台風で船が止まり、帰れなくなった釣り客が全員やって来たのだそうだ。"),
    "ko": ("골목 끝의 시계 수리점", "서울의 오래된 골목 끝에는 사십 년 동안 한자리를 지킨 시계 수리점이 있다. 간판의 글씨는 거의 지워졌지만 단골손님들은 눈을 감고도 찾아온다.", "주인 박 씨는 배터리로 가는 시계는 고치지 않는다. 그는 <b>태엽이 있는 시계</b>만이 사람의 손을 기억한다고 믿는다.", "요즘은 젊은 손님이 늘었다. 할아버지의 유품을 들고 와서 다시 가게 해 달라고 부탁하는 것이다. 박 씨는 값을 묻는 손님에게 늘 같은 대답을 한다. 먼저 소리를 들어 봐야 안다고."),
    "th": ("ตลาดน้ำยามเช้ากลับมาคึกคัก", "หลังจากปิดปรับปรุงนานกว่าสองปี ตลาดน้ำเก่าแก่ของจังหวัดก็กลับมาเปิดอีกครั้งเมื่อเช้าวันเสาร์ที่ผ่านมา โดยมีเรือของชาวบ้านกว่าหกสิบลำมาจอดเรียงกันตั้งแต่ฟ้ายังไม่สว่าง", "คุณยายละเอียด วัยแปดสิบสองปี ซึ่งขาย<strong>ขนมครก</strong>มาตั้งแต่ยังสาว บอกว่าสิ่งเดียวที่เปลี่ยนไปคือลูกค้าถ่ายรูปก่อนกิน ส่วนรสชาติยังเหมือนเดิมทุกอย่าง", "ทางเทศบาลขอความร่วมมือให้นักท่องเที่ยวไม่ใช้ถุงพลาสติก และจัดเรือรับส่งฟรีจากท่าหน้าวัดทุกครึ่งชั่วโมงจนถึงบ่ายสองโมง"),
    "hi": ("गाँव की पहली चलती-फिरती पाठशाला", "पहाड़ के उस पार बसे छह गाँवों के बच्चों के लिए अब पाठशाला खुद चलकर आती है। एक पुरानी बस को रंगकर उसमें बेंच, तख्ता और दो सौ किताबें रखी गई हैं।", "बस की अध्यापिका सुनीता देवी कहती हैं कि शुरू में लोग हँसते थे, पर अब <b>बूढ़े लोग भी</b> शाम को अख़बार पढ़ने आ जाते हैं।", "बरसात में जब सड़क बह जाती है, तब बस पुल के पास खड़ी रहती है और बच्चे पैदल वहाँ तक आते हैं। पिछले साल एक भी दिन छुट्टी नहीं हुई।"),
    "ru": ("Как в Заречье спасли старую мельницу", "Водяную мельницу на окраине Заречья собирались снести ещё весной: крыша провалилась, колесо не вращалось с 1987 года, а участок приглянулся застройщику.", "Жители собрали подписи, но решило дело не это. Школьный учитель физики Антон Лебедев нашёл в областном архиве <strong>чертежи 1894 года</strong> и доказал, что механизм можно восстановить за одно лето.", "Теперь по субботам здесь мелют муку, а хлеб из неё разбирают за полчаса. «Мы хотели сохранить стены, — говорит Лебедев, — а сохранили запах»."),
    "el": ("Ο φάρος που άναψε ξανά", "Ύστερα από δώδεκα χρόνια στο σκοτάδι, ο παλιός φάρος του νησιού άναψε και πάλι το βράδυ της Κυριακής, μπροστά σε όλους σχεδόν τους κατοίκους.", "Ο τελευταίος φαροφύλακας, ο κύριος Στέλιος, είναι σήμερα ογδόντα έξι ετών. Θυμάται ακόμη <em>πόσα σκαλιά</em> έχει η σκάλα, εκατόν τριάντα δύο, και τα ανέβηκε όλα χωρίς να σταματήσει.", "Το φως λειτουργεί πλέον με ηλιακή ενέργεια, αλλά το γυαλί είναι το ίδιο που ήρθε με καΐκι από τη Μασσαλία το 1903."),
    "de": ("Die Uhr, die rückwärts ging", "Dreißig Jahre lang ging die Uhr am Rathaus von Übersee rückwärts, und niemand störte sich daran. Man las sie einfach im Spiegel des Frisörs gegenüber.", "Erst als der Frisör sein Geschäft schloss und den Spiegel mitnahm, beschloss der Gemeinderat, das <strong>Räderwerk</strong> prüfen zu lassen. Der Uhrmacher brauchte für die Reparatur nur zwanzig Minuten, für die Rechnung etwas länger.", "Seither geht die Uhr richtig, und alle kommen zu spät. Für Größeres, so der Bürgermeister, fehle ohnehin das Geld: 12.500 € habe allein das Gerüst gekostet."),
    "fr": ("Le dernier allumeur de réverbères", "Jusqu’en 1962, la ville de Sainte-Aube employait un allumeur de réverbères. Il s’appelait Théophile, il avait une échelle, un vélo et une montre qui retardait de sept minutes.", "Chaque soir, il commençait par la place de l’église et finissait au pont, <em>où l’attendait</em> sa femme avec une soupe dans un seau. Les enfants couraient devant lui pour voir la lumière naître.", "Son vélo est aujourd’hui au musée. L’échelle, trop longue pour la vitrine, a été coupée en deux ; on a gardé la moitié du haut, celle qui touchait les étoiles."),
    "pl": ("Biblioteka w tramwaju", "W ostatnim wagonie linii siódmej można od września wypożyczyć książkę. Wystarczy wsiąść, wybrać i oddać ją w dowolnym tramwaju w ciągu trzech tygodni.", "Pomysł wyszedł od motorniczej Grażyny Żółkiewskiej, która <b>przez lata</b> zbierała książki zostawione przez pasażerów. Uzbierało się ich ponad tysiąc dwieście.", "Największym powodzeniem cieszą się kryminały. „Ludzie przejeżdżają swój przystanek, żeby dowiedzieć się, kto zabił” — mówi pani Grażyna."),
    "vi": ("Người giữ đèn trên sông", "Mỗi buổi chiều, khi nắng vừa tắt, ông Bảy chèo chiếc xuồng nhỏ ra giữa sông để thắp mười hai ngọn đèn báo luồng. Ông đã làm việc ấy suốt bốn mươi năm.", "Trước kia đèn đốt bằng dầu, gặp mưa gió là phải ra lại. Bây giờ đèn dùng <strong>pin mặt trời</strong>, nhưng ông vẫn ra, vì chim hay làm tổ che mất ánh sáng.", "Con cháu khuyên ông nghỉ. Ông chỉ cười và nói rằng con sông không nghỉ thì ông cũng chưa nghỉ."),
    "tr": ("Denizin unuttuğu ada", "Haritalarda küçük bir nokta olarak görünen adada yalnızca on dört kişi yaşıyor. Vapur haftada iki kez uğruyor, fırtına çıkarsa hiç uğramıyor.", "Adanın tek bakkalı Nermin Hanım, veresiye defterini <em>elli yıldır</em> aynı masada tutuyor. Borcunu ödemeyen olmadığını, yalnızca geciken olduğunu söylüyor.", "Geçen kış kar yolları kapatınca herkes okulda toplandı. Üç gün boyunca aynı tencereden çorba içtiler ve kimse telefonuna bakmadı."),
    "sw": ("Mwalimu anayefundisha chini ya mwembe", "Kila asubuhi kabla jua halijawa kali, Mwalimu Asha huwakusanya watoto wa kijiji chini ya mwembe mkubwa na kuanza somo la kwanza la siku.", "Darasa lilibomoka wakati wa mvua kubwa, lakini yeye <strong>hakukubali</strong> masomo yasimame. Wazazi walileta mikeka, na seremala akatengeneza ubao kutoka mlango wa zamani.", "Leo watoto themanini na wawili wanasoma hapo. Wanasema mwembe ni shule nzuri kuliko ile ya zamani, kwa sababu wakati wa mapumziko kuna maembe."),
}  # fmt: skip


def story(
    language: str, charset: str = "utf-8", in_page: str | None = None, right_to_left: bool = False
) -> Callable[[], MadePage]:
    """A page with a text of this language. in_page: the charset that the page itself names, where HTTP names none."""

    def make() -> MadePage:
        heading, *paragraphs = (
            text.replace("—", "-") if charset not in ("utf-8", "cp1251") else text for text in TEXTS[language]
        )
        main = Main().h(1, heading).p(*paragraphs)
        around = Around()
        words: Sequence[str] = WORDS[language]
        if in_page is None:
            source = frames.localised(words, "rtl" if right_to_left else "ltr", language)(main, around, heading)
        else:
            source = frames.localised_charset(words, in_page, language)(main, around, heading)
        name = f"{language} {charset}" if charset != "utf-8" else language
        return page(name, source, main, around, charset, declared=in_page is None)

    make.__name__ = f"story_{language}_{charset}"
    return make


def wiki_chinese() -> MadePage:
    main = (
        Main()
        .h(1, "青石桥")
        .p(
            "青石桥是一座位于江南小镇的三孔石拱桥，始建于明朝嘉靖年间，全长二十七米，宽四米。桥面由一百零八块青石铺成，没有使用任何灰浆。"
        )
    )
    main.table(
        ["项目", "数据"], ["建造年代", "1541年"], ["拱孔", "三"], ["跨径", "9.8米"], attributes=" class='wikitable'"
    )
    main.p(
        "二十世纪五十年代曾计划拆除此桥以通航，因居民反对而作罢。2009年大修时，工匠在中孔拱顶发现了刻有匠人姓名的石块。"
    )
    around = Around()
    return page("encyclopedia in Chinese", frames.wiki(main, around, "青石桥"), main, around)


def code_in_japanese() -> MadePage:
    main = (
        Main()
        .h(1, "辞書の順序を保つ方法")
        .p(
            "辞書の要素は追加した順に並びますが、並べ替えたい場合は次のようにします。キーではなく値で比べるところに注意してください。"
        )
    )
    main.code(
        "def 並べ替え(辞書):\n    return dict(\n        sorted(辞書.items(), key=lambda 組: 組[1])  # 値で比べる\n    )",
        "python",
    )
    main.p("要素が多いときは、毎回並べ替えるのではなく、初めから順序を保つ構造を使うほうが速くなります。")
    around = Around()
    return page("code in Japanese", frames.material(main, around, "辞書"), main, around)


def forum_arabic() -> MadePage:
    posts = (
        "السلام عليكم، اشتريت دراجة قديمة وصوت السلسلة مزعج جدًا عند الصعود، هل أغيّرها أم يكفي التشحيم؟",
        "وعليكم السلام. نظّفها أولًا بالديزل ثم جفّفها جيدًا، وإذا بقي الصوت فقِس طولها، فالسلسلة التي تمددت لا ينفع معها الزيت.",
    )
    main = Main().h(2, "صوت السلسلة عند الصعود")
    for text in posts:
        main.raw(
            f'<div class="post"><div class="postbody"><div class="content" dir="rtl">{text}</div></div></div>', text
        )
    around = Around()
    return page("forum in Arabic", frames.forum(main, around, "صوت السلسلة"), main, around)


WORLD = (
    story("ar", right_to_left=True), story("fa", right_to_left=True), story("he", right_to_left=True), story("zh"),
    story("zh-TW"), story("ja"), story("ko"), story("th"), story("hi"), story("ru"), story("el"), story("de"), story("fr"),
    story("pl"), story("vi"), story("tr"), story("sw"), story("zh", "gb18030", "gb2312"), story("zh-TW", "big5", "big5"),
    story("ja", "shift_jis", "Shift_JIS"), story("ja", "euc_jp", ""), story("ko", "cp949", "euc-kr"),
    story("ru", "cp1251", ""), story("ru", "koi8_r", "koi8-r"), story("de", "cp1252", "iso-8859-1"),
    story("pl", "iso8859_2", "iso-8859-2"), story("th", "tis_620", "tis-620"), wiki_chinese, code_in_japanese, forum_arabic,
)  # fmt: skip

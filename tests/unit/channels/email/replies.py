"""How mail programs begin what they quote, as their formats are known; every word between is ours."""

from __future__ import annotations

INTRODUCTIONS = """\
On Mon, 5 Jan 2026 at 10:00, Help Desk <help@acme.example> wrote:
Am Mo., 5. Jan. 2026 um 10:00 Uhr schrieb Help Desk <help@acme.example>:
Le lun. 5 janv. 2026 à 10:00, Help Desk <help@acme.example> a écrit :
El lun, 5 ene 2026 a las 10:00, Help Desk (<help@acme.example>) escribió:
Il giorno lun 5 gen 2026 alle ore 10:00 Help Desk <help@acme.example> ha scritto:
Em seg., 5 de jan. de 2026 às 10:00, Help Desk <help@acme.example> escreveu:
Help Desk <help@acme.example> escreveu (segunda, 5/01/2026 à(s) 10:00):
Op ma 5 jan 2026 om 10:00 schreef Help Desk <help@acme.example>:
Den man. 5. jan. 2026 kl. 10.00 skrev Help Desk <help@acme.example>:
ma 5. tammik. 2026 klo 10.00 Help Desk (help@acme.example) kirjoitti:
pon., 5 sty 2026 o 10:00 Help Desk <help@acme.example> napisał(a):
po 5. 1. 2026 v 10:00 odesílatel Help Desk <help@acme.example> napsal:
po 5. 1. 2026 o 10:00 Help Desk <help@acme.example> napísal(a):
Help Desk <help@acme.example> ezt írta (időpont: 2026. jan. 5., H, 10:00):
În lun., 5 ian. 2026 la 10:00, Help Desk <help@acme.example> a scris:
На пн, 5.01.2026 г. в 10:00 ч. Help Desk <help@acme.example> написа:
пн, 5 янв. 2026 г. в 10:00, Help Desk <help@acme.example>:
пн, 5 січ. 2026 р. о 10:00 Help Desk <help@acme.example> пише:
pon, 5. sij 2026. u 10:00 Help Desk <help@acme.example> napisao je:
пон, 5. јан 2026. у 10:00 Help Desk <help@acme.example> је написао/ла:
V V pon., 5. jan. 2026 ob 10:00 je oseba Help Desk <help@acme.example> napisala:
2026-01-05, pr, 10:00 Help Desk <help@acme.example> rašė:
pirmd., 2026. g. 5. janv., plkst. 10:00 - lietotājs Help Desk (<help@acme.example>) rakstīja:
Kuupäev E, 5. jaanuar 2026 kell 10:00 kirjutas Help Desk <help@acme.example>:
Στις Δευ 5 Ιαν 2026 στις 10:00 π.μ., ο χρήστης Help Desk <help@acme.example> έγραψε:
Help Desk <help@acme.example>, 5 Oca 2026 Pzt, 10:00 tarihinde şunu yazdı:
في الاثنين، ٥ يناير ٢٠٢٦ في ١٠:٠٠ ص تمت كتابة ما يلي بواسطة Help Desk <help@acme.example>:
\u202bבתאריך יום ב׳, 5 בינו׳ 2026 ב-10:00 מאת \u202aHelp Desk\u202c\u200f <\u202ahelp@acme.example\u202c\u200f>:\u202c
در تاریخ دوشنبه ۵ ژانویهٔ ۲۰۲۶، ۱۰:۰۰ Help Desk <help@acme.example> نوشت:
सोम, 5 जन॰ 2026 को 10:00 am बजे को Help Desk <help@acme.example> ने लिखा:
ในวันที่ จ. 5 ม.ค. 2026 เวลา 10:00 Help Desk <help@acme.example> เขียนว่า:
Vào Th 2, 5 thg 1, 2026 vào lúc 10:00 Help Desk <help@acme.example> đã viết:
Pada Sen, 5 Jan 2026 pukul 10.00 Help Desk <help@acme.example> menulis:
2026年1月5日(月) 10:00 Help Desk <help@acme.example>:
2026년 1월 5일 (월) 오전 10:00, Help Desk <help@acme.example>님이 작성:
Help Desk <help@acme.example> 于2026年1月5日周一 10:00写道\uff1a
Help Desk <help@acme.example> 於 2026年1月5日 週一 上午10:00寫道\uff1a
Missatge de Help Desk <help@acme.example> del dia dl., 5 de gen. 2026 a les 10:00:
Noong Lun, Ene 5, 2026 nang 10:00 AM, sinulat ni Help Desk <help@acme.example> ang:
Help Desk <help@acme.example> igorleak hau idatzi zuen (2026 urt. 5(a), al. (10:00)):
mán., 5. jan. 2026 kl. 10:00 skrifaði Help Desk <help@acme.example>:
On Jan 5, 2026, at 10:00 AM, Help Desk <help@acme.example> wrote:
Op 5 jan 2026, om 10:00 heeft Help Desk <help@acme.example> het volgende geschreven:
5 янв. 2026 г., в 10:00, Help Desk <help@acme.example> написал(а):
2026/01/05 10:00、Help Desk <help@acme.example>のメール:
Понедельник, 5 января 2026, 10:00 +03:00 от Help Desk <help@acme.example>:
On 5 Jan 2026, 10:00 +0100, Help Desk <help@acme.example>, wrote:
On 5 January 2026 at 10:00:00, Help Desk (help@acme.example) wrote:
On Monday, January 5th, 2026 at 10:00 AM, Help Desk <help@acme.example> wrote:
At 2026-01-05 10:00:00, "Help Desk" <help@acme.example> wrote:
Dnia 5 stycznia 2026 10:00 Help Desk <help@acme.example> napisał(a):
05.01.2026, 10:00, "Help Desk" <help@acme.example>:
Help Desk <help@acme.example> hat am 05.01.2026 10:00 CET geschrieben:
---- On Mon, 05 Jan 2026 10:00:00 +0100 Help Desk <help@acme.example> wrote ----
2026-01-05 10:00 GMT+01:00 Help Desk <help@acme.example>:
""".splitlines()
"""Each names a date and an address: it introduces a quotation, marked or not."""

SHORT_INTRODUCTIONS = """\
On 1/5/26 10:00 AM, Help Desk wrote:
Am 05.01.26 um 10:00 schrieb Help Desk:
Le 05/01/2026 à 10:00, Help Desk a écrit :
Il 05/01/2026 10:00, Help Desk ha scritto:
El 05/01/2026 a las 10:00, Help Desk escribió:
Op 05-01-2026 om 10:00 schreef Help Desk:
Help Desk kirjoitti 5.1.2026 klo 10:00:
2026. 01. 05. 10:00 keltezéssel, Help Desk írta:
05.01.2026 10:00, Help Desk пишет:
在 2026/1/5 10:00, Help Desk 写道:
Am Montag, dem 05.01.2026 um 10:00 +0100 schrieb Help Desk:
On Mon, 5 Jan 2026, at 10:00, Help Desk wrote:
Help Desk <help@acme.example> writes:
* Help Desk <help@acme.example> [2026-01-05 10:00]:
Quoting Help Desk <help@acme.example>:
Help Desk schrieb:
Zzz 05-01-2026 qqq Help Desk xxx:
""".splitlines()
"""Each names less: it introduces a quotation that is marked, whatever the language."""

LABELS = """\
en|From|Sent|To|Subject
de|Von|Gesendet|An|Betreff
fr|De |Envoyé |À |Objet\x20
es|De|Enviado el|Para|Asunto
it|Da|Inviato|A|Oggetto
pt|De|Enviada em|Para|Assunto
nl|Van|Verzonden|Aan|Onderwerp
da|Fra|Sendt|Til|Emne
sv|Från|Skickat|Till|Ämne
fi|Lähettäjä|Lähetetty|Vastaanottaja|Aihe
pl|Od|Wysłano|Do|Temat
cs|Od|Odesláno|Komu|Předmět
sk|Od|Odoslané|Komu|Predmet
hu|Feladó|Elküldve|Címzett|Tárgy
ro|De la|Trimis|Către|Subiect
bg|От|Изпратено|До|Относно
ru|От|Отправлено|Кому|Тема
uk|Від|Надіслано|Кому|Тема
hr|Šalje|Poslano|Prima|Predmet
sl|Od|Poslano|Za|Zadeva
et|Saatja|Saadetud|Adressaat|Teema
lt|Nuo|Išsiųsta|Kam|Tema
lv|No|Nosūtīts|Kam|Temats
el|Από|Στάλθηκε|Προς|Θέμα
tr|Kimden|Gönderildi|Kime|Konu
ar|من|تم الإرسال|إلى|الموضوع
he|מאת|נשלח|אל|נושא
fa|از|ارسال شده|به|موضوع
hi|प्रेषक|भेजा गया|प्रति|विषय
th|จาก|ส่ง|ถึง|เรื่อง
vi|Từ|Đã gửi|Tới|Chủ đề
id|Dari|Dikirim|Kepada|Subjek
ja|差出人|送信日時|宛先|件名
ko|보낸 사람|보낸 날짜|받는 사람|제목
zh-CN|发件人|发送时间|收件人|主题
zh-TW|寄件者|寄件日期|收件者|主旨
ca|De|Enviat el|Per a|Assumpte
""".splitlines()
"""Of the header block that Outlook puts above what it quotes: sender, time, recipient, subject."""

BLOCKS = {
    "samsung": """\
-------- Original message --------
From: Help Desk <help@acme.example>
Date: 05/01/2026  10:00  (GMT+01:00)
To: Ann <ann@customer.example>
Subject: Your order""",
    "gmx": """\
Gesendet: Montag, 05. Januar 2026 um 10:00 Uhr
Von: "Help Desk" <help@acme.example>
An: ann@customer.example
Betreff: Your order""",
    "t-online": """\
-----Original-Nachricht-----
Betreff: Your order
Datum: 2026-01-05T10:00:00+0100
Von: "Help Desk" <help@acme.example>
An: "Ann" <ann@customer.example>""",
    "seznam": """\
---------- Původní e-mail ----------
Od: Help Desk <help@acme.example>
Komu: ann@customer.example
Datum: 5. 1. 2026 10:00:00
Předmět: Your order""",
    "qq": """\
------------------ 原始邮件 ------------------
发件人: "Help Desk" <help@acme.example>;
发送时间: 2026年1月5日(星期一) 上午10:00
收件人: "Ann"<ann@customer.example>;
主题: Your order""",
    "daum": """\
--------- 원본 메일 ---------
보낸사람: Help Desk <help@acme.example>
받는사람: Ann <ann@customer.example>
날짜: 2026년 1월 5일 월요일, 10시 00분 00초 +0900
제목: Your order""",
    "notes": """\
From:        Help Desk <help@acme.example>
To:        ann@customer.example
Date:        05/01/2026 10:00
Subject:        Your order""",
    "hotmail": """\
Date: Mon, 5 Jan 2026 10:00:00 +0100
From: help@acme.example
To: ann@customer.example
Subject: Your order""",
    "bold": """\
*From:* Help Desk [mailto:
help@acme.example]
*Sent:* Monday, January 05, 2026 10:00 AM
*To:* Ann
*Subject:* Your order""",
    "paragraphs": """\
From: Help Desk <help@acme.example>

Sent: Monday, January 05, 2026 10:00 AM

To: Ann

Subject: Your order""",
    "one line": "From: Help Desk <help@acme.example> Sent: Monday, January 5, 2026 10:00 AM To: Ann Subject: Order",
    "outlook for a phone": """\
Get Outlook for Android<https://aka.ms/AAb9ysg>
________________________________
From: Help Desk <help@acme.example>
Sent: Monday, January 5, 2026 10:00:00 AM
To: Ann <ann@customer.example>
Subject: Your order""",
    "a language of no table": """\
________________________________
Xxx: Help Desk <help@acme.example>
Yyy: 5 January 2026 10:00
Zzz: Ann <ann@customer.example>
Www: Your order""",
    "a divider of no table": """\
-----Xxx yyy-----
From: Help Desk <help@acme.example>
Sent: 5 January 2026 10:00
To: Ann <ann@customer.example>
Subject: Your order""",
    "a stamp": "2026-01-05 10:00 GMT+01:00 Help Desk",
    "a divider with a name": "---- Help Desk wrote ----",
    "a divider with a name, in German": "-------- Help Desk schrieb --------",
    "a bare divider": "-----Original Message-----",
    "a help desk": "##- Please type your reply above this line -##",
}
"""What else stands above a quotation that nothing marks."""

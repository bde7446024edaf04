"""Words by which mail programs mark quotations, replies, forwards and signatures, by language.

Tables only, all in lower case and NFC. Dates and addresses need no table, because `introductions` recognises them by
their digits and their shape. So an introduction in a language without a table is found too, if quote marks or our own
text follow it.
"""

from __future__ import annotations

from typing import Final

FROM, DATE, TO, SUBJECT, OTHER = "from", "date", "to", "subject", "other"

LABELS: Final = {
    FROM: (
        "from|von|de|da|van|fra|från|lähettäjä|od|feladó|expeditor|de la|от|подател|від|από|kimden|gönderen|من|"
        "מאת|差出人|送信者|보낸 사람|보낸사람|发件人|寄件者|寄件人|จาก|từ|người gửi|dari|pengirim|šalje|"
        "pošiljatelj|pošiljalec|šalie|saatja|nuo|siuntėjas|no|sūtītājs|frá|remitent|remitente|igorlea|nork|"
        "odesílatel|odosielateľ|nadawca|mittente|expéditeur|absender|afzender|afsender|avsender|avsändare|"
        "de parte de|از|فرستنده|प्रेषक|से|шаље|пошиљалац|od koga|dergohet nga|nga|o|ó|vun|kimdən|кімнен|ким|"
        "ում կողմից|გამგზავნი|від кого|отправитель|відправник|發件人|寄信人|发送人"
    ),
    DATE: (
        "sent|date|gesendet|gesendet am|datum|envoyé|envoyé le|date d'envoi|enviado|enviado el|enviada|"
        "enviada em|enviado em|fecha|data|inviato|inviata|data invio|verzonden|verzonden op|sendt|dato|skickat|"
        "skickades|lähetetty|päivämäärä|päiväys|wysłano|wysłane|odesláno|odoslané|dátum|elküldve|küldve|"
        "küldés dátuma|trimis|dată|data trimiterii|изпратено|дата|отправлено|дата отправки|надіслано|"
        "відправлено|στάλθηκε|ημερομηνία|gönderildi|gönderme tarihi|tarih|أرسلت|تم الإرسال|تاريخ الإرسال|"
        "التاريخ|تاريخ|נשלח|תאריך|送信日時|日時|日付|보낸 날짜|보낸날짜|날짜|发送时间|发送日期|日期|时间|"
        "寄件日期|傳送時間|時間|ส่งเมื่อ|ส่ง|วันที่|đã gửi|đã gửi lúc|ngày|gửi|dikirim|terkirim|tanggal|tarikh|"
        "dihantar|poslano|poslato|saadetud|kuupäev|išsiųsta|siųsta|data ir laikas|nosūtīts|nosūtīta|datums|"
        "sent þann|dagsetning|sendt den|enviat|bidaltze-data|bidalia|message du|le|ارسال شد|ارسال شده|भेजा गया|"
        "दिनांक|послато|датум|time|zaman|göndərildi|күні|ամսաթիվ|თარიღი|postat|posted|dërguar|data e dërgimit|"
        "datë"
    ),
    TO: (
        "to|an|à|a|para|per|aan|til|till|vastaanottaja|do|komu|címzett|către|catre|la|кому|до|получатель|προς|"
        "kime|alıcı|إلى|الى|אל|宛先|받는 사람|받는사람|收件人|收件者|ถึง|tới|đến|người nhận|kepada|untuk|za|"
        "prima|kome|prejemnik|saaja|kellele|kam|gavėjas|adresāts|per a|destinatari|destinatario|destinataire|"
        "empfänger|ontvanger|modtager|mottaker|mottagare|nori|hartzailea|adresát|adresat|odbiorca|destinatário|"
        "به|گیرنده|प्रति|को|за|прима|i|kimə|кімге|ում|მიმღები|për|tek|viðtakandi|príjemca|příjemce|得信人"
    ),
    SUBJECT: (
        "subject|betreff|betr|objet|sujet|asunto|assunto|oggetto|onderwerp|emne|ämne|aihe|temat|předmět|"
        "predmet|tárgy|subiect|относно|тема|θέμα|konu|الموضوع|موضوع|נושא|件名|표제|제목|主题|主旨|主題|标题|"
        "標題|เรื่อง|หัวเรื่อง|chủ đề|tiêu đề|subjek|perihal|subyek|naslov|zadeva|teema|tema|temats|assumpte|gaia|"
        "efni|asunt|विषय|предмет|наслов|mövzu|тақырып|թեմա|თემა|subjekti|lënda|subjecte"
    ),
    OTHER: (
        "cc|bcc|kopie|blindkopie|copie|copie à|cópia|copia|con copia|kopi|kopia|kopio|dw|udw|dů|masolat|"
        "másolatot kap|másolat|copie către|копие|копия|копія|κοιν|κοινοποίηση|bilgi|نسخة|نسخة إلى|עותק|ccn|cci|"
        "kk|抄送|副本|副本抄送|참조|สำเนา|tembusan|salinan|reply-to|reply to|antwort an|répondre à|responder a|"
        "rispondi a|risposta|odpovědět|svar til|svara till|attachments|attachment|anlagen|anhang|"
        "pièces jointes|pièce jointe|archivos adjuntos|adjuntos|anexos|allegati|bijlagen|vedhæftede filer|"
        "vedlegg|bilagor|liitteet|załączniki|přílohy|prílohy|mellékletek|atașamente|вложения|вкладення|"
        "συνημμένα|ekler|المرفقات|קבצים מצורפים|添付ファイル|첨부 파일|附件|importance|wichtigkeit|priorität|"
        "priority|on behalf of|resent-from|organization|newsgroups|sender|message-id|x-mailer"
    ),
}
"""Labels of the header block that Outlook and others put above what they quote, by what they stand for."""

VERBS: Final = (
    "wrote|writes|written|sent|has written|schrieb|schreibt|geschrieben|a écrit|a ecrit|écrit|écrivait|"
    "escribió|escribio|escribe|ha escrito|ha scritto|scrisse|scrive|scritto|escreveu|escreve|schreef|"
    "geschreven|schrijft|skrev|skriver|skreiv|kirjoitti|kirjoittaa|skrifaði|napisał|napisała|napisał(a)|pisze|"
    "napisana przez|napisane przez|napsal|napsala|napsal(a)|píše|napísal|napísala|napísal(a)|ezt írta|írta|"
    "írja|a scris|scrie|написа|написал|написала|написал(а)|пишет|пише|написав|napisao|napisala|napisao/la|"
    "je napisal|piše|написао|написао/ла|rašė|parašė|rakstīja|raksta|kirjutas|έγραψε|yazdı|yazmış|şunları yazdı|"
    "كتب|كتبت|كتابة|כתב|כתבה|כתב/ה|נכתב|نوشت|نوشته|लिखा|লিখেছেন|எழுதியது|لکھا|เขียนว่า|เขียน|đã viết|viết|menulis|"
    "書きました|のメール|のメッセージ|さんは|작성|작성함|님이|写道|寫道|写到|va escriure|escrigué|escribiu|"
    "idatzi du|idatzi zuen|sumulat|isinulat|sinulat|missatge de|het geskryf|geskryf|aliandika|ysgrifennodd|"
    "scríobh|գրեց|დაწერა|напиша|shkroi|yazıb|жазды|skreaun|schreift|ответил|відповів|replied|answered"
)
"""What mail programs say that a sender did."""

ORIGINALS: Final = (
    "original message|original email|original e-mail|original mail|original appointment|"
    "ursprüngliche nachricht|originalnachricht|original-nachricht|original nachricht|ursprüngliche e-mail|"
    "message d'origine|message original|message initial|courriel original|mensaje original|correo original|"
    "messaggio originale|messaggio di origine|mensagem original|oorspronkelijk bericht|oorspronkelijke bericht|"
    "origineel bericht|original besked|oprindelig meddelelse|oprindelig besked|oprindelig mail|"
    "opprinnelig melding|ursprungligt meddelande|originalmeddelande|original meddelande|alkuperäinen viesti|"
    "oryginalna wiadomość|wiadomość oryginalna|wiadomość pierwotna|původní zpráva|původní e-mail|"
    "pôvodná správa|eredeti üzenet|eredeti levél|mesaj original|mesajul original|mesaj inițial|"
    "оригинално съобщение|първоначално съобщение|исходное сообщение|исходное письмо|оригинальное сообщение|"
    "первоначальное сообщение|вихідне повідомлення|оригінальне повідомлення|початкове повідомлення|"
    "izvorna poruka|originalna poruka|оригинална порука|izvirno sporočilo|originalus laiškas|pradinis laiškas|"
    "originalus pranešimas|sākotnējais ziņojums|oriģinālais ziņojums|algsõnum|algne sõnum|originaalkiri|"
    "algne kiri|αρχικό μήνυμα|özgün ileti|orijinal mesaj|orijinal ileti|özgün mesaj|الرسالة الأصلية|"
    "رسالة أصلية|הודעה מקורית|ההודעה המקורית|پیام اصلی|ข้อความดั้งเดิม|ข้อความต้นฉบับ|tin nhắn gốc|thư gốc|"
    "thư ban đầu|pesan asli|mesej asal|元のメッセージ|オリジナルメッセージ|元のメール|원본 메시지|원본 메일|"
    "원본메시지|原始邮件|原始郵件|原邮件|原始信件|原始信息|原始訊息|missatge original|mensaxe orixinal|"
    "jatorrizko mezua|upprunaleg skilaboð|upphaflegt skeyti|मूल संदेश|mesazhi origjinal|reply message|"
    "antwortnachricht|replied message|回复的原邮件|回复的邮件|quoted message|message cité|ticket history"
)
"""What stands between dashes above a message that is answered."""

FORWARDS: Final = (
    "forwarded message|begin forwarded message|forwarded by|forwarded mail|forwarded e-mail|forwarded email|"
    "start of forwarded message|weitergeleitete nachricht|anfang der weitergeleiteten nachricht|"
    "anfang der weitergeleiteten e-mail|weitergeleitet von|weitergeleitete mail|weitergeleitete e-mail|"
    "message transféré|début du message transféré|début du message réexpédié|message réexpédié|"
    "courriel transféré|transféré par|mensaje reenviado|inicio del mensaje reenviado|reenviado por|"
    "messaggio inoltrato|inizio messaggio inoltrato|inoltrato da|messaggio originale inoltrato|"
    "mensagem encaminhada|mensagem reencaminhada|início da mensagem encaminhada|"
    "início da mensagem reencaminhada|início de mensagem reencaminhada|encaminhado por|doorgestuurd bericht|"
    "begin doorgestuurd bericht|doorgestuurd door|doorgezonden bericht|videresendt meddelelse|"
    "videresendt besked|videresendt mail|start på videresendt besked|start på videresendt e-mail|"
    "videresendt melding|begynnelse på videresendt melding|start på videresendt melding|"
    "vidarebefordrat meddelande|vidarebefordrat brev|vidarebefordrat mail|vidarebefordrat mejl|"
    "start på vidarebefordrat meddelande|börja vidarebefordrat meddelande|välitetty viesti|"
    "edelleenlähetetty viesti|välitetty viesti alkaa|lähetetty edelleen|przekazana wiadomość|"
    "wiadomość przekazana|wiadomość przekazana dalej|przekazywana wiadomość|początek przekazywanej wiadomości|"
    "treść przekazanej wiadomości|přeposlaná zpráva|začátek přeposílané zprávy|předaná zpráva|"
    "přeposlaný e-mail|preposlaná správa|začiatok preposlanej správy|odovzdaná správa|továbbított üzenet|"
    "továbbított levél|továbbított levél kezdete|mesaj redirecționat|mesaj transmis|mesaj retransmis|"
    "început mesaj redirecționat|препратено съобщение|начало на препратеното съобщение|пересылаемое сообщение|"
    "пересланное сообщение|начало переадресованного сообщения|начало пересланного сообщения|"
    "перенаправленное сообщение|пересылаемое письмо|переслане повідомлення|пересланий лист|"
    "початок листа, що пересилається|початок пересланого повідомлення|повідомлення, що пересилається|"
    "proslijeđena poruka|početak proslijeđene poruke|prosleđena poruka|прослеђена порука|posredovano sporočilo|"
    "začetek posredovanega sporočila|persiunčiamas laiškas|persiųstas laiškas|persiųstas pranešimas|"
    "pārsūtīts ziņojums|pārsūtīta vēstule|pārsūtītais ziņojums|edastatud kiri|edastatud sõnum|"
    "προωθημένο μήνυμα|αρχή προωθημένου μηνύματος|μήνυμα που προωθήθηκε|iletilen ileti|yönlendirilen ileti|"
    "iletilmiş mesaj|iletilen mesaj|yönlendirilmiş mesaj|yönlendirilen mesaj|رسالة مُعاد توجيهها|"
    "رسالة معاد توجيهها|الرسالة المعاد توجيهها|بداية الرسالة المعاد توجيهها|הודעה שהועברה|תחילת ההודעה שהועברה|"
    "הודעה מועברת|پیام هدایت شده|پیام فوروارد شده|پیام بازارسال شده|ข้อความที่ส่งต่อ|เริ่มข้อความที่ส่งต่อ|"
    "thư đã chuyển tiếp|thư được chuyển tiếp|bắt đầu thư được chuyển tiếp|tin nhắn đã chuyển tiếp|"
    "pesan terusan|pesan yang diteruskan|diteruskan|mesej yang dimajukan|mesej dimajukan|転送されたメッセージ|"
    "転送メッセージ|転送されたメール|転送メール|以下のメッセージが転送されました|전달된 메시지|전달된 메일|"
    "전달한 메시지|전달 메시지|转发的邮件|转发邮件信息|已转发邮件|转发邮件|被转发的邮件|下面是被转发的邮件|"
    "轉寄的郵件|轉寄郵件|轉寄的訊息|轉寄訊息|開始轉寄郵件|轉發的郵件|以下是轉寄的郵件|missatge reenviat|"
    "mensaxe reenviada|birbidalitako mezua|áframsent skeyti|áframsend skilaboð|अग्रेषित संदेश|फ़ॉरवर्ड किया गया संदेश|"
    "mesazhi i përcjellë"
)
"""What stands above a message that is forwarded."""

REPLY_ABOVE: Final = (
    "reply above this line|type your reply above|write your reply above|respond above this line|"
    "write above this line|please reply above|do not write below this line|antworten sie oberhalb|"
    "antwort oberhalb|über dieser zeile|oberhalb dieser linie|oberhalb dieser zeile|au-dessus de cette ligne|"
    "por encima de esta línea|encima de esta línea|acima desta linha|sopra questa riga|sopra questa linea|"
    "boven deze regel|boven deze lijn|over denne linje|ovenfor denne linje|ovanför den här raden|"
    "ovanför denna rad|tämän rivin yläpuolelle|powyżej tej linii|nad tímto řádkem|выше этой строки|"
    "вище цього рядка|bu satırın üstüne|この行より上|이 줄 위에|在此行上方|請在此行上方"
)
"""What a help desk's own e-mail asks to be answered above."""

REPLY_PREFIXES: Final = (
    "re|aw|sv|antw|antwort|antwoord|rép|ré|res|resp|r|rif|odp|atb|ynt|yan|cevap|vá|válasz|vs|vast|απ|ατ|σχετ|"
    "отв|ответ|на|відп|отг|ats|rasp|odg|回复|答复|回覆|答覆|返信|답장|회신|응답|השב|תשובה|رد|الرد|پاسخ|trả lời|"
    "balas|ตอบกลับ|svar"
)
"""How the subject of an answer begins."""

FORWARD_PREFIXES: Final = (
    "fw|fwd|wg|wtr|tr|rv|reenv|i|inoltro|enc|vb|vl|pd|fs|ilt|ilet|πρθ|пересл|переслано|препр|továbbítás|"
    "továbbított|doorst|rif fwd|转发|轉寄|轉發|転送|전달|הועבר|إعادة توجيه|बढ़ाएं|chuyển tiếp|teruskan|trs|"
    "vidarebefordrat|videresendt"
)
"""How the subject of a forward begins. `VS` is an answer in Finnish and a forward in Danish: other signs decide."""

POINTERS: Final = (
    "below|inline|in-line|beneath|underneath|in red|in blue|in green|in capitals|in caps|under each question|"
    "after each question|between the lines|between your lines|within your message|zwischen den zeilen|"
    "zwischen deinen zeilen|zwischen ihren zeilen|in großbuchstaben|entre les lignes|entre líneas|en mayúsculas|"
    "tra le righe|nas entrelinhas|tussen de regels|mellem linjerne|mellan raderna|między wierszami|между строк|"
    "siehe unten|weiter unten|untenstehend|"
    "unten stehend|s.u.|s. u.|im text unten|in rot|in blau|ci-dessous|plus bas|ci-après|en rouge|en bleu|"
    "más abajo|mas abajo|abajo|a continuación|en rojo|en azul|qui sotto|vedi sotto|di seguito|qua sotto|"
    "in rosso|abaixo|em vermelho|em azul|hieronder|onderstaand|onderstaande|zie onder|in het rood|nedenfor|"
    "nedenstående|nedan|nedanstående|katso alla|alla oleva|alempana|poniżej|níže|nižšie|lásd lent|lásd alább|"
    "alább|mai jos|по-долу|ниже|нижче|dolje|ispod|spodaj|žemiau|zemāk|allpool|παρακάτω|κάτωθι|aşağıda|"
    "aşağıdaki|下記|以下の|下の|如下|以下|下面|下方|아래|أدناه|في الأسفل|למטה|להלן|در زیر|पे नीचे|नीचे|ด้านล่าง|"
    "ข้างล่าง|bên dưới|dưới đây|di bawah|berikut"
)
"""Words of a customer that point to what stands below them: then it is not cut off without quote marks."""

CLOSINGS: Final = (
    "regards|best|best regards|kind regards|warm regards|many thanks|thanks|thank you|thx|cheers|sincerely|"
    "yours|bye|love|greetings|mfg|lg|vg|gruß|gruss|grüße|grüsse|liebe grüße|viele grüße|freundliche grüße|"
    "mit freundlichen grüßen|danke|vielen dank|cordialement|bien à vous|bien cordialement|merci|salutations|"
    "amicalement|saludos|un saludo|atentamente|gracias|cordiali saluti|saluti|grazie|distinti saluti|"
    "atenciosamente|obrigado|obrigada|cumprimentos|abraços|abraço|groeten|groet|met vriendelijke groet|"
    "vriendelijke groet|mvh|hilsen|venlig hilsen|med venlig hilsen|vennlig hilsen|hälsningar|"
    "med vänliga hälsningar|tack|terveisin|ystävällisin terveisin|kiitos|pozdrawiam|z poważaniem|pozdrowienia|"
    "dziękuję|s pozdravem|děkuji|s pozdravom|ďakujem|üdvözlettel|köszönöm|cu stimă|mulțumesc|с уважением|"
    "с уважение|спасибо|з повагою|дякую|поздрави|srdačan pozdrav|pozdrav|lep pozdrav|pagarbiai|ar cieņu|"
    "lugupidamisega|με εκτίμηση|ευχαριστώ|saygılarımla|teşekkürler|شكرا|مع تحياتي|תודה|בברכה|"
    "よろしくお願いします|宜しくお願いします|감사합니다|谢谢|謝謝|此致|trân trọng|cảm ơn|salam|terima kasih|"
    "ขอบคุณ"
)
"""How a message ends; such a line below a quotation answers nothing in it."""

GREETINGS: Final = (
    "hello|hi|hey|dear|good morning|good afternoon|good evening|good day|hallo|guten tag|guten morgen|guten abend|"
    "moin|servus|grüß gott|liebe|lieber|sehr geehrte|sehr geehrter|bonjour|bonsoir|salut|cher|chère|hola|buenos días|"
    "buenas tardes|buenas|estimado|estimada|ciao|buongiorno|buonasera|salve|gentile|olá|oi|bom dia|boa tarde|prezado|"
    "prezada|goedemorgen|goedemiddag|goedendag|dag|beste|geachte|hej|hei|goddag|kære|kjære|god morgon|hejsan|moi|"
    "hyvää päivää|cześć|dzień dobry|witam|ahoj|dobrý den|dobrý deň|szia|jó napot|kedves|bună|bună ziua|здравей|"
    "здравейте|привет|здравствуйте|добрый день|привіт|добрий день|вітаю|bok|dobar dan|zdravo|pozdravljeni|živjo|"
    "labas|sveiki|tere|γεια|καλημέρα|καλησπέρα|merhaba|selam|iyi günler|مرحبا|السلام عليكم|أهلا|שלום|היי|سلام|"
    "नमस्ते|สวัสดี|xin chào|chào|halo|selamat pagi|selamat siang|こんにちは|お世話になっております|안녕하세요|你好|您好|"
    "bon dia|kaixo|halló|përshëndetje"
)
"""How a message begins; one that is nothing else has said nothing yet."""

CLIENTS: Final = (
    "iphone|ipad|android|samsung|galaxy|blackberry|huawei|xiaomi|redmi|oneplus|pixel|nokia|motorola|htc|wiko|"
    "sony|xperia|windows phone|windows mail|windows 10|windows 11|outlook|yahoo|aol|gmx|web.de|proton mail|"
    "protonmail|k-9|thunderbird|spark|sparrow|mailbird|airmail|fastmail|tutanota|zoho|mail.ru|yandex|mobile|"
    "mobil|mobiltelefon|smartphone|handy|tablet|téléphone|teléfono|móvil|telefono|cellulare|telemóvel|celular|"
    "telefoon|puhelin|телефон|телефона|acompli|boxer|newton|bluemail|edison|emclient|mail app|apple mail|gmail"
)
"""Devices and programs that add a line of their own to what is written with them."""

SENT_WITH: Final = (
    "sent|get|gesendet|hol|holen sie|von meinem|envoyé|télécharger|obtenez|obtenir|enviado|enviada|obtener|"
    "obtén|inviato|scarica|ottieni|obter|verzonden|verstuurd|download|sendt|skickat|hämta|hent|lähetetty|"
    "wysłane|wysłano|pobierz|odesláno|odoslané|elküldve|küldve|trimis|изпратено|отправлено|надіслано|poslano|"
    "poslato|išsiųsta|nosūtīts|saadetud|στάλθηκε|αποστολή|gönderildi|gönderilmiştir|أُرسلت|أرسلت|تم الإرسال|"
    "נשלח|ارسال شده|ส่งจาก|đã gửi|được gửi|dikirim|dihantar|送信|보냄|发自|发送|傳送|從我的|从我的|"
    "diese nachricht wurde|beziehen|mobile"
)
"""How such a line begins or ends."""

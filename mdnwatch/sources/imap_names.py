"""What folders are called where the server does not tell their use: the names that mail programs and providers give.

Compared without case, in NFC. A name in several languages stands where it comes first.
"""

from __future__ import annotations

from collections.abc import Mapping

SENT_NAMES = (
    # English: Thunderbird, Roundcube; Outlook; Apple Mail; Gmail; Pine, Alpine, Horde.
    *("Sent", "Sent Items", "Sent Messages", "Sent Mail", "Sent-Mail", "Sent Objects", "Sent E-mail"),
    # German, Dutch
    *("Gesendet", "Gesendete Objekte", "Gesendete Elemente", "Gesendete Nachrichten", "Gesendete E-Mails"),
    *("Verzonden", "Verzonden items", "Verzonden berichten", "Verzonden e-mail", "Verstuurd"),
    # French, Spanish, Catalan, Basque, Galician
    *("Envoyés", "Éléments envoyés", "Messages envoyés", "Objets envoyés", "Courrier envoyé", "Envoyé", "Envois"),
    *("Enviados", "Elementos enviados", "Mensajes enviados", "Correo enviado", "Enviado", "Correos enviados"),
    *("Enviats", "Elements enviats", "Missatges enviats", "Bidalitakoak", "Bidalita"),
    # Portuguese, Italian, Romanian
    *("Itens enviados", "Mensagens enviadas", "Enviadas", "E-mails enviados", "Correio enviado", "Enviada"),
    *("Posta inviata", "Inviata", "Inviati", "Messaggi inviati", "Elementi inviati", "Inviate"),
    *("Trimise", "Elemente trimise", "Mesaje trimise", "Expediate"),
    # Danish, Norwegian, Swedish, Finnish
    *("Sendt", "Sendt post", "Sendte elementer", "Sendte beskeder", "Sendt mail", "Sendt e-post", "Sendte meldinger"),
    *("Skickat", "Skickade", "Skickade objekt", "Skickade meddelanden", "Skickad e-post"),
    *("Lähetetyt", "Lähetetyt viestit", "Lähetetyt kohteet"),
    # Polish, Czech, Slovak, Slovene, Croatian, Serbian
    *("Wysłane", "Elementy wysłane", "Wysłane wiadomości", "Wysłana poczta", "Poczta wysłana"),
    *("Odeslané", "Odeslaná pošta", "Odeslané zprávy", "Odeslané položky"),
    *("Odoslané", "Odoslaná pošta", "Odoslané správy", "Odoslané položky"),
    *("Poslano", "Poslana pošta", "Poslane poruke", "Poslane stavke", "Poslana sporočila", "Послато", "Послате поруке"),
    # Hungarian, Estonian, Latvian, Lithuanian, Turkish, Greek
    *("Elküldött", "Elküldött elemek", "Elküldött üzenetek", "Elküldött levelek"),
    *("Saadetud", "Saadetud kirjad", "Saadetud üksused", "Nosūtītie", "Nosūtītās vēstules", "Nosūtītie vienumi"),
    *("Išsiųsta", "Išsiųsti", "Išsiųsti laiškai", "Išsiųsti elementai"),
    *("Gönderilmiş", "Gönderilmiş Öğeler", "Gönderilmiş Postalar", "Gönderilmiş Posta", "Gönderilenler", "Gönderilen"),
    *("Απεσταλμένα", "Απεσταλμένα μηνύματα", "Σταλμένα"),
    # Russian, Ukrainian, Bulgarian
    *("Отправленные", "Отправленные письма", "Отправленные элементы", "Отправленные сообщения"),
    *("Надіслані", "Відправлені", "Надіслані елементи", "Відправлені листи"),
    *("Изпратени", "Изпратени съобщения", "Изпратена поща", "Изпратени елементи"),
    # Chinese, Japanese, Korean
    *("已发送", "已发送邮件", "已发送消息", "已发邮件", "已傳送", "已傳送郵件", "已寄出", "寄件備份", "寄件备份"),
    *("送信済み", "送信済みアイテム", "送信済みメール", "送信済みトレイ", "送信済", "送信控え"),
    *("보낸 편지함", "보낸편지함", "보낸 메일함", "보낸메일함", "보낸 메일"),
    # Arabic, Hebrew, Persian, Thai, Vietnamese, Indonesian
    *("المرسلة", "العناصر المرسلة", "البريد المرسل", "الرسائل المرسلة", "دואר שנשלח", "פריטים שנשלחו"),
    *("فرستاده‌شده", "ارسال شده", "ส่งแล้ว", "จดหมายที่ส่งแล้ว", "รายการที่ถูกส่ง"),
    *("Đã gửi", "Thư đã gửi", "Mục đã gửi", "Terkirim", "Item Terkirim", "Pesan Terkirim"),
)

JUNK_NAMES = (
    *("Junk", "Spam", "Junk E-mail", "Junk Email", "Junk Mail", "Junk-E-Mail", "Bulk Mail", "Bulk"),
    *("Spamverdacht", "Unerwünscht", "Unerwünschte Werbung", "Ongewenst", "Ongewenste e-mail", "Ongewenste reclame"),
    *("Indésirables", "Courrier indésirable", "Pourriel", "Correo no deseado", "Correo basura", "No deseado"),
    *("Posta indesiderata", "Indesiderata", "Lixo Eletrônico", "Lixo eletrónico", "Correio eletrónico não solicitado"),
    *("Skräppost", "Uønsket mail", "Uønsket e-mail", "Uønsket e-post", "Søppelpost", "Roskaposti"),
    *("Niechciane", "Wiadomości-śmieci", "Nevyžádaná pošta", "Nevyžádané", "Levélszemét", "Önemsiz", "Gereksiz"),
    *("Önemsiz E-posta", "Ανεπιθύμητη αλληλογραφία", "Ανεπιθύμητα", "Спам", "Нежелательная почта"),
    *("Небажана пошта", "Нежелана поща", "垃圾邮件", "垃圾郵件", "迷惑メール", "스팸", "스팸메일함", "정크 메일"),
)

NAMES_BY_USE: Mapping[str, tuple[str, ...]] = {"\\sent": SENT_NAMES, "\\junk": JUNK_NAMES}

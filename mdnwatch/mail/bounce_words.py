"""The words by which mail systems say, in many languages, that a message was not delivered, or not yet."""

from __future__ import annotations

from mdnwatch.model.phrases import Phrases

# Where the sentence stands: what follows is diagnostics.
MAX_LOOKED_AT = 8 * 1024  # characters


# Between the words of a sentence stand few others: a text that mentions delivery here and a failure there is none.
# English, then German, French, Spanish, Portuguese, Italian, Dutch, Scandinavian; Slavic, Baltic, Finnish, Estonian,
# Turkish, Hungarian, Romanian, Greek; Japanese, Chinese, Korean, Thai, Vietnamese, Indonesian; Arabic, Hebrew.
_FAILURE = Phrases(
    r"""
    \b(?:not|unable to|failed to|impossible to|incapable of)\b[^.\n]{0,60}\bde[il]{1,2}ver
    \b(?:cannot|can't|couldn't|wasn't)\b[^.\n]{0,60}\bde[il]{1,2}ver
    n't (?:able to )?(?:be )?deliver|\bnon-?deliver|\bundeliver(?:able|ed|y)\b
    \bde[il]{0,2}e?[iv]+ery\b(?:[^.\n]|\.\b){0,80}\b(?:fail|error|problem|impossible|abort|delay|unsuccess|terminated)
    \bde[il]{1,2}very\b[^.\n]{0,60}\b(?:was|is|has been) stopped
    \b(?:fail|error|problem|trouble|failure)[a-z]*\b[^.\n]{0,50}\bdeliver|did not reach
    not (?:be )?reached?\b|has not been collected|could not be (?:sent|reached|processed)
    (?:have )?not yet received your (?:message|mail)
    (?:following|these) address(?:es|\(es\))?[^.\n]{0,20}\b(?:fail|had|were)|incorrectly\s+constructed
    return(?:ed|ing)\b[^.\n]{0,30}\bto (?:the )?sender|mail failed|failed (?:recipient|address)
    \bwas (?:rejected|refused|bounced|blocked) by|has been (?:rejected|blocked)|was rejected and|user unknown
    was automatically rejected|was considered (?:unsolicited|spam|to be spam)
    unknown (?:user|recipient|host)|no such (?:user|recipient|mailbox|address)|host (?:unknown|not found)
    user not found|\bis unavailable|mailbox (?:is )?(?:full|unavailable|not found|unknown)
    (?:over|disk) quota|quota (?:exceeded|violation)|no mailbox here|mailbox exceeds
    (?:is|was) not (?:listed|recogni[sz]ed)|recipient (?:not found|rejected|unknown)
    invalid (?:recipient|final|address|mailbox|user)|not accepting (?:mail|messages)|bounce notification
    returned mail|mail could not|box space not enough|(?:has|have) delivery (?:error|problem)
    is no longer valid|nicht (?:an \S{1,250} )?(?:zugestellt|zustellbar|ausgeliefert|erreicht)|unzustellbar
    (?:zustellung|auslieferung)[^.\n]{0,60}(?:fehl|nicht)
    (?:n'a|n.a) (?:pas )?(?:pu |pas )?(?:être|etre|été)[^.\n]{0,20}(?:remis|livr|délivr|distribu|envoy|achemin)
    non remis|échec de la (?:remise|livraison)|non distribu|adresse d ?.?au moins un destinataire
    n.ai pas pu remettre
    no (?:se )?(?:pudo|ha(?:n)? podido|puede|fue|ha sido|ha|pudimos|hemos podido)[^.\n]{0,30}(?:entreg|envi)
    no entregad|no es posible entregar|no s'ha pogut (?:lliurar|entregar)
    n[ãa]o (?:p[ôo]de|foi|pode|conseguimos|é possível)[^.\n]{0,30}(?:entreg|envi)|mensagem n[ãa]o entregue
    falha na entrega
    non (?:è|e'|puo|può|è stato|si è potuto)[^.\n]{0,40}(?:consegn|recapit)|impossibile (?:consegn|recapit)
    mancat[ao] (?:consegn|recap)|niet (?:worden )?(?:afgeleverd|bezorgd|worden bezorgd)|onbestelbaar
    (?:kunde|kan) inte (?:levereras|skickas|nå)|gick inte att leverera|inte levererats|olevererbar
    (?:kunne|kan) ikke lever|ikke blitt levert|mislykke(?:t|des)|mislyktes
    не (?:может быть|можуть бути|було|была|був|був|был|удалось|удаётся|удается|вдалося)\b[^.\n]{0,30}(?:достав|отправ)
    не доставлен|недоставлен|недоставлено|не могло быть доставлено|не може бути доставлен
    ni[ec] (?:zosta[łl][ao]|mo[żz]e|mo[żz]na|by[łl][ao]|uda[łl]o)[^.\n]{0,30}(?:dostarcz|doręcz)|niedostarcz
    (?:nelze|nepodařilo se|nemožno|nepodarilo sa|nie je možné) doru[čc]i|nebyla? doručen|nedoru[čc]iteľ?n
    ni (?:bilo )?mogoče dostaviti|nij?e (?:bilo )?moguće (?:isporučiti|dostaviti)|nije isporučen
    nevar(?:ēja)? piegādāt|netika piegādāt|nepavyko pristatyti|nebuvo pristatyt
    ei (?:voitu|voida|voi) toimittaa|toimit(?:taminen|us) (?:epäonnistui|ei onnistu)|kohaletoimetamine nurjus
    teslim edileme(?:di|z)|iletileme(?:di|z)|kézbesít(?:és|eni)[^.\n]{0,20} nem sikerült|kézbesíthetetlen
    nem (?:sikerült )?kézbesít|nu (?:a putut fi|a fost|s-a putut) livra|livrarea[^.\n]{0,40} a eșuat
    δεν (?:ήταν|είναι) δυνατή η παράδοση|παράδοση απέτυχε|δεν παραδόθηκε
    (?:送信|配信|配送|配達|送達)(?:が)?(?:できません|できなかった|されませんでした|不能)|届けることができません
    (?:送信|配信|配送|配達)に失敗|不達|届きませんでした
    (?:无法|未能|不能)(?:被)?(?:投递|送达|发送|传递)|投递失败|退信|发送失败|未送达
    (?:無法|未能)(?:投遞|傳送|送達|傳遞|寄送)|投遞失敗|退件
    (?:전송|배달|전달|발송)(?:되지|하지 못|할 수 없|될 수 없| ?실패|에 실패)
    ไม่สามารถ(?:จัด)?ส่ง|ส่งไม่(?:ถึง|สำเร็จ)|không thể (?:gửi|phân phối|chuyển)|gửi không thành công
    tidak (?:dapat|bisa) (?:dikirim|terkirim|disampaikan)|gagal (?:ter|di)kirim
    تعذر (?:تسليم|إرسال|توصيل)|لم يتم (?:تسليم|توصيل)|فشل (?:في )?(?:تسليم|توصيل)
    לא ניתן (?:היה )?למסור|המסירה נכשלה|לא נמסר
    """
)
_DELAY = Phrases(
    r"""
    \b(?:has|have) (?:been|not yet been) (?:delayed|delivered)(?<!has been delivered)(?<!have been delivered)
    warning message only|this is (?:just )?a warning|will be retried|delivery attempts will continue
    will (?:continue|keep) (?:to )?(?:try|attempt|trying)|will (?:try|attempt) (?:to )?(?:send|deliver)[^.\n]{0,40}again
    transient non-fatal errors|\bis delayed\b|\bwill retry\b|delivery incomplete|not yet received your (?:message|mail)
    delivery to [^\n]{1,250} delayed$
    delivered (?:to [^.\n]{0,30})?with delay|message \S{1,40} delayed \d|still trying to deliver
    delivery (?:is |was |has been )?(?:temporarily )?delayed|wird weiterhin versucht|verzögert sich
    a été retardé|ha sido retrasad|se ha retrasado|est retardé|è stat[ao] ritardat|está atrasad
    отложена|opóźnion|配信が遅れ
    """
)


def is_failure(text: str) -> bool:
    """Whether a text says that a message was not delivered, or not yet."""
    return _FAILURE.within(text[:MAX_LOOKED_AT].lower())


def is_delay(text: str) -> bool:
    """Whether a text says that the message is still being tried."""
    return _DELAY.within(text[:MAX_LOOKED_AT].lower())

"""The words by which mail systems say, in many languages, that a message was not delivered, or not yet."""

from __future__ import annotations

import re

# Where the sentence stands: what follows is diagnostics.
MAX_LOOKED_AT = 8 * 1024  # characters

_FAILURE = re.compile(
    # English. Words in between are few: a sentence about delivery, not a text that mentions both somewhere.
    r"\b(?:not|unable to|failed to|cannot|can't|couldn't|wasn't|impossible to|incapable of)\b[^.\n]{0,60}\bde[il]{1,2}ver"
    r"|n't (?:able to )?(?:be )?deliver|\bnon-?deliver|\bundeliver(?:able|ed|y)\b"
    r"|\bde[il]{0,2}e?[iv]+ery\b[^.\n]{0,60}\b(?:fail|error|problem|impossible|abort|delay|unsuccess|terminated)"
    r"|\b(?:fail|error|problem|trouble|failure)[a-z]*\b[^.\n]{0,50}\bdeliver"
    r"|did not reach|not (?:be )?reached?\b|has not been collected|could not be (?:sent|reached|processed)"
    r"|(?:following|these) address(?:es|\(es\))?[^.\n]{0,20}\b(?:fail|had|were)|incorrectly\s+constructed"
    r"|return(?:ed|ing)\b[^.\n]{0,30}\bto (?:the )?sender|mail failed|failed (?:recipient|address)"
    r"|\bwas (?:rejected|refused|bounced|blocked) by|has been rejected|was rejected and"
    r"|user unknown|unknown (?:user|recipient|host)|no such (?:user|recipient|mailbox|address)|host (?:unknown|not found)"
    r"|mailbox (?:is )?(?:full|unavailable|not found|unknown)|(?:over|disk) quota|quota (?:exceeded|violation)"
    r"|mailbox exceeds|(?:is|was) not (?:listed|recogni[sz]ed)|recipient (?:not found|rejected|unknown)"
    r"|invalid (?:recipient|final|address|mailbox|user)|not accepting (?:mail|messages)|bounce notification"
    r"|returned mail|mail could not|box space not enough|(?:has|have) delivery (?:error|problem)|is no longer valid"
    # German, French, Spanish, Portuguese, Italian, Dutch, Swedish, Danish
    r"|nicht (?:zugestellt|zustellbar|ausgeliefert|erreicht)|unzustellbar|zustellung[^.\n]{0,60}(?:fehl|nicht)"
    r"|n'a (?:pas )?(?:pu |pas )?(?:être|etre|été)[^.\n]{0,20}(?:remis|livr|délivr|distribu|envoy|achemin)"
    r"|non remis|échec de la remise|non distribu|adresse d ?.?au moins un destinataire|n.a pas été remis"
    r"|no (?:se )?(?:pudo|ha podido|puede|fue|ha sido)[^.\n]{0,30}(?:entreg|envi)|no entregad"
    r"|n[ãa]o (?:p[ôo]de|foi|pode)[^.\n]{0,30}(?:entreg|envi)|mensagem n[ãa]o entregue"
    r"|non (?:è|e'|puo|può|è stato)[^.\n]{0,40}(?:consegn|recapit)|impossibile (?:consegn|recapit)|mancat[ao] (?:consegn|recap)"
    r"|niet (?:worden )?(?:afgeleverd|bezorgd|worden bezorgd)|onbestelbaar|kunde inte (?:levereras|skickas|nå)|kunne ikke levere"
    # Slavic, Finnish, Turkish, Hungarian, Greek
    r"|не (?:может быть|было|была|был|удалось|удаётся|удается)\b[^.\n]{0,20}достав|не доставлен|недоставлен"
    r"|ni[ec] (?:zosta[łl][ao]|mo[żz]e|mo[żz]na|by[łl][ao])[^.\n]{0,30}(?:dostarcz|doręcz)|nelze doručit|nebyla? doručen"
    r"|ei voitu toimittaa|teslim edilemedi|iletilemedi|nem (?:sikerült )?kézbesít|δεν (?:ήταν|είναι) δυνατή η παράδοση"
    # Japanese, Chinese, Korean
    r"|送信できません|配信できません|配送できません|届けることができません|送信に失敗|配信に失敗|配送に失敗|不達"
    r"|无法(?:投递|送达|发送|传递)|未能送达|投递失败|退信|無法(?:投遞|傳送|送達|傳遞)|전송되지|배달되지|배달할 수 없",
    re.IGNORECASE,
)
_DELAY = re.compile(
    r"\b(?:has|have) (?:been|not yet been) (?:delayed|delivered)(?<!has been delivered)(?<!have been delivered)"
    r"|warning message only|this is (?:just )?a warning|will be retried|delivery attempts will continue"
    r"|will (?:continue|keep) (?:to )?(?:try|attempt|trying)|transient non-fatal errors|\bis delayed\b"
    r"|message \S{1,40} delayed \d|still trying to deliver|delivery (?:is |was |has been )?(?:temporarily )?delayed"
    r"|wird weiterhin versucht|verzögert sich|a été retardé|ha sido retrasad|se ha retrasado|est retardé|配信が遅れ",
    re.IGNORECASE,
)


def is_failure(text: str) -> bool:
    """Whether a text says that a message was not delivered, or not yet."""
    return _FAILURE.search(text[:MAX_LOOKED_AT]) is not None


def is_delay(text: str) -> bool:
    """Whether a text says that the message is still being tried."""
    return _DELAY.search(text[:MAX_LOOKED_AT]) is not None

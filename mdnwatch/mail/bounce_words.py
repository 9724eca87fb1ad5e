"""The words by which mail systems say, in many languages, that a message was not delivered, or not yet."""

from __future__ import annotations

import re

# Where the sentence stands: what follows is diagnostics.
MAX_LOOKED_AT = 8 * 1024  # characters


def _alternatives(lines: str) -> re.Pattern[str]:
    """A regular expression of the alternatives that the lines hold."""
    return re.compile("|".join(line.strip() for line in lines.strip().split("\n")), re.IGNORECASE)


# Between the words of a sentence stand few others: a text that mentions delivery here and a failure there is none.
# English, then German, French, Spanish, Portuguese, Italian, Dutch, Scandinavian; Slavic, Finnish, Turkish, Hungarian,
# Greek; Japanese, Chinese, Korean.
_FAILURE = _alternatives(
    r"""
    \b(?:not|unable to|failed to|impossible to|incapable of)\b[^.\n]{0,60}\bde[il]{1,2}ver
    \b(?:cannot|can't|couldn't|wasn't)\b[^.\n]{0,60}\bde[il]{1,2}ver
    n't (?:able to )?(?:be )?deliver|\bnon-?deliver|\bundeliver(?:able|ed|y)\b
    \bde[il]{0,2}e?[iv]+ery\b[^.\n]{0,60}\b(?:fail|error|problem|impossible|abort|delay|unsuccess|terminated)
    \b(?:fail|error|problem|trouble|failure)[a-z]*\b[^.\n]{0,50}\bdeliver|did not reach
    not (?:be )?reached?\b|has not been collected|could not be (?:sent|reached|processed)
    (?:following|these) address(?:es|\(es\))?[^.\n]{0,20}\b(?:fail|had|were)|incorrectly\s+constructed
    return(?:ed|ing)\b[^.\n]{0,30}\bto (?:the )?sender|mail failed|failed (?:recipient|address)
    \bwas (?:rejected|refused|bounced|blocked) by|has been rejected|was rejected and|user unknown
    unknown (?:user|recipient|host)|no such (?:user|recipient|mailbox|address)|host (?:unknown|not found)
    user not found|\bis unavailable|mailbox (?:is )?(?:full|unavailable|not found|unknown)
    (?:over|disk) quota|quota (?:exceeded|violation)|no mailbox here|mailbox exceeds
    (?:is|was) not (?:listed|recogni[sz]ed)|recipient (?:not found|rejected|unknown)
    invalid (?:recipient|final|address|mailbox|user)|not accepting (?:mail|messages)|bounce notification
    returned mail|mail could not|box space not enough|(?:has|have) delivery (?:error|problem)
    is no longer valid|nicht (?:zugestellt|zustellbar|ausgeliefert|erreicht)|unzustellbar
    zustellung[^.\n]{0,60}(?:fehl|nicht)
    n'a (?:pas )?(?:pu |pas )?(?:être|etre|été)[^.\n]{0,20}(?:remis|livr|délivr|distribu|envoy|achemin)
    non remis|échec de la remise|non distribu|adresse d ?.?au moins un destinataire|n.a pas été remis
    no (?:se )?(?:pudo|ha podido|puede|fue|ha sido)[^.\n]{0,30}(?:entreg|envi)|no entregad
    n[ãa]o (?:p[ôo]de|foi|pode)[^.\n]{0,30}(?:entreg|envi)|mensagem n[ãa]o entregue
    non (?:è|e'|puo|può|è stato)[^.\n]{0,40}(?:consegn|recapit)|impossibile (?:consegn|recapit)
    mancat[ao] (?:consegn|recap)|niet (?:worden )?(?:afgeleverd|bezorgd|worden bezorgd)|onbestelbaar
    kunde inte (?:levereras|skickas|nå)|kunne ikke levere
    не (?:может быть|было|была|был|удалось|удаётся|удается)\b[^.\n]{0,20}достав|не доставлен|недоставлен
    ni[ec] (?:zosta[łl][ao]|mo[żz]e|mo[żz]na|by[łl][ao])[^.\n]{0,30}(?:dostarcz|doręcz)|nelze doručit
    nebyla? doručen|ei voitu toimittaa|teslim edilemedi|iletilemedi|nem (?:sikerült )?kézbesít
    δεν (?:ήταν|είναι) δυνατή η παράδοση
    送信できません|配信できません|配送できません|届けることができません
    送信に失敗|配信に失敗|配送に失敗|不達
    无法(?:投递|送达|发送|传递)|未能送达|投递失败|退信|無法(?:投遞|傳送|送達|傳遞)|전송되지|배달되지|배달할 수 없
    """
)
_DELAY = _alternatives(
    r"""
    \b(?:has|have) (?:been|not yet been) (?:delayed|delivered)(?<!has been delivered)(?<!have been delivered)
    warning message only|this is (?:just )?a warning|will be retried|delivery attempts will continue
    will (?:continue|keep) (?:to )?(?:try|attempt|trying)|transient non-fatal errors|\bis delayed\b
    delivered (?:to [^.\n]{0,30})?with delay|message \S{1,40} delayed \d|still trying to deliver
    delivery (?:is |was |has been )?(?:temporarily )?delayed|wird weiterhin versucht|verzögert sich
    a été retardé|ha sido retrasad|se ha retrasado|est retardé|配信が遅れ
    """
)
# One of these is in each text that `_DELAY` matches: most texts have none.
_DELAY_HINTS = (
    "delay", "not yet", "warning", "retried", "attempts will", "will continue", "will keep", "non-fatal",
    "still trying", "weiterhin", "verzögert", "retard", "retras", "遅れ",
)  # fmt: skip


def is_failure(text: str) -> bool:
    """Whether a text says that a message was not delivered, or not yet."""
    return _FAILURE.search(text[:MAX_LOOKED_AT]) is not None


def is_delay(text: str) -> bool:
    """Whether a text says that the message is still being tried."""
    text = text[:MAX_LOOKED_AT]
    lower = text.lower()
    return any(hint in lower for hint in _DELAY_HINTS) and _DELAY.search(text) is not None

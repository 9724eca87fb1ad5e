"""The words by which mail servers say why they do not deliver: a table, the first line that matches counts."""

from __future__ import annotations

from mdnwatch.model.phrases import Phrases
from mdnwatch.model.reasons import Reason

# Each line holds alternatives of a regular expression. Seen in the samples, or in the manuals of those who write them.
_TABLE: tuple[tuple[Reason, str], ...] = (
    (
        Reason.AUTHENTICATION,
        r"""
        \bdmarc\b|\bdkim\b|\bspf\b|sender policy framework|unauthenticated|authentication (?:is )?required
        authrequired|smtp auth|without authentication|purported responsible|not authenticated
        authentication failed
        """,
    ),
    (
        Reason.POLICY,
        r"""
        block ?list|(?<!may be )blacklist|dnsbl|\brbl\b|spamhaus|spamcop|sorbs|barracudacentral
        blocked (?:for|using|by|ip)
        (?:ip|address|client|network|host|access)[^.\n]{0,40} (?:is )?(?:blocked|banned|blacklisted)|\bptr\b
        reverse (?:dns|lookup)|\brdns\b|reputation|frequency limit|rate limit
        too many (?:connection|message|recipient)|relay(?:ing)? (?:access )?denied|no relaying|relay through
        not (?:configured|permitted|allowed) to(?:\s+\S+)? relay|unable to relay|not verified|unverifiable
        mismatches client|policy (?:reasons|violation)|security polic
        (?:host|client) (?:network )?(?:rejected|not allowed)|protocol violation
        does not like (?:your|the) sender|sender (?:address )?(?:is )?(?:rejected|denied|blocked|refused)
        (?:unroutable|unrouteable|invalid) sender|domain of sender|user complaints|not accepted for policy
        local policy|open relay|dynamic ip|domain is invalid|after mail from|in reply to mail from|\[mail_from\]
        refused to talk|not accepting connections|service refused?\b|smtp server of your isp|permits \d+ unverif
        invalid domain name|no access from
        """,
    ),
    (
        Reason.SPAM,
        r"""
        \bspam\b|\bube\b|\bjunk\b|bulk (?:e-?mail|mail)|unsolicited|scored as|content rejected|mail rejet
        ofr_?506
        """,
    ),
    (
        Reason.MAILBOX_FULL,
        r"""
        mail ?(?:box|folder) (?:is |usage )?(?:full|exceed)
        (?:over|disk|mail|exceed\w*|mailbox) ?(?:the )?(?:storage )?quota
        quota (?:is )?(?:full|exceeded|violation|usage|reached)|out of storage|mailbox for user is full
        storage (?:exceeded|limit)|not enough (?:storage|space)|insufficient (?:mailbox )?storage
        exceeds? (?:the )?(?:allowed|maximum|local) (?:size|limit)|mailbox exceeds|space not enough|box is full
        account is full|postfach (?:ist )?voll|bo[iî]te[^.\n]{0,30}pleine|exceeded the local limit
        """,
    ),
    (
        Reason.TOO_LARGE,
        r"""
        (?:message|mail|size|length)[^.\n]{0,30}(?:too (?:large|big)|exceeds)|too (?:large|big)|size limit
        recipsizelimit
        """,
    ),
    (
        Reason.CONTENT,
        r"""
        virus|malware|infected|attachment|embedded image|content presents|potential(?:ly)? (?:security|danger)
        8-bit data|rfc ?(?:2822|5322|822)|messages with multiple|malformed|header error|does not comply|smtputf8
        invalid header
        """,
    ),
    (
        Reason.NO_SUCH_DOMAIN,
        r"""
        (?:host|domain)(?: name)?(?: \S{1,80})? (?:was |is |could )?not (?:be )?(?:found|reachable|exist)
        (?:host|domain)(?: name)?(?: \S{1,80})? (?:was |is )?(?:unknown|unroutable|unreachable)
        unknown (?:host|domain)|name service error|nxdomain|dns (?:lookup )?(?:error|failure)
        no such (?:domain|host)|couldn't find any host|find a mail exchanger|no mx found|no smtp service
        unrouteable (?:mail )?(?:domain|address)|unroutable address|null mx|does not accept mail|invalid domain
        hôte inconnu|domain may not exist|not accepting network messages
        """,
    ),
    (
        Reason.REFUSED,
        r"""
        (?:account|mailbox|user|address|recipient)[^\n]{0,80}\b(?:disabled|discontinued|suspended|inactive)
        (?:account|mailbox|user|address|recipient)[^\n]{0,80}\b(?:frozen|locked|deactivated)
        (?:disabled|suspended|inactive|deactivated) (?:recipient|account|mailbox|address|user)
        not accepting (?:mail|messages)|does not want|restricted|not a member|non-?member|members only
        senders? not allowed|not permitted to (?:post|send)|email delivery point|google groups|\bon hold\b
        """,
    ),
    (
        Reason.NO_SUCH_MAILBOX,
        r"""
        unknown (?:\w+ )?(?:user|recipient|address|mailbox|local)
        (?:user|recipient|mailbox|account|address|alias)[^.\n]{0,60}? (?:is )?(?:unknown|unavailable|invalid)
        (?:user|recipient|mailbox|account|address|alias)[^.\n]{0,60}? (?:is )?not (?:found|known|listed)
        (?:user|recipient|mailbox|account|address|alias)[^.\n]{0,60}? (?:is )?not (?:exist|recogni[sz]ed|(?:a )?valid)
        (?:user|recipient|mailbox|account|address|alias)[^.\n]{0,60}? (?:is )?does(?:n't| not) exist
        (?:user|recipient|mailbox|account|address|alias)[^.\n]{0,60}? (?:is )?(?:could(?:n't| not)|can ?not) be found
        (?:user|recipient|address) unknown|usuario desconocido
        no (?:such (?:\w+ )?(?:user|recipient|mailbox|address\w*|person|account|alias)|mailbox|account|user)\b
        (?:invalid|illegal|bad|incorrect)[^.\n]{0,20} (?:recipient|user|userid|address|mailbox|alias)
        not (?:our|a) (?:user|customer)|recip(?:ient)?notfound|not listed in
        no longer (?:on server|valid|here|available)|recipient name is not recognized|no matches
        is not (?:an? )?(?:existing|known)|not our user|user doesn't have|doesn't have an? \S{1,80} account
        address rejected|recipient rejected|does not like recipient|not collected|destinataire invalide
        unknown or illegal|wrong or no longer valid|usernotfound|404|no valid recipients
        check if (?:the )?address is correct|address (?:couldn't|could not) be found|unbekannt|inconnu
        desconocid|sconosciut|неизвест|not found
        """,
    ),
    (
        Reason.NETWORK,
        r"""
        (?<!retry )timed? ?out|connection (?:refused|reset|died|lost|dropped)|no route|unreachable|looping
        loop(?:s|ed)?\b|too many hops|hop count|can't connect|unable to connect|could not find a gateway
        establish an smtp connection|did not respond|socket error|no answer|temporarily unreachable
        could not initiate|host not responding|network
        """,
    ),
    (
        Reason.EXPIRED,
        r"""
        expired|retry time(?:out)?|in the queue too long|giving up|after multiple retries|too long
        will not be retried|could not deliver for|attempts|not been collected|aborted after
        did not accept our requests
        """,
    ),
    (
        Reason.OTHER,
        r"""
        insufficient (?:disk|system)|no space left|system error|internal error|queue file|currently unavailable
        ldap|temporary (?:failure|error)|does not support tls|no such file|delivery attempt: |exit status
        died with|error code \d|command died|protocol error
        """,
    ),
    (
        Reason.POLICY,
        r"""
        \bdenied\b|\bblocked\b|not allowed|prohibited|service not available
        """,
    ),
    (
        Reason.REFUSED,
        r"""
        rejected|refused|does not like
        """,
    ),
)
_WORDS = tuple((reason, Phrases(lines)) for reason, lines in _TABLE)


def reason_by_words(words: str) -> Reason | None:
    """The reason that the words tell; None where they tell none."""
    lower = words.lower()
    return next((reason for reason, phrases in _WORDS if phrases.within(lower)), None)

"""What servers do rarely or never, each as a row of a table or a few lines of script."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from servers.scripted_imap import Answer, Answers, Close, ScriptedImap, scripted_imap
from sources.recorder import Recorder, only, running
from sources.scripted import make_impatient, report, source, uids, watched

from mdnwatch.model.received import Mark, Wanted
from mdnwatch.sources import imap, imap_fetch
from mdnwatch.sources.base import SourceState, jittered_pause

BYE = Close(b"* BYE see you\r\n")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    make_impatient(monkeypatch)


def first(answer: Answer, *, polite: int = 0) -> Sequence[Answer | None]:
    """Politely so many times, then once this, then politely for ever."""
    return [*[None] * polite, answer, None]


@pytest.mark.asyncio
async def test_new_mail_is_handed_over_with_its_place() -> None:
    server, recorder = ScriptedImap(), Recorder()
    async with watched(server, recorder):
        server.add("INBOX", 7, report(7))
        await recorder.until(lambda: len(recorder.inbox) == 1)
    (message,) = recorder.inbox
    assert message.data == report(7)
    assert (message.place.account, message.place.folder, message.place.uidvalidity, message.place.uid) == (
        "a",
        "INBOX",
        42,
        7,
    )
    assert message.announce
    assert recorder.marks["a", "INBOX"] == Mark(42, 7)


@pytest.mark.asyncio
async def test_responses_split_at_every_byte_are_understood() -> None:
    server, recorder = ScriptedImap(chunk=1), Recorder()
    async with watched(server, recorder):
        server.add("INBOX", 7, report(7))
        await recorder.until(lambda: uids(recorder) == [7])
    assert recorder.inbox[0].data == report(7)


@pytest.mark.asyncio
async def test_the_last_message_which_every_open_range_holds_is_not_handled_again() -> None:
    server, recorder = ScriptedImap(), Recorder()
    server.mailboxes["INBOX"] = {3: report(3)}
    recorder.marks["a", "INBOX"] = Mark(42, 3)
    async with watched(server, recorder):
        # A push without a message: the server is asked for "4:*", which is 3.
        server.push(b"* 2 EXISTS\r\n")
        await recorder.until(lambda: any(command.startswith("UID FETCH 4:*") for command in server.commands))
        server.add("INBOX", 4, report(4))
        await recorder.until(lambda: uids(recorder) == [4])


@pytest.mark.asyncio
@pytest.mark.parametrize("tells_uidnext", [True, False])
async def test_the_first_run_begins_with_the_next_message(*, tells_uidnext: bool) -> None:
    server, recorder = ScriptedImap(tells_uidnext=tells_uidnext), Recorder()
    server.mailboxes["INBOX"] = {5: report(5), 9: report(9)}
    async with watched(server, recorder):
        assert recorder.marks["a", "INBOX"] == Mark(42, 9)
        server.add("INBOX", 10, report(10))
        await recorder.until(lambda: uids(recorder) == [10])


@pytest.mark.asyncio
@pytest.mark.parametrize("uidnext", [1, 4_000_000_000])
async def test_a_wrong_uidnext_neither_hides_new_mail_nor_announces_old(uidnext: int) -> None:
    lie = f"* 2 EXISTS\r\n* OK [UIDVALIDITY 42]\r\n* OK [UIDNEXT {uidnext}]\r\n{{tag}} OK\r\n".encode()
    server, recorder = ScriptedImap(), Recorder()
    server.mailboxes["INBOX"] = {5: report(5), 9: report(9)}

    def examine(words: str) -> Answer | None:
        next(iter(server._open)).folder = words.strip('"')
        return lie if "INBOX" in words and len(server.mailboxes["INBOX"]) == 2 else None

    server.answers = {"EXAMINE": examine}
    async with watched(server, recorder):
        server.add("INBOX", 10, report(10))
        await recorder.until(lambda: uids(recorder) == [10])


@pytest.mark.asyncio
async def test_sent_mail_is_learnt_before_the_inbox_is_read() -> None:
    server, recorder = ScriptedImap(), Recorder()
    server.mailboxes |= {"INBOX": {5: report(5)}, "Sent": {number: report(number) for number in range(1, 8)}}
    recorder.marks["a", "INBOX"] = Mark(42, 4)
    async with watched(server, recorder):
        assert {message.place.folder for message in recorder.messages[:7]} == {"Sent"}
        assert recorder.messages[7].place.folder == "INBOX"
    assert recorder.sent[0].data == b"Subject: report 7\r\n\r\n"  # the newest first, headers only
    assert recorder.sent[0].size == len(report(7))


@pytest.mark.asyncio
async def test_sent_is_looked_at_at_once_and_again_when_a_report_finds_no_message() -> None:
    server, recorder = ScriptedImap(), Recorder()
    recorder.unmatched = 1
    async with watched(server, recorder, idle_renewal="20s"):
        before = server.commands.count('EXAMINE "Sent"')
        server.add("INBOX", 5, report(5))
        await recorder.until(lambda: server.commands.count('EXAMINE "Sent"') == before + 1)
        server.mailboxes["Sent"][1] = report(1)  # written after the receipt arrived
        await recorder.until(lambda: len(recorder.sent) == 1)
        await recorder.until(lambda: server.commands.count('EXAMINE "Sent"') == before + 3)
        server.add("INBOX", 6, report(6))
        await recorder.until(lambda: uids(recorder) == [5, 6])


@pytest.mark.asyncio
async def test_a_batch_that_is_not_stored_is_handed_over_again() -> None:
    server, recorder = ScriptedImap(), Recorder()
    async with watched(server, recorder) as one:
        recorder.commits_to_fail = 3
        server.add("INBOX", 5, report(5))
        await recorder.until(lambda: one.health().cause == "the disk is full")
        await recorder.until(lambda: uids(recorder) == [5])
        await recorder.until(lambda: one.health().state is SourceState.UP)
    assert recorder.marks["a", "INBOX"] == Mark(42, 5)


@pytest.mark.asyncio
async def test_a_server_that_drops_every_connection_is_asked_more_and_more_rarely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, recorder = ScriptedImap({"IDLE": BYE}), Recorder()
    failures: list[int] = []

    def pause(count: int) -> float:
        failures.append(count)
        return 0.001

    monkeypatch.setattr(imap, "jittered_pause", pause)
    async with scripted_imap(server), running(source(server, recorder)):
        await recorder.until(lambda: len(failures) >= 4)
    assert failures[:4] == [1, 2, 3, 4]


def refusing(bad: int) -> Answers:
    """A server that gives nothing where this UID is among what is asked for."""

    def fetch(words: str) -> Answer | None:
        first_uid, _, last_uid = words.split(" ", 1)[0].partition(":")
        ends = [int(end) if end not in ("*", "") else bad for end in (first_uid.split(",")[0], last_uid or first_uid)]
        return b"{tag} NO [SERVERBUG] this one is broken\r\n" if min(ends) <= bad <= max(ends) else None

    return {"UID FETCH": fetch}


@pytest.mark.asyncio
async def test_a_message_that_the_server_cannot_give_does_not_stop_the_others() -> None:
    server, recorder = ScriptedImap(refusing(250)), Recorder()
    server.mailboxes["INBOX"] = {uid: report(uid) for uid in range(1, 301)}
    recorder.marks["a", "INBOX"] = Mark(42, 99)
    async with watched(server, recorder):
        await recorder.until(lambda: recorder.marks["a", "INBOX"].live == 300)
    assert uids(recorder) == [uid for uid in range(100, 301) if uid != 250]
    assert [values["uid"] for event, values in recorder.logged if event == "message passed over"] == [250]
    assert server.connections == 1


@pytest.mark.asyncio
async def test_a_new_message_that_the_server_cannot_give_does_not_stop_the_next() -> None:
    server, recorder = ScriptedImap(refusing(6)), Recorder()
    server.mailboxes["INBOX"] = {5: report(5)}
    async with watched(server, recorder):
        server.add("INBOX", 6, report(6))
        await recorder.until(lambda: recorder.marks["a", "INBOX"].live == 6)
        server.add("INBOX", 7, report(7))
        await recorder.until(lambda: uids(recorder) == [7])


@pytest.mark.asyncio
async def test_a_message_on_which_the_server_dies_is_found_and_passed_over() -> None:
    server, recorder = ScriptedImap(), Recorder()
    refused = refusing(3)["UID FETCH"]
    assert callable(refused)
    server.answers = {"UID FETCH": lambda words: BYE if refused(words) else None}
    server.mailboxes["INBOX"] = {uid: report(uid) for uid in range(1, 9)}
    recorder.marks["a", "INBOX"] = Mark(42, 0)
    async with scripted_imap(server), running(source(server, recorder)):
        await recorder.until(lambda: recorder.marks["a", "INBOX"].live == 8)
    assert uids(recorder) == [1, 2, 4, 5, 6, 7, 8]


@pytest.mark.asyncio
async def test_a_server_that_gives_no_message_at_all_loses_none() -> None:
    server, recorder = ScriptedImap(), Recorder()
    server.answers = dict.fromkeys(("UID FETCH", "FETCH"), b"{tag} NO storage is away\r\n")
    server.mailboxes["INBOX"] = {uid: report(uid) for uid in range(1, 9)}
    recorder.marks["a", "INBOX"] = Mark(42, 0)
    async with scripted_imap(server):
        one = source(server, recorder)
        async with running(one):
            await recorder.until(lambda: server.connections > 8)
            assert "gives no messages" in one.health().cause
            server.answers = {}
            await recorder.until(lambda: len(recorder.inbox) == 8)
    assert uids(recorder) == list(range(1, 9))


@pytest.mark.asyncio
async def test_a_message_without_content_is_passed_over_and_told() -> None:
    server, recorder = ScriptedImap(), Recorder()
    nothing = b"* 1 FETCH (UID 5 RFC822.SIZE 3 BODY[]<0> NIL)\r\n* 2 FETCH (UID 6 BODY[]<0> {2}\r\nhi)\r\n{tag} OK\r\n"
    server.answers = {"UID FETCH": first(nothing)}
    server.mailboxes["INBOX"] = {5: report(5), 6: report(6)}
    recorder.marks["a", "INBOX"] = Mark(42, 4)
    async with watched(server, recorder):
        assert uids(recorder) == [6]
        assert [values["uid"] for event, values in recorder.logged if "without content" in event] == [5]
    assert recorder.marks["a", "INBOX"] == Mark(42, 6)


@pytest.mark.asyncio
async def test_what_is_not_wanted_is_not_handed_over_and_is_done() -> None:
    server, recorder = ScriptedImap(), Recorder(wanted=only(b"report 6"))
    async with watched(server, recorder):
        for uid in (5, 6, 7):
            server.add("INBOX", uid, report(uid))
        await recorder.until(lambda: recorder.marks["a", "INBOX"].live == 7)
    assert uids(recorder) == [6]


@pytest.mark.asyncio
async def test_of_what_is_wanted_for_its_header_nothing_else_is_handed_over_or_fetched() -> None:
    server, recorder = ScriptedImap(), Recorder(wanted=only(b"report", Wanted.HEADER))
    async with watched(server, recorder):
        server.mailboxes["INBOX"][5] = report(5)
        server.add("INBOX", 6, report(6) + b"x" * 50_000)
        await recorder.until(lambda: uids(recorder) == [5, 6])
    assert [message.data for message in recorder.inbox] == [b"Subject: report %d\r\n\r\n" % uid for uid in (5, 6)]
    assert recorder.inbox[1].size == len(report(6)) + 50_000
    assert len([command for command in server.commands if "FETCH" in command and "BODY.PEEK[]" in command]) == 1


@pytest.mark.asyncio
async def test_large_messages_are_fetched_whole_up_to_the_limit() -> None:
    server, recorder = ScriptedImap(), Recorder()
    large, huge = report(5) + b"x" * 50_000, report(6) + b"x" * 100_000
    async with watched(server, recorder, max_message_size="64KiB"):
        server.mailboxes["INBOX"][5] = large
        server.add("INBOX", 6, huge)
        await recorder.until(lambda: uids(recorder) == [5, 6])
    assert (recorder.inbox[0].data, recorder.inbox[0].size) == (large, len(large))
    assert (recorder.inbox[1].data, recorder.inbox[1].size) == (huge[:65536], len(huge))


@pytest.mark.asyncio
async def test_batches_are_bounded_by_number_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap_fetch, "BATCH_BYTES", 100_000)
    server, recorder = ScriptedImap(), Recorder()
    server.mailboxes["INBOX"] = {uid: report(uid) + b"x" * (30_000 if uid > 400 else 0) for uid in range(1, 431)}
    recorder.marks["a", "INBOX"] = Mark(42, 0)
    async with watched(server, recorder):
        assert uids(recorder) == list(range(1, 431))
    assert max(len(batch.messages) for batch in recorder.batches) == 100
    assert max(sum(len(message.data) for message in batch.messages) for batch in recorder.batches) < 100_000
    lives = [batch.checkpoint.mark.live for batch in recorder.batches if batch.checkpoint.mark and batch.messages]
    assert lives == sorted(lives)


@pytest.mark.asyncio
async def test_a_lost_uidvalidity_has_young_mail_read_anew_and_announced() -> None:
    server, recorder = ScriptedImap(uidvalidity=43), Recorder()
    server.mailboxes["INBOX"] = {1: report(1), 2: report(2)}
    server.answers = {"UID SEARCH": lambda words: b"* SEARCH 2\r\n{tag} OK\r\n" if "SINCE" in words else None}
    recorder.marks |= {("a", "INBOX"): Mark(42, 900), ("a", "Sent"): Mark(43, 0)}
    async with watched(server, recorder):
        assert uids(recorder) == [2]
    assert recorder.inbox[0].announce
    assert recorder.marks["a", "INBOX"] == Mark(43, 2)


@pytest.mark.asyncio
async def test_the_backfill_is_newest_first_unannounced_and_does_not_hold_up_new_mail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(imap, "LOOK_SECONDS", 0.0)
    server, recorder = ScriptedImap(), Recorder()
    server.mailboxes["INBOX"] = {uid: report(uid) for uid in range(1, 2001)}
    async with watched(server, recorder, backfill="all"):
        await recorder.until(lambda: len(recorder.inbox) >= 300)
        server.add("INBOX", 2001, report(2001))
        await recorder.until(lambda: len(recorder.inbox) == 2001)
        await recorder.until(lambda: recorder.marks["a", "INBOX"] == Mark(42, 2001))
    order = uids(recorder)
    old = [uid for uid in order if uid <= 2000]
    assert old == sorted(old, reverse=True)
    assert len(old) == 2000
    assert order.index(2001) < 1500
    assert [message.place.uid for message in recorder.inbox if message.announce] == [2001]


@pytest.mark.asyncio
async def test_an_interrupted_backfill_goes_on_where_it_was() -> None:
    server, recorder = ScriptedImap(), Recorder()
    server.mailboxes["INBOX"] = {uid: report(uid) for uid in range(1, 1001)}
    server.answers = {"UID FETCH": [None, None, BYE, None]}
    recorder.marks["a", "INBOX"] = Mark(42, 1000, 101, 1000)
    async with watched(server, recorder):
        await recorder.until(lambda: recorder.marks["a", "INBOX"] == Mark(42, 1000))
    # Bodies that were fetched for a batch that was never stored do not count.
    assert uids(recorder) == list(range(1000, 100, -1))


@pytest.mark.asyncio
async def test_a_backfill_whose_messages_are_gone_is_over() -> None:
    server, recorder = ScriptedImap(), Recorder()
    recorder.marks["a", "INBOX"] = Mark(42, 1000, 101, 1000)
    async with watched(server, recorder):
        await recorder.until(lambda: recorder.marks["a", "INBOX"] == Mark(42, 1000))


@pytest.mark.asyncio
async def test_a_missing_sent_folder_is_said_and_found_when_it_appears() -> None:
    server, recorder = ScriptedImap(), Recorder()
    del server.mailboxes["Sent"]
    async with watched(server, recorder, sent=["\\Sent"]) as one:
        assert "no folder with copies of sent mail was found" in one.health().sent
        assert [folder.found for folder in one.health().folders] == [True, False]
        server.mailboxes["Gesendet"] = {1: report(1)}
        await recorder.until(lambda: len(recorder.sent) == 1)
        assert one.health().sent == "Gesendet (found by its name)"


@pytest.mark.asyncio
async def test_a_folder_that_disappears_does_not_stop_the_others() -> None:
    server, recorder = ScriptedImap(mailboxes={"INBOX": {}, "Sent": {}, "Junk": {}}), Recorder()
    gone: set[str] = set()
    server.answers = {"EXAMINE": lambda words: b"{tag} NO gone\r\n" if words.strip('"') in gone else None}
    async with watched(server, recorder, folders=["INBOX", "Junk"]) as one:
        gone.add("Junk")
        del server.mailboxes["Junk"]
        await recorder.until(lambda: any(not folder.found for folder in one.health().folders))
        server.add("INBOX", 1, report(1))
        await recorder.until(lambda: uids(recorder) == [1])
        gone.clear()
        server.mailboxes["Junk"] = {1: report(1)}
        await recorder.until(lambda: all(folder.found for folder in one.health().folders))
    assert server.connections == 1


@pytest.mark.asyncio
async def test_the_watchdog_is_fed_while_the_source_waits_or_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("imap_session", "base"):
        monkeypatch.setattr(f"mdnwatch.sources.{module}.BEAT_SECONDS", 0.01)
    server, recorder = ScriptedImap(), Recorder()
    async with watched(server, recorder, idle_renewal="20s") as one:
        beats = recorder.beats
        await recorder.until(lambda: recorder.beats > beats + 5)
        server.greeting = BYE
        server.push(b"* BYE\r\n")
        monkeypatch.setattr(imap, "jittered_pause", lambda _failures: 20.0)
        await recorder.until(lambda: one.health().state is SourceState.DOWN)
        beats = recorder.beats
        await recorder.until(lambda: recorder.beats > beats + 5)


@pytest.mark.asyncio
async def test_health_tells_the_last_answer_and_the_last_agreement() -> None:
    server, recorder = ScriptedImap(), Recorder()
    async with watched(server, recorder) as one:
        times = [(one.health().last_answer, one.health().folders[1].last_agreement)]
        await recorder.until(lambda: (one.health().last_answer, one.health().folders[1].last_agreement) != times[0])
        later = one.health()
    assert all(earlier is not None for earlier in times[0])
    assert later.last_answer is not None
    assert later.folders[1].last_agreement is not None
    assert later.folders[1].mark == Mark(42, 0)


def test_back_off_grows_to_five_minutes_and_is_spread() -> None:
    pauses = {failures: [jittered_pause(failures) for _ in range(300)] for failures in (1, 3, 9, 50, 5000)}
    ceilings = {1: 1, 3: 4, 9: 256, 50: 300, 5000: 300}
    for failures, ceiling in ceilings.items():
        assert 0 <= min(pauses[failures]) < ceiling / 4
        assert ceiling * 3 / 4 < max(pauses[failures]) <= ceiling
    assert all(one != other for one, other in itertools.pairwise(pauses[9]))

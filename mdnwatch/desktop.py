"""The desktop's notifications by D-Bus (Desktop Notifications Specification 1.2), with dbus-fast."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any

from dbus_fast import BusType, DBusError, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, InvalidAddressError

from mdnwatch.errors import MdnwatchError

SERVICE = "org.freedesktop.Notifications"
PATH = "/org/freedesktop/Notifications"

APP = "mdnwatch"
DETAILS = "default"  # the action of a click on the notification itself

URGENCY_NORMAL, URGENCY_CRITICAL = 1, 2
BY_THE_SERVER, NEVER = -1, 0  # when a notification expires

# NotificationClosed: a person dismissed it (2); the others are expiry, our own call, and unknown.
DISMISSED = 2


class Desktop:
    """The notification server of a session. `on_closed` hears (id, reason), `on_action` hears (id)."""

    def __init__(self, bus: MessageBus, capabilities: frozenset[str]) -> None:
        self._bus = bus
        self._capabilities = capabilities
        self.on_closed: Callable[[int, int], None] = lambda _id, _reason: None
        self.on_action: Callable[[int], None] = lambda _id: None
        bus.add_message_handler(self._heard)

    @classmethod
    async def open(cls) -> Desktop:
        """Connect to the session's bus. Raises MdnwatchError where there is none, or nobody shows notifications."""
        try:
            bus = await MessageBus(bus_type=BusType.SESSION).connect()
        except (OSError, EOFError, AuthError, InvalidAddressError) as error:
            raise MdnwatchError(
                f"there is no session bus ({error}): run this in a desktop session, as the user service "
                "mdnwatch-notify does (mdnwatch install-service --user)"
            ) from None
        try:
            (capabilities,) = await _call(bus, "GetCapabilities")
            rule = f"type='signal',sender='{SERVICE}',interface='{SERVICE}'"
            await _call(bus, "AddMatch", "s", [rule], service="org.freedesktop.DBus", path="/org/freedesktop/DBus")
        except BaseException:
            bus.disconnect()
            raise
        return cls(bus, frozenset(capabilities))

    def close(self) -> None:
        """Leave the bus."""
        self._bus.disconnect()

    async def wait_until_lost(self) -> None:
        """Until the session ends."""
        await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call] # the library leaves it bare

    async def show(self, title: str, lines: Sequence[str], *, stays: bool, replaces: int = 0) -> int:
        """Show a notification, in the place of an earlier one if that is still there; its id.

        Raises MdnwatchError when the server does not take it.
        """
        body = "\n".join(lines)
        if "body-markup" in self._capabilities:
            # "<bob@mail.example>" is an address, and would vanish as a tag.
            body = html.escape(body, quote=False)
        actions = [DETAILS, "Details"] if "actions" in self._capabilities else []
        hints = {
            "urgency": Variant("y", URGENCY_CRITICAL if stays else URGENCY_NORMAL),
            "category": Variant("s", "email"),
        }
        expires = NEVER if stays else BY_THE_SERVER
        values = [APP, replaces, "mail-read", title, body, actions, hints, expires]
        (number,) = await _call(self._bus, "Notify", "susssasa{sv}i", values)
        return int(number)

    def _heard(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL or message.interface != SERVICE:
            return
        if message.member == "NotificationClosed":
            self.on_closed(*message.body)
        elif message.member == "ActionInvoked":
            self.on_action(message.body[0])


async def _call(  # noqa: PLR0913 - the parts of a call
    bus: MessageBus,
    member: str,
    signature: str = "",
    body: Sequence[Any] = (),
    *,
    service: str = SERVICE,
    path: str = PATH,
) -> list[Any]:
    call = Message(
        destination=service, path=path, interface=service, member=member, signature=signature, body=list(body)
    )
    try:
        reply = await bus.call(call)
    except (DBusError, OSError, EOFError) as error:
        raise MdnwatchError(f"the session bus does not answer: {error}") from None
    if reply is None or reply.message_type is MessageType.ERROR:
        words = reply.body[0] if reply is not None and reply.body else "no answer"
        raise MdnwatchError(f"nothing shows notifications on this desktop ({words}): start its notification service")
    return reply.body

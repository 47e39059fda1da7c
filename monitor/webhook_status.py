"""How each webhook is doing: what waits, what was given up, whether it takes anything at all."""

from collections.abc import Mapping, Sequence
from typing import Any

from exporters.base import Reason
from monitor.core.outbox import ENDPOINT_GONE, NOT_CONFIGURED, NoteState
from monitor.outgoing import Outbox
from monitor.performance_status import time_text

SAYS: Mapping[str, str] = {
    Reason.INTERNAL: "a fault of driftd's own, which its log names; nothing may have been sent",
    Reason.BODY: "the template fails on this event, or gives no JSON; nothing was sent",
    Reason.DNS: "the host's name has no address",
    Reason.PRIVATE: "the host's address is not public and allow_private is not set, nothing was sent",
    Reason.CONNECT: "nobody listens, or there is no route",
    Reason.TLS: "the certificate is not trusted or names another host, or there is no TLS",
    Reason.TIMEOUT: "the attempt's time was over",
    Reason.RESET: "the connection was closed before an answer",
    Reason.PROTOCOL: "the answer is not HTTP, or too long",
    Reason.REDIRECT: "it redirects, and redirects are not followed",
    Reason.GONE: "it answered that it is gone for good",
    Reason.THROTTLED: "it asks to be left alone for a while",
    Reason.CLIENT_ERROR: "it does not accept the request",
    Reason.SERVER_ERROR: "it fails",
    ENDPOINT_GONE: "the endpoint had said that it is gone for good",
    NOT_CONFIGURED: "it is not configured any more",
}


def explained(reason: str, status: int | None = None) -> str:
    """Return a reason with what it means, and the answer it was.

    >>> explained("server_error", 503)
    'server_error 503: it fails'
    """
    known = f": {SAYS[reason]}" if reason in SAYS else ""
    return f"{reason}{'' if status is None else f' {status}'}{known}"


def webhook_status(outbox: Outbox) -> list[dict[str, Any]]:
    """Return how each webhook is doing as plain data, ready for JSON; those of removed tables too.

    failed_attempts, last_reason, next_attempt: of the one that waits and was tried most.
    """
    notes = [q.note for q in outbox.queued.values()]
    found = []
    for name in sorted({*outbox.endpoints, *(n.endpoint for n in notes)}):
        mine = [n for n in notes if n.endpoint == name]
        waiting = [n for n in mine if n.state is NoteState.PENDING]
        tried = max((n for n in waiting if n.attempts), key=lambda n: n.attempts, default=None)
        found.append(
            {
                "webhook": name,
                "disabled": name in outbox.endpoints and outbox.endpoints[name].gone,
                "pending": len(waiting),
                "dead": sum(n.state is NoteState.DEAD for n in mine),
                "failed_attempts": tried.attempts if tried else 0,
                "last_reason": tried.last_reason if tried else "",
                "next_attempt": time_text(tried.next_due) if tried and tried.next_due else None,
            }
        )
    return found


def webhook_lines(webhooks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each webhook that someone should look at."""
    lines = []
    for hook in webhooks:
        troubles = []
        if hook["disabled"]:
            troubles.append("DISABLED, it answered 410; a new url or `driftd webhooks retry ID` ends that")
        if hook["dead"]:
            troubles.append(f"{hook['dead']:,} dead, see `driftd webhooks list`")
        if hook["failed_attempts"]:
            why, then = explained(hook["last_reason"]), hook["next_attempt"] or "now"
            troubles.append(f"attempts failed so far: {hook['failed_attempts']}, {why}; next {then}")
        if troubles:
            lines.append(f"  {hook['webhook']}: {'; '.join(troubles)}")
    return lines

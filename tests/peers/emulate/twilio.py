"""The emulated WhatsApp number, as the people who write to it see it."""

from typing import Any

import httpx

from peers import seed
from peers.emulate.control import Control, Json


class EmulatedTwilio:
    """Write as people on WhatsApp, and read the bot's messages. Methods take a person by `seed.Person.name`."""

    account_sid = seed.TWILIO_ACCOUNT_SID
    auth_token = seed.TWILIO_AUTH_TOKEN
    whatsapp_number = seed.WHATSAPP_NUMBER

    twilio_url: str
    twilio: Control
    sms_url: str | None
    _http: httpx.Client

    def whatsapp_post(self, user: str, text: str) -> str:
        """Write to the bot's number as a person, and wait until the gateway has answered the signed webhook request.

        Returns:
            The MessageSid.
        """
        message = {"From": _address(user), "To": self.whatsapp_number, "Body": text}
        return self._twilio("POST", "/_twilio/simulate/inbound-message", data=message)["sid"]

    def whatsapp_messages(self, user: str | None = None, to: str | None = None) -> list[Json]:
        """Return the messages to a person, to the address `to`, or to everybody, oldest first.

        For their fields, see https://www.twilio.com/docs/messaging/api/message-resource.
        """
        query: dict[str, str | int] = {"PageSize": 1000}
        if to or user:
            query["To"] = to or _address(str(user))
        found = self._twilio("GET", f"{self._account}/Messages.json", params=query)["messages"]
        return [message for message in reversed(found) if message["direction"] == "outbound-api"]

    def whatsapp_buttons(self) -> list[Json]:
        """Return the messages with quick replies, oldest first: the `sid` of each, and its `actions`."""
        return self.twilio.get("buttons")

    def twilio_template(self, sid: str, body: str) -> None:
        """Add a content template with a text, like one that an operator made in Twilio's console."""
        self.twilio.post("content", sid=sid, body=body)

    def twilio_sender(self, sid: str, address: str, **webhook: str | None) -> None:
        """Add a WhatsApp sender with the given fields of its webhook: https://www.twilio.com/docs/whatsapp/api/senders"""
        self.twilio.post("sender", sid=sid, sender_id=address, webhook=webhook)

    def twilio_senders(self) -> list[Json]:
        """Return the WhatsApp senders."""
        return self.twilio.get("senders")

    def twilio_service(self, sid: str, **fields: Any) -> None:
        """Add a Messaging Service with the WhatsApp number: https://www.twilio.com/docs/messaging/api/service-resource"""
        self.twilio.post("service", sid=sid, pool=[self.whatsapp_number], **fields)

    def twilio_opt_out(self, user: str) -> None:
        """Have Twilio refuse messages to a person, as after STOP to a service with Advanced Opt-Out."""
        self.twilio.post("opt-out", address=_address(user))

    def twilio_forget_contents(self) -> None:
        """Delete all content templates, as somebody may do in Twilio's console."""
        self.twilio.post("forget-contents")

    def whatsapp_status(self, sid: str, status: str, error_code: int | None = None) -> None:
        """Set the status of a message: `sent`, `delivered`, `read`, `failed` or `undelivered`.

        If the message has a StatusCallback, call it and wait for its answer.
        """
        self.twilio.post("status", sid=sid, status=status, code=error_code)

    def whatsapp_reports(self, *statuses: str, early: bool = False) -> None:
        """Set the statuses that are reported of each new message: by default that it is `sent` and then `delivered`.

        Args:
            early: report them before the API call is answered.
        """
        self.twilio.post("reports", statuses=statuses, early=early)

    def whatsapp_deliveries(self) -> list[Json]:
        """Return the webhook requests so far, oldest first.

        Each has `event`, `url`, `request_body`, `request_headers`, `response_status` and `response_body`.
        """
        return self.twilio.get("deliveries")

    def whatsapp_redeliver(self) -> httpx.Response:
        """Repeat the last webhook request, byte for byte, and return the answer."""
        last = self.whatsapp_deliveries()[-1]
        return self._http.post(last["url"], data=last["request_body"], headers=last["request_headers"])

    @property
    def _account(self) -> str:
        return f"/2010-04-01/Accounts/{self.account_sid}"

    def _set_sms_url(self, url: str | None) -> None:
        number = f"{self._account}/IncomingPhoneNumbers/{seed.TWILIO_NUMBER_SID}.json"
        self._twilio("POST", number, data={"SmsUrl": url or ""})

    def _twilio(self, method: str, path: str, **request: Any) -> Json:
        auth = (self.account_sid, self.auth_token)
        return self._http.request(method, self.twilio_url + path, auth=auth, **request).raise_for_status().json()


def _address(user: str) -> str:
    return f"whatsapp:{seed.PEOPLE[user].phone}"

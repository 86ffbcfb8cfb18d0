"""The settings of the WhatsApp channel."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from gateway.channels import AccessPolicy
from oauth.settings import ServiceUrl, Settings
from toolkits import Template


def _check_sender(sender: str) -> str:
    number = sender.removeprefix("whatsapp:")
    if not re.fullmatch(r"\+\d{6,15}|MG[0-9a-fA-F]{32}", number):
        raise ValueError("it has to look like whatsapp:+15551234567, or be the SID of a Messaging Service (MG…)")
    return number


def _check_template(content_sid: str) -> str:
    return Template(content_sid).content_sid


class TwilioSettings(Settings):
    """The settings of the channel."""

    model_config = SettingsConfigDict(env_prefix="TWILIO_")

    account_sid: str = Field(min_length=1, description="It is the Account SID (AC…) at https://console.twilio.com.")
    auth_token: SecretStr = Field(min_length=1, description="It is the Auth Token at https://console.twilio.com.")
    whatsapp_from: Annotated[str, AfterValidator(_check_sender)] = Field(
        description="It is the WhatsApp sender that people write to, like whatsapp:+15551234567, or the Messaging "
        "Service (MG…) that the sender belongs to.",
        examples=["whatsapp:+15551234567"],
    )
    late_template: Annotated[str, AfterValidator(_check_template)] | None = Field(
        default=None, description="It is the Content SID (HX…) of an approved template without variables."
    )
    access: AccessPolicy = Field(default=AccessPolicy.OPEN, description="It is open, allowlist or pairing.")
    api_url: ServiceUrl | None = Field(default=None, description="Leave it out for Twilio itself.")


GROUPS = (TwilioSettings,)

"""An interface with a name is a channel of its own."""

from collections.abc import Sequence

import pytest
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict
from starlette.routing import BaseRoute

from gateway import Agent, Gateway
from gateway.channels import Interface
from gateway.testing import StageChannel
from interfaces.slack import Slack
from interfaces.telegram import Telegram
from interfaces.whatsapp import WhatsApp
from oauth import SettingError
from oauth.masking import mask
from oauth.settings import Settings
from toolkits import Message


class PigeonSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="PIGEON_")

    secret: SecretStr = Field(description="Copy it.")


class Pigeon(Interface):
    channel = "pigeon"
    setting_groups = (PigeonSettings,)
    address = "/pigeon/letters"

    def __init__(self, secret: str | None = None, *, name: str | None = None) -> None:
        super().__init__(name)
        self.secret = PigeonSettings.named(name)(secret=secret).secret.get_secret_value()
        self.presenter = StageChannel().presenter

    def routes(self) -> Sequence[BaseRoute]:
        return []

    async def parse(self, payload: str) -> Message | None:
        return None


def test_a_name_is_a_part_of_the_channel_and_of_its_addresses() -> None:
    carrier = Pigeon("secret", name="night-mail")
    assert (carrier.channel, carrier.address) == ("pigeon.night-mail", "/pigeon/night-mail/letters")
    assert (Pigeon("secret").channel, Pigeon("secret").address) == ("pigeon", "/pigeon/letters")


def test_a_name_is_a_part_of_the_settings_and_hides_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIGEON_SECRET", "of the first")
    monkeypatch.setenv("PIGEON_NIGHT_MAIL_SECRET", "of the second")
    assert Pigeon().secret == "of the first"
    assert Pigeon(name="night-mail").secret == "of the second"
    assert mask("the secret of the second.") == "the secret ***."
    with pytest.raises(SettingError, match=r"PIGEON_DAY_SECRET is not set\. Copy it\."):
        Pigeon(name="day")


@pytest.mark.parametrize("name", ["", "Support", "zwei drei", "a.b", "a_b", "a/b", "-a", "ü", "a" * 33, "a\n"])
def test_a_malformed_name_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match="a name has lower-case letters, digits and hyphens"):
        Pigeon("secret", name=name)


def test_two_interfaces_of_one_channel_are_refused() -> None:
    with pytest.raises(SettingError, match=r'keep one of them, or give each a name, as in Pigeon\(name="support"\)'):
        Gateway(Agent(model="test"), [Pigeon("secret"), Pigeon("another")])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Telegram("1:a", "one"), Telegram("1:b", "two", name="support")),
        (Slack("xoxb-1", "one"), Slack("xoxb-1", "two", name="support")),
        (Slack("xoxb-1", "hush"), Slack("xoxb-2", "hush", name="support")),
        (
            Slack(signing_secret="one", client_id="1.2", client_secret="s"),
            Slack(signing_secret="two", client_id="1.2", client_secret="s", name="support"),
        ),
        (WhatsApp("AC1", "t", "whatsapp:+15550001111"), WhatsApp("AC2", "u", "+15550001111", name="support")),
    ],
    ids=["one bot", "one bot token", "one app", "one client", "one number"],
)
def test_two_interfaces_of_one_bot_app_or_number_are_refused(one: Interface, other: Interface) -> None:
    with pytest.raises(SettingError, match="are set up as the same bot, app or number") as raised:
        Gateway(Agent(model="test"), [one, other])
    assert "hush" not in str(raised.value)

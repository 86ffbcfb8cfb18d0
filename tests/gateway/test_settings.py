"""The settings of a gateway."""

from gateway.settings import GatewaySettings


def test_the_settings_do_not_show_the_password_of_the_database() -> None:
    settings = GatewaySettings(database_url="postgresql://someone:hunter2@db.example.com/understudy")
    assert "hunter2" not in f"{settings!r} {settings}"

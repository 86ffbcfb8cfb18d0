"""The providers of models, and the errors of models whose provider's key is not set."""

import pytest
from support.agents.engines import ENGINES

from gateway import Agent, SettingError
from gateway.engines.providers import PROVIDERS, missing_key
from gateway.runs.engine import check_engine


@pytest.mark.parametrize("engine", ENGINES)
def test_a_model_without_its_key_names_the_setting(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(SettingError, match=r"^OPENAI_API_KEY is not set\. It is the API key for the model") as raised:
        check_engine(Agent(model="openai:without-a-key", engine=engine))
    assert raised.value.setting is not None
    assert raised.value.setting.name == "OPENAI_API_KEY"


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("openai-responses:gpt-5.2", "OPENAI_API_KEY"),
        ("google:gemini-3.8-flash", "GOOGLE_API_KEY"),
        ("google-cloud:gemini-3.8-flash", None),  # with credentials of Google Cloud
        ("ollama:qwen", None),
    ],
)
def test_only_keys_of_known_providers_are_missing(model: str, key: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for provider in PROVIDERS.values():
        monkeypatch.delenv(provider.key, raising=False)
    error = missing_key(model)
    assert (error is not None and error.setting is not None and error.setting.name) == (key or False)

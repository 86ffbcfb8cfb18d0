"""Providers of models: their keys, and the models that `understudy init` suggests.

https://ai.pydantic.dev/models/overview/ names the variable of each provider's key.
"""

import os
from typing import NamedTuple

from oauth import SettingError
from oauth.settings import not_set


class Provider(NamedTuple):
    """A provider.

    Args:
        key: the environment variable of its API key.
        model: the model to begin with.
        keys_at: where people make a key.
    """

    key: str
    model: str
    keys_at: str


PROVIDERS = {
    "anthropic": Provider("ANTHROPIC_API_KEY", "claude-sonnet-5-5", "https://console.anthropic.com/settings/keys"),
    "google": Provider("GOOGLE_API_KEY", "gemini-3.8-flash", "https://aistudio.google.com/apikey"),
    "groq": Provider("GROQ_API_KEY", "openai/gpt-oss-120b", "https://console.groq.com/keys"),
    "mistral": Provider("MISTRAL_API_KEY", "mistral-medium-latest", "https://console.mistral.ai/api-keys"),
    "openai": Provider("OPENAI_API_KEY", "gpt-5.2", "https://platform.openai.com/api-keys"),
    "openrouter": Provider("OPENROUTER_API_KEY", "openrouter/auto", "https://openrouter.ai/settings/keys"),
}
DEFAULT_MODEL = f"openai:{PROVIDERS['openai'].model}"


def missing_key(model: str) -> SettingError | None:
    """Return the error of a model whose provider's key is not set; `None` if it is set, or the provider is unknown."""
    name = model.partition(":")[0]
    provider = PROVIDERS.get(name.removesuffix("-chat").removesuffix("-responses"))  # openai-chat is openai, too
    if provider is None or os.environ.get(provider.key):
        return None
    return not_set(provider.key, f"It is the API key for the model {model}. Make one at {provider.keys_at}.")

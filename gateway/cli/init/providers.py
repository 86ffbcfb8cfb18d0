"""The providers of models that `understudy init` knows.

https://ai.pydantic.dev/models/overview/ names the variable of each provider's key.
"""

from typing import NamedTuple


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

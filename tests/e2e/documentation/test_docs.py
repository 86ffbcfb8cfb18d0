"""The settings, links and code in the documentation are right."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.documentation.pages import ACCOUNTS, DOCUMENTS, FILES, blocks, commands, file_of
from e2e.served import ROOT

from gateway import Agent, CloneError
from gateway.configuration.loader import load_gateway
from gateway.configuration.schema import GatewayConfig
from gateway.settings import GatewaySettings
from gateway.testing import stage
from oauth import SettingError
from oauth.settings import each_error, setting_of

SETTINGS = re.compile(r"\b(?:(?:UNDERSTUDY|SLACK|TELEGRAM|TWILIO|GOOGLE|WEBHOOK)_[A-Z_]+|[A-Z]+_API_KEY)\b")


@pytest.mark.parametrize("recipe", sorted((ROOT / "cookbook").glob("*/README.md")), ids=lambda path: path.parent.name)
def test_a_recipe_sets_every_setting_that_it_needs(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = "\n".join(blocks(recipe, "sh"))
    named = {name for name in SETTINGS.findall(block) if f"{name}=" in block}
    recipe_file = next(ROOT / command.split()[-1] for command in commands("understudy serve", [recipe]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNDERSTUDY_MODEL", "test")
    missing: set[str] = set()
    while found := _not_set(recipe_file) - missing:
        missing |= found
        for name in found:
            monkeypatch.setenv(name, EXAMPLES.get(name, "x"))
    assert missing
    assert missing <= named


def _not_set(recipe_file: Path) -> set[str]:
    """Return the settings that an error says are missing, when the recipe is loaded."""
    try:
        load_gateway(str(recipe_file))
    except SettingError as error:
        about = map(setting_of, each_error([error]))
        return {setting.name for setting in about if setting is not None and setting.is_missing}
    return set()


EXAMPLES = {
    "SLACK_APP_TOKEN": "xapp-1-A1-2-3",
    "TELEGRAM_BOT_TOKEN": "1:x",
    "TWILIO_WHATSAPP_FROM": "whatsapp:+15551234567",
    "UNDERSTUDY_SECRET_KEY": "AAAA",  # malformed
}


@pytest.mark.long
@pytest.mark.parametrize(
    "document",
    [document for document in DOCUMENTS if blocks(document, "python")],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_python_in_the_documentation_runs(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in (ACCOUNTS | OF_SNIPPETS).items():
        monkeypatch.setenv(name, value)
    namespace: dict[str, object] = {"__name__": "documentation"}
    for block in blocks(document, "python"):
        code = compile(block, document.name, "exec")
        if not re.search(READERS_OWN, block):
            exec(code, namespace)


#: What only the reader has: packages, and a model that answers.
READERS_OWN = r"\b(?:my_bot|my_channel|understudy_pigeon)\b|asyncio\.run\("
OF_SNIPPETS = {
    "ACME_CLIENT_ID": "id",
    "ACME_CLIENT_SECRET": "secret",
    "GITHUB_CLIENT_ID": "id",
    "GITHUB_CLIENT_SECRET": "secret",
    "OPENAI_API_KEY": "none",
    "SLACK_SUPPORT_BOT_TOKEN": "xoxb-2",
    "SLACK_SUPPORT_SIGNING_SECRET": "another secret",
    "TELEGRAM_SUPPORT_BOT_TOKEN": "2:x",
}


@pytest.mark.long
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_a_page_shows_has_an_agent(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("UNDERSTUDY_MODEL", "TELEGRAM_BOT_TOKEN"):
        monkeypatch.setenv(variable, ACCOUNTS[variable])
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    chosen = ":answer" if name == "flow.py" else ""
    assert load_gateway(f"{file_of(name, tmp_path)}{chosen}").interfaces["telegram"]


@pytest.mark.long
async def test_the_first_agent_does_what_its_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_MODEL", "test")
    first: dict[str, Any] = {}
    exec(FILES["agent.py"], first)
    scene = stage(tmp_path, [first["Office"]()])
    async with scene.open():
        assert "from 9:00" in await scene.ask("alice", 'call opening_hours {"day":"Friday"}')
        await scene.ask("alice", 'call book_room {"day":"Friday"}')
        question = scene.sent[-1].card
        assert question is not None
        assert [choice.label for choice in question.choices] == ["Approve", "Decline"]
        await scene.press("alice", question, "Approve")
        answer = (await scene.wait_for(3))[-1]
        assert "The meeting room is booked on Friday for Alice." in answer.text


def test_yaml_in_the_documentation_describes_gateways() -> None:
    described = [block for document in DOCUMENTS for block in blocks(document, "yaml")]
    assert described
    for block in described:
        assert GatewayConfig.model_validate(yaml.safe_load(block)).agents


def test_the_page_about_toolkits_is_right_about_an_attribute_that_cannot_be_copied() -> None:
    code = next(block for block in blocks(ROOT / "docs" / "toolkits.md", "python") if "_clone_shared_attrs" in block)
    right: dict[str, Any] = {}
    exec(code, right)
    Agent(model="test", toolkits=[right["Weather"]("https://weather.example.com")]).check()
    wrong: dict[str, Any] = {}
    exec(code.replace("_clone_shared_attrs", "_forgotten"), wrong)
    with pytest.raises(CloneError, match=r"Weather\.client"):
        Agent(model="test", toolkits=[wrong["Weather"]("https://weather.example.com")]).check()


def test_every_test_that_the_threat_model_names_exists() -> None:
    named = re.findall(r"`(tests/[^`]+)`", (ROOT / "SECURITY.md").read_text())
    assert len(named) > 20
    for test in named:
        path, _, name = test.partition("::")
        assert re.search(
            rf"^(async )?def {name}\(" if name else r"^(async )?def test_", (ROOT / path).read_text(), re.MULTILINE
        ), f"SECURITY.md names {test}, which is missing"


def test_the_security_policy_says_how_to_report_a_vulnerability_in_private() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    assert "## Reporting a vulnerability" in text
    assert "*Report a vulnerability*" in text


def test_every_setting_is_documented() -> None:
    code = "".join(
        path.read_text() for package in ("gateway", "oauth", "interfaces") for path in (ROOT / package).rglob("*.py")
    )
    documented = set(SETTINGS.findall((ROOT / "docs" / "settings.md").read_text()))
    assert set(SETTINGS.findall(code)) - documented == set()


def test_the_defaults_on_the_page_of_settings_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| (`UNDERSTUDY_.*?) \|.*\| (.*?) \|$", (ROOT / "docs/settings.md").read_text(), re.MULTILINE)
    documented = {name: default for names, default in rows for name in re.findall(r"`UNDERSTUDY_(\w+)`", names)}
    for name, field in GatewaySettings.model_fields.items():
        default = str(field.default)
        if field.default is None or field.default == ():
            assert not documented[name.upper()].startswith("`")
        else:
            assert documented[name.upper()] == f"`{default.lower() if default in ('True', 'False') else default}`"


def test_every_link_between_documents_has_a_target() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), (
                f"{document.relative_to(ROOT)} links to {target}, which is missing"
            )

"""`understudy config …`: files are checked and shown, without their secrets."""

import json
from textwrap import dedent
from typing import Any

import pytest
import yaml
from support.gateway_files import WHOLE, Write
from typer.testing import CliRunner

from gateway.cli.main import app


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["config", *arguments])


def test_the_command_checks_and_shows_a_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGION", "eu")
    monkeypatch.setenv("MY_TOKEN", "s3cret-token")
    path = write(WHOLE)
    checked = invoke("check", str(path))
    assert checked.exit_code == 0, checked.exception
    secret = "secret_key: s3cret-key\ndatabase: postgresql://me:s3cret-db@host/x\n"
    mcp = "agents: {a: {description: '${MY_TOKEN}', mcp_servers: [{server: 'https://x.test', headers: {A: s3cret}}]}}\n"
    shown = invoke("show", str(write(secret + mcp))).stdout
    assert "s3cret" not in shown
    assert yaml.safe_load(shown)["database"] == "postgresql://me:***@host/x"
    whole = yaml.safe_load(invoke("show", str(write(WHOLE))).stdout)
    assert whole["sessions"] == {"tokens": 4000, "idle_hours": 2.0}
    assert whole["agents"]["notes"]["toolkits"][0]["namespace"] == "${TENANT}/${USER_ID}"
    wrong = str(write("agents: {}\nnonsense: 1\n"))
    checked = invoke("check", wrong)
    assert checked.exit_code == 1
    mistakes = [json.loads(line)["text"] for line in invoke("check", wrong, "--json").stdout.splitlines()]
    assert len(mistakes) == 2
    assert all(mistake.startswith(wrong) and mistake in checked.stderr for mistake in mistakes)


def test_values_from_the_environment_are_not_shown(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SENTRY_DSN", "PASSPHRASE", "WORD", "LIMIT"):
        monkeypatch.setenv(name, f"s3cret-{name}" if name != "LIMIT" else "31337")
    text = """
        agents:
          a:
            description: In ${WORD}
            instructions: See https://docs.test/a?code=s3cret-code#top or https://s3cret-user@docs.test/ please.
            mcp_servers:
              - server: https://mcp.test/sse?api=s3cret-query
                name: ${NOT_SET:a default}
              - server: python server.py
                env: {DSN: "${SENTRY_DSN}", PHRASE: s3cret-phrase}
        interfaces: {web: {}}
        base_url: https://bot.test
        database: postgresql://me:s3cret-db@host/x?sslpassword=s3cret-ssl
        sessions: {tokens: "${LIMIT}"}
        """
    shown = invoke("show", str(write(dedent(text)))).stdout
    assert "s3cret" not in shown, shown
    assert "31337" not in shown
    whole = yaml.safe_load(shown)
    assert whole["base_url"] == "https://bot.test"
    assert whole["database"] == "postgresql://me:***@host/x?***"
    agent = whole["agents"]["a"]
    assert agent["instructions"] == "See https://docs.test/a?*** or https://***@docs.test/ please."
    assert agent["mcp_servers"][0] == {"server": "https://mcp.test/sse?***", "name": "a default"}
    assert agent["mcp_servers"][1]["env"] == {"DSN": "***", "PHRASE": "***"}


def test_the_command_prints_a_schema_for_editors() -> None:
    found = json.loads(invoke("schema").stdout)
    assert found["additionalProperties"] is False
    assert set(found["properties"]) >= {"agents", "interfaces", "routes", "sessions", "limits"}
    assert found["$defs"]["AgentConfig"]["properties"]["use"]["description"].startswith("The path of a flow")

"""The panel of `understudy dev` in a browser: the steps of a turn, while it runs and later."""

import asyncio
import threading

from e2e.web.conftest import PATIENCE, Open, write
from playwright.sync_api import expect
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from gateway import Agent
from toolkits import Toolkit, tool

CHANGED = "document.dispatchEvent(new CustomEvent('understudy-update', {detail: {type: 'changed'}}))"


class Scales(Toolkit):
    _clone_shared_attrs = ("gate",)

    def __init__(self) -> None:
        self.gate = threading.Event()

    @tool
    async def weigh(self, thing: str) -> str:
        """Weigh a thing."""
        assert await asyncio.to_thread(self.gate.wait, PATIENCE)
        return f"<b>{thing}</b> weigh three pounds"


def calling(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    if len(messages) > 1:
        return ModelResponse([TextPart("Three pounds.")])
    return ModelResponse([ToolCallPart("weigh", {"thing": "pears"})])


def test_the_steps_of_a_turn_are_shown_live_and_after_a_reload_of_the_page(open_window: Open) -> None:
    scales = Scales()
    with open_window(Agent(model=FunctionModel(calling), toolkits=[scales]), panel=True) as page:
        panel = page.get_by_role("complementary", name="Steps of the turns")
        toggle = panel.get_by_role("button", name="Steps")
        weighing = panel.locator("[data-kind=tool]")
        write(page, "how heavy are the pears?")
        expect(weighing).to_be_hidden()  # a narrow window belongs to the chat until the panel is opened
        toggle.click()
        expect(weighing).to_contain_text("running")
        weighing.locator("summary").click()
        expect(weighing.locator(".given")).to_contain_text('"thing": "pears"')
        page.route("**/steps", lambda route: route.fulfill(json=[]), times=1)  # as after a restart of the gateway
        page.evaluate(CHANGED)
        expect(weighing).to_contain_text("interrupted")
        page.evaluate(CHANGED)
        expect(weighing).to_contain_text("running")
        scales.gate.set()
        expect(weighing).to_contain_text("ok")
        expect(weighing.locator(".returned")).to_have_text("<b>pears</b> weigh three pounds")
        expect(panel.locator("[data-kind=run]")).to_contain_text("answered")
        expect(page.get_by_role("log")).to_contain_text("Three pounds.")

        page.set_viewport_size({"width": 1280, "height": 700})
        page.reload()
        expect(panel.locator(".step .kind")).to_have_text(["run", "model", "tool", "model"])
        expect(weighing).to_contain_text("ok")
        chat, beside = page.get_by_role("main").bounding_box(), panel.bounding_box()
        assert chat is not None
        assert beside is not None
        assert chat["x"] + chat["width"] <= beside["x"]
        toggle.focus()
        toggle.press("Enter")
        expect(weighing).to_be_hidden()


def test_a_reader_at_the_end_stays_there_while_the_panel_below_grows(open_window: Open) -> None:
    scales = Scales()
    scales.gate.set()
    with open_window(Agent(model=FunctionModel(calling), toolkits=[scales]), panel=True) as page:
        page.set_viewport_size({"width": 500, "height": 500})
        page.get_by_role("complementary", name="Steps of the turns").get_by_role("button", name="Steps").click()
        for count in range(1, 6):
            write(page, "how heavy are the pears?")
            expect(page.locator("#log .agent-said")).to_have_count(count)
            expect(page.locator("#log .agent-said").last).to_be_in_viewport()
            expect(page.locator("#latest")).to_be_hidden()

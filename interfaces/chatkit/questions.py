"""Show questions as widgets with buttons: https://openai.github.io/chatkit-python/guides/add-features/add-interactive-widgets/"""

from typing import Any

from chatkit.actions import Action
from chatkit.types import WidgetItem
from chatkit.widgets import DynamicWidgetRoot

from gateway.channels import ChoiceStyle, Press, TranscriptEntry
from interfaces.chatkit.format import escape
from interfaces.chatkit.parse import Person

ACTION = "question.answer"  # the type of a button's action

_COLORS = {ChoiceStyle.PRIMARY: "primary", ChoiceStyle.DANGER: "danger"}


def to_widget(entry: TranscriptEntry, thread_id: str) -> WidgetItem:
    """Return a question of the transcript as a card: with buttons while it is open, then with the decision."""
    question, text = entry.question, entry.text or ""
    assert question is not None
    below: list[dict[str, Any]] = [{"type": "Markdown", "value": text}]
    if question.decided is None:
        buttons = [
            {
                "type": "Button",
                "label": label,
                "color": _COLORS.get(ChoiceStyle(style), "secondary"),
                "onClickAction": {"type": ACTION, "payload": {"question": question.id, "choice": place}},
            }
            for place, (label, style) in enumerate(question.choices)
        ]
        below.append({"type": "Row", "wrap": "wrap", "gap": 2, "children": buttons})
    elif question.decided:
        below.append({"type": "Markdown", "value": escape(question.decided)})
    widget = DynamicWidgetRoot.model_validate({"type": "Card", "children": below})
    return WidgetItem(id=entry.id, thread_id=thread_id, created_at=entry.at, widget=widget, copy_text=text)


def to_press(action: Action[str, Any], person: Person) -> Press | None:
    """Return the press of a question's button; `None` if the action is another one."""
    payload = action.payload
    if action.type != ACTION or not isinstance(payload, dict):
        return None
    question, choice = payload.get("question"), payload.get("choice")
    if not isinstance(question, str) or type(choice) is not int:
        return None
    return Press(question, choice, person.identity, person.name or person.user_id)

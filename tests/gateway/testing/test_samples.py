"""Samples are read from the Markdown file that people read, too."""

from pathlib import Path

import pytest

from gateway.testing import ExpectedMessage, NoTurn, Refused, SameMessage, SampleError, read_samples

FILE = """\
# Samples

Prose, and `code`.

## Messages

### One

A note.

Expected: a message `{"text": "a `b`", "sender": "t/u", "conversation": "t/c",
"shared": true, "attachments": ["png"]}`.

```json
{"id":  1}
```

### Two

Expected: the same message as "One".

```form /other
Body=a%26b
To=c
```

## Three

Expected: no turn

```json
{}
```

## Four

Expected: refused with 422

````json
"```"
````
"""


def read(directory: Path, text: str) -> list[object]:
    (directory / "sample_messages.md").write_text(text)
    return list(read_samples(directory / "sample_messages.md"))


def test_samples_are_read_verbatim_with_what_is_expected_of_them(tmp_path: Path) -> None:
    (tmp_path / "sample_messages.md").write_text(FILE)
    one, two, three, four = read_samples(tmp_path / "sample_messages.md")
    assert (one.name, one.body, one.media_type, one.path) == ("One", b'{"id":  1}', "application/json", "")
    message = ExpectedMessage(text="a `b`", sender="t/u", conversation="t/c", shared=True, attachments=("png",))
    assert one.expected == message
    assert (two.path, two.expected) == ("/other", SameMessage("One"))
    assert (two.body, two.form) == (b"Body=a%26b&To=c", {"Body": "a&b", "To": "c"})
    assert two.media_type == "application/x-www-form-urlencoded"
    assert (three.expected, three.json) == (NoTurn(), {})
    assert (four.expected, four.body) == (Refused(422), b'"```"')


@pytest.mark.parametrize(
    ("changed", "to", "problem"),
    [
        ("Expected: no turn\n", "", "'Three' has 1 fenced blocks and 0 paragraphs"),
        ("```json\n{}\n```\n", "", "'Three' has 0 fenced blocks and 1 paragraphs"),
        ("```json\n{}", "```yaml\n{}", "'Three' is 'yaml' instead of json or form"),
        ("no turn", "nothing", "'Three' is 'nothing'"),
        ("refused with 422", "refused with 500", "'Four' is 'refused with 500'"),
        ('"sender": "t/u", ', "", "'One' cannot be read: .*sender"),
        ('"shared": true', '"shard": true', "'One' cannot be read: .*shard"),
        ('"shared": true', '"shared": yes', "'One' cannot be read: "),
        ('as "One"', 'as "None"', "'Two' names a sample that sample_messages.md does not have"),
        ("## Four", "## Three", "two samples that are called 'Three'"),
    ],
)
def test_a_file_that_cannot_be_read_names_the_sample(tmp_path: Path, changed: str, to: str, problem: str) -> None:
    assert changed in FILE
    with pytest.raises(SampleError, match=problem):
        read(tmp_path, FILE.replace(changed, to))

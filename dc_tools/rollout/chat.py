"""From chat messages to the ids that a model reads, by its tokenizer's template."""

from typing import Any

from jinja2 import TemplateError

from dc_tools.core.errors import CannotRun
from dc_tools.rollout.engine import Prompt


def encode(tokenizer: Any, prompt: Prompt, name: str) -> list[int]:
    """Ids of the chat, opened for the assistant and begun with the prefix.

    Where a chat template knows no system message, that one opens the first message of the user. A tokenizer without a
    template gets the plain text `role: content`, a message a paragraph. Errors: `CannotRun`, naming the model, where
    the template takes the chat in neither way.
    """
    messages = [dict(message) for message in prompt.messages]
    if not tokenizer.chat_template:
        text = "\n\n".join([f"{m['role']}: {m['content']}" for m in messages] + ["assistant: "])
        return list(tokenizer(text + prompt.prefix)["input_ids"])
    try:
        text = _templated(tokenizer, messages)
    except TemplateError:
        try:
            text = _templated(tokenizer, _without_system(messages))
        except TemplateError as error:
            raise CannotRun(f"{name}: the chat template refuses the prompt: {error}") from None
    return list(tokenizer(text + prompt.prefix, add_special_tokens=False)["input_ids"])


def end_ids(ends: int | list[int] | None, tokenizer: Any) -> frozenset[int]:
    """The tokens that end an answer: the tokenizer's, and `eos_token_id` of a generation config."""
    found = {*(ends if isinstance(ends, list) else [ends]), tokenizer.eos_token_id}
    return frozenset(token for token in found if token is not None)


def _templated(tokenizer: Any, messages: list[dict[str, str]]) -> str:
    return str(tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))


def _without_system(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    if len(messages) < 2 or messages[0]["role"] != "system":
        return messages
    system, first, *rest = messages
    return [{**first, "content": f"{system['content']}\n\n{first['content']}"}, *rest]

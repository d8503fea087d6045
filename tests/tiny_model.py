"""A language model of a hundred thousand weights, made in seconds: what tests run where users run SmolLM2.

`make_tiny_model` writes a LLaMA with random weights, its tokenizer and chat template as a Hugging Face folder.
`teach` trains such a folder on programs of its family, so that answers have fences, ends and some right results.
"""

import random
from pathlib import Path

SYSTEM = "Reply with a Python program."
SHOT = ("Read an integer x and print x plus 1.", "```python\nx = int(input())\nprint(x + 1)\n```")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
END, PAD, START = "<|im_end|>", "<|endoftext|>", "<|im_start|>"
VOCABULARY = 400
ONE = {
    "n plus {k}": "n + {k}", "n minus {k}": "n - {k}", "n times {k}": "n * {k}", "the square of n": "n * n",
    "twice n": "2 * n", "n cubed": "n ** 3", "the remainder of n divided by {k}": "n % {k}",
    "the absolute value of n": "abs(n)", "the negative of n": "-n",
}
TWO = {
    "the sum of a and b": "a + b", "the product of a and b": "a * b", "a minus b": "a - b",
    "the larger of a and b": "max(a, b)", "the smaller of a and b": "min(a, b)", "b minus a": "b - a",
}


def examples(seed: int, count: int) -> list[tuple[str, str]]:
    """`count` pairs of a statement and a right program, drawn from `seed`."""
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        k = rng.randint(2, 9)
        if rng.random() < 0.6:
            words, term = rng.choice(list(ONE.items()))
            statement, read = f"Read an integer n and print {words.format(k=k)}.", "n = int(input())"
        else:
            words, term = rng.choice(list(TWO.items()))
            statement = f"Read two integers a and b from one line and print {words}."
            read = "a, b = map(int, input().split())"
        found.append((statement, f"{read}\nprint({term.format(k=k)})\n"))
    return found


def messages_of(statement: str) -> list[dict[str, str]]:
    """The one-shot chat that asks for a program."""
    return [
        {"role": "system", "content": SYSTEM}, {"role": "user", "content": SHOT[0]},
        {"role": "assistant", "content": SHOT[1]}, {"role": "user", "content": statement},
    ]


def make_tiny_model(directory: Path, seed: int = 0, heads: int = 4) -> Path:
    """A LLaMA of 2 layers x 64 with random weights and a BPE tokenizer in `directory`; same seed, same bytes."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    tokenizer = _tokenizer()
    ids = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=heads, num_key_value_heads=heads // 2, max_position_embeddings=512,
        tie_word_embeddings=True, bos_token_id=None, **ids,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(**ids)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def teach(source: Path, directory: Path, steps: int = 150, seed: int = 0) -> Path:
    """Train the model of `source` for `steps` batches of 16 examples, on one thread, and save it to `directory`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source)
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    pairs = examples(seed, steps * 16)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for step in range(steps):
        ids, labels = _batch(tokenizer, pairs[step * 16 : step * 16 + 16])
        loss = model(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.set_num_threads(threads)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def _batch(tokenizer, pairs):
    import torch

    rows, marks = [], []
    for statement, program in pairs:
        asked = tokenizer.apply_chat_template(messages_of(statement), add_generation_prompt=True, tokenize=False)
        prompt = tokenizer(asked + "```python\n", add_special_tokens=False)["input_ids"]
        answer = tokenizer(program + "```" + END, add_special_tokens=False)["input_ids"]
        rows.append(prompt + answer)
        marks.append([-100] * len(prompt) + answer)
    width = max(map(len, rows))
    pad = tokenizer.pad_token_id
    ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows])
    return ids, torch.tensor([mark + [-100] * (width - len(mark)) for mark in marks])


def _tokenizer():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[PAD, START, END], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=PAD, chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False, padding_side="left",
    )


def _corpus() -> list[str]:
    found = [SYSTEM, *SHOT, "system\nuser\nassistant\n"] * 20
    for statement, program in examples(7, 300):
        found += [statement, f"```python\n{program}```"]
    return found

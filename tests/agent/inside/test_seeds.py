from collections.abc import Callable

import pytest

from probes.trace import Trace

Trial = Callable[..., Trace]

SEEDED = {
    "torch": "torch.manual_seed(5); print(torch.rand(1).item())",
    "torch by keyword": "torch.random.manual_seed(seed=5); print(torch.rand(1).item())",
    "generator": "print(torch.rand(1, generator=torch.Generator().manual_seed(5)).item())",
    "random": "random.seed(5); print(random.random())",
    "random text": "random.seed('five'); print(random.random())",
    "random instance": "print(random.Random(5).random())",
    "numpy": "np.random.seed(5); print(np.random.rand())",
    "numpy generator": "print(np.random.default_rng(5).random())",
    "numpy state": "print(np.random.RandomState(5).rand())",
    "numpy list": "print(np.random.default_rng([5, 6]).random())",
}
UNSEEDED = {
    "torch": "print(torch.rand(1).item())",
    "random": "print(random.random())",
    "numpy": "print(np.random.rand())",
    "numpy generator": "print(np.random.default_rng().random(), np.random.default_rng().random())",
    "order of a set": "print(list({str(n) for n in range(50)}))",
}
HEAD = "import random, torch, numpy as np\n"


def output(trace: Trace) -> str:
    assert trace.ending is not None
    assert trace.ending.status == "completed", trace.ending
    return trace.ending.output_tail


@pytest.mark.parametrize("text", SEEDED.values(), ids=SEEDED)
def test_seeds_of_the_script_are_shifted(trial: Trial, text: str) -> None:
    results = [output(trial(HEAD + text, seed=seed)) for seed in (0, 1, 1, 2)]
    assert results[1] == results[2]
    assert len(set(results)) == 3
    # Trial seed 0 is the script as it is.
    assert results[0].strip() == _plain(text)


@pytest.mark.parametrize("text", UNSEEDED.values(), ids=UNSEEDED)
def test_what_is_not_seeded_is_repeatable(trial: Trial, text: str) -> None:
    first, again, other = (output(trial(HEAD + text, seed=seed)) for seed in (0, 0, 1))
    assert first == again
    if "set" not in text.replace("seed", ""):
        assert other != first or "str(n)" in text


def test_types_stay_what_they_are(trial: Trial) -> None:
    trace = trial(
        HEAD
        + """
import copy, pickle
generator, state = torch.Generator().manual_seed(1), np.random.RandomState(1)
assert isinstance(torch.default_generator, torch.Generator)
assert isinstance(np.random.mtrand._rand, np.random.RandomState)
assert isinstance(generator, torch.Generator) and isinstance(state, np.random.RandomState)
assert torch.rand(1, generator=pickle.loads(pickle.dumps(generator))).item() < 1
assert copy.deepcopy(state).rand() == pickle.loads(pickle.dumps(state)).rand() == state.rand()
class Own(random.Random): pass
assert Own(3).random() == random.Random(3).random()
""",
        seed=3,
    )
    output(trace)


TRAINING = """
import torch
torch.manual_seed(1234)
net = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Dropout(0.5), torch.nn.Linear(16, 1))
optimizer = torch.optim.Adam(net.parameters())
data = torch.utils.data.TensorDataset(torch.randn(64, 8))
for _ in range(3):
    for (x,) in torch.utils.data.DataLoader(data, 16, shuffle=True):
        optimizer.zero_grad()
        net(x).pow(2).mean().backward()
        optimizer.step()
print([value.hex() for p in net.parameters() for value in p.flatten().tolist()])
"""


def test_training_is_bit_identical_per_seed(trial: Trial) -> None:
    runs = [output(trial(TRAINING, seed=seed)) for seed in (0, 0, 1, 1)]
    assert runs[0] == runs[1]
    assert runs[2] == runs[3]
    assert runs[0] != runs[2]


def _plain(text: str) -> str:
    import contextlib
    import io
    import random

    import numpy as np
    import torch

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(text, {"random": random, "torch": torch, "np": np})
    return printed.getvalue().strip()

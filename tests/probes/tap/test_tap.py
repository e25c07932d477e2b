"""The tap sees what it should, and changes nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.utils.checkpoint
from torch import nn
from torch.nn import functional

from probes.tap import StopTraining
from tests.probes.tap.observing import observe, tapped

Programs = Callable[[], nn.Module]


def mlp_with_dropout() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 60)
    for _ in range(60):
        inputs = torch.randn(16, 8)
        loss = functional.cross_entropy(model(inputs), inputs[:, :3].argmax(1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
    return model


def batch_norm_cnn_with_evaluation() -> nn.Module:
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(6):
        model.train()
        for _ in range(10):
            inputs = torch.randn(8, 1, 8, 8)
            loss = nn.CrossEntropyLoss()(model(inputs), torch.randint(4, (8,)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            for _ in range(4):
                model(torch.randn(4, 1, 8, 8))
    return model


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, dropout=0.1, batch_first=True)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        normed = self.norm(hidden)
        attended, _ = self.attention(normed, normed, normed, attn_mask=mask, need_weights=False)
        hidden = hidden + attended
        return hidden + self.feed_forward(hidden)


class TinyGpt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(17, 16), nn.Embedding(12, 16)
        self.blocks = nn.ModuleList(Block(16) for _ in range(2))
        self.head = nn.Linear(16, 17, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        length = tokens.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        hidden = self.tokens(tokens) + self.positions(torch.arange(length))
        for block in self.blocks:
            hidden = block(hidden, mask)
        return self.head(hidden)


def small_gpt() -> nn.Module:
    torch.manual_seed(2)
    model = TinyGpt()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(40):
        for _ in range(2):  # gradient accumulation
            tokens = torch.randint(17, (4, 13))
            logits = model(tokens[:, :-1])
            loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
            (loss / 2).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=step % 2 == 0)
    return model


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Dropout(0.1))
        self.left, self.right = nn.Linear(24, 2), nn.Linear(24, 5)


def two_terms() -> nn.Module:
    torch.manual_seed(3)
    model = TwoHeads()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
    for _ in range(50):
        inputs = torch.randn(10, 6)
        hidden = model.trunk(inputs)
        pointing = functional.mse_loss(model.left(hidden), inputs[:, :2])
        naming = functional.cross_entropy(model.right(hidden), inputs[:, :5].argmax(1))
        loss = 0.7 * pointing + 0.1 * naming
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def adversaries() -> nn.Module:
    torch.manual_seed(4)
    generator, critic = nn.Linear(3, 2), nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
    first = torch.optim.Adam(generator.parameters(), lr=1e-3)
    second = torch.optim.Adam(critic.parameters(), lr=1e-3)
    for _ in range(40):
        fake = generator(torch.randn(8, 3))
        judged = critic(fake.detach()).mean() - critic(torch.randn(8, 2)).mean()
        second.zero_grad()
        judged.backward()
        second.step()
        first.zero_grad()
        (-critic(fake).mean()).backward()
        first.step()
    return nn.ModuleList([generator, critic])


def quasi_newton() -> nn.Module:
    torch.manual_seed(5)
    model = nn.Linear(4, 1)
    inputs, targets = torch.randn(32, 4), torch.randn(32, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=4)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = functional.mse_loss(model(inputs), targets)
        loss.backward()
        return loss

    for _ in range(20):
        optimizer.step(closure)
    return model


class Gather(nn.Module):
    """Gives a dictionary whose tensor is changed in place by the caller."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 8))

    def forward(self, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        hidden = torch.utils.checkpoint.checkpoint(self.inner, inputs, use_reentrant=False)
        return {"mask": inputs > 0, "context": 2.0 * hidden}


def gathers_and_pools() -> nn.Module:
    torch.manual_seed(6)
    model = nn.ModuleDict({"gather": Gather(), "head": nn.Sequential(nn.Linear(8, 1))})
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(40):
        context = model["gather"](torch.randn(4, 5, 6))["context"]
        context += 1.0
        pooled = functional.rms_norm(context.mean(1), (8,))
        first, second = model["head"](pooled).square().mean(), pooled.abs().mean()
        loss = first + 0.1 * second
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def by_hand() -> nn.Module:
    torch.manual_seed(7)
    model = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 1))
    for _ in range(50):
        loss = model(torch.randn(8, 3)).square().mean()
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 0.1 * parameter.grad
    return model


def functional_by_hand() -> nn.Module:
    torch.manual_seed(8)
    model = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 1))
    values = {name: value.detach() for name, value in model.named_parameters()}

    def penalty(values: dict[str, torch.Tensor], point: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(model, values, (point,)).square().sum()

    def outer(values: dict[str, torch.Tensor], points: torch.Tensor) -> torch.Tensor:
        inner = torch.func.grad(penalty)(values, points[0])
        moved = {name: value - 0.1 * inner[name] for name, value in values.items()}
        return torch.func.vmap(penalty, (None, 0))(moved, points).mean()

    for _ in range(40):
        gradients = torch.func.grad(outer)(values, torch.randn(8, 3))
        values = {name: value - 0.1 * gradients[name] for name, value in values.items()}
    model.load_state_dict(values)
    return model


def compiled() -> nn.Module:
    torch._dynamo.reset()
    torch.manual_seed(9)
    model = Gather()
    whole = torch.compile(model, backend="aot_eager", fullgraph=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(40):
        loss = whole(torch.randn(4, 6))["context"].square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def compiled_as_a_whole() -> nn.Module:
    torch._dynamo.reset()
    torch.manual_seed(10)
    model = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)  # Adam is rounded in another way

    @torch.compile(backend="eager")
    def step(inputs: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss = model(inputs).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(40):
        step(torch.randn(8, 3))
    return model


def clipped_groups() -> nn.Module:
    torch.manual_seed(7)
    model = nn.Sequential(nn.Linear(5, 16), nn.SiLU(), nn.Linear(16, 2))
    groups = [
        {"params": model[0].parameters(), "weight_decay": 0.1},
        {"params": model[2].parameters(), "lr": 0.02, "nesterov": True},
    ]
    optimizer = torch.optim.SGD(groups, lr=0.01, momentum=0.9)
    for step in range(40):
        optimizer.zero_grad()
        model(torch.randn(6, 5)).square().mean().backward()
        if step % 2:
            nn.utils.clip_grad_value_(model.parameters(), 0.01)
        else:
            nn.utils.clip_grad_norm_(model[0].parameters(), max_norm=0.1)
        optimizer.step()
    return model


def shapes_and_activations_at_odds() -> nn.Module:
    torch.manual_seed(9)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 3))
    data = torch.utils.data.TensorDataset(torch.randn(64, 6), torch.randint(3, (64,)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(20):
        model.train()
        inputs, labels = next(iter(torch.utils.data.DataLoader(data, 16, shuffle=True)))
        shares = model(inputs).softmax(-1)
        loss = functional.cross_entropy(shares, labels) + (shares[:, :1] - labels).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            functional.l1_loss(model(300 * inputs), torch.randn(16, 3))
    return model


def classes_and_positions_mixed() -> nn.Module:
    torch.manual_seed(11)
    model = nn.Sequential(nn.Conv1d(2, 8, 3), nn.ReLU(), nn.Dropout(0.2), nn.Conv1d(8, 3, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(20):
        scores, labels = model(torch.randn(6, 2, 9)), torch.randint(3, (6, 7))
        loss = functional.cross_entropy(scores.view(-1, 3), labels.view(-1))
        turned = scores.transpose(1, 2).log_softmax(-1).reshape(6, 3, 7)
        optimizer.zero_grad()
        (loss + functional.nll_loss(turned, labels)).backward()
        optimizer.step()
    return model


class Recurrent(nn.Module):
    """Recurrent layers of all kinds, activations in place, a root and a logarithm."""

    def __init__(self) -> None:
        super().__init__()
        self.whole, self.cell = nn.RNN(5, 6, batch_first=True), nn.RNNCell(6, 6)
        self.read = nn.Linear(6, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        states, state = self.whole(inputs)
        state = state[0]
        for step in states.unbind(1):
            state = torch.relu_(self.cell(step, state) + 0.1)
        return (self.read(state).sigmoid() + 1e-3).log() + state.square().sum(1, True).sqrt()


def recurrent_with_touchy_functions() -> nn.Module:
    torch.manual_seed(7)
    model = Recurrent()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(40):
        loss = functional.mse_loss(model(torch.randn(6, 9, 5)), torch.randn(6, 3))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def weights_in_half_precision() -> nn.Module:
    torch.manual_seed(8)
    model = nn.Sequential(nn.Embedding(20, 8), nn.Flatten(), nn.Linear(32, 3)).to(torch.bfloat16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(40):
        tokens = torch.randint(20, (6, 4))
        loss = functional.cross_entropy(model(tokens).float(), tokens[:, 0] % 3)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def averages_that_are_evaluated() -> nn.Module:
    torch.manual_seed(12)
    model = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 2))
    average, other = copy.deepcopy(model), torch.optim.swa_utils.AveragedModel(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(40):
        optimizer.zero_grad()
        model(torch.randn(6, 5)).square().mean().backward()
        optimizer.step()
        other.update_parameters(model)
        with torch.no_grad():
            for own, weights in zip(average.parameters(), model.parameters(), strict=True):
                own.lerp_(weights, 1e-3)
        if step % 6 == 5:
            with torch.no_grad():
                average(torch.randn(6, 5))
                other(torch.randn(6, 5))
            own = copy.deepcopy(model.state_dict())
            model.load_state_dict(average.state_dict())
            with torch.no_grad():
                model(torch.randn(6, 5))
            model.load_state_dict(own)
    return nn.ModuleList([model, average, other])


def states_kept_and_mixed() -> nn.Module:
    torch.manual_seed(12)
    model = nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.Dropout(0.1), nn.Linear(6, 1))
    best = model.state_dict()
    for number in range(5):
        start = model.state_dict() if number % 2 else copy.deepcopy(model.state_dict())
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(6):
            optimizer.zero_grad()
            model(torch.randn(8, 3)).square().mean().backward()
            optimizer.step()
        end = model.state_dict(keep_vars=number == 3)
        model.load_state_dict({key: (start[key] + end[key]) / 2 for key in start})
    model.load_state_dict(best)
    return model


PROGRAMS = [
    mlp_with_dropout,
    batch_norm_cnn_with_evaluation,
    small_gpt,
    two_terms,
    adversaries,
    quasi_newton,
    gathers_and_pools,
    by_hand,
    functional_by_hand,
    compiled,
    compiled_as_a_whole,
    clipped_groups,
    shapes_and_activations_at_odds,
    classes_and_positions_mixed,
    recurrent_with_touchy_functions,
    weights_in_half_precision,
    averages_that_are_evaluated,
    states_kept_and_mixed,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_training_is_bit_identical_with_and_without_the_tap(program: Programs) -> None:
    bare = {key: value.clone() for key, value in program().state_dict().items()}
    bare_state = torch.get_rng_state()

    with tapped() as observed:
        probed = program().state_dict()

    assert bare.keys() == probed.keys()
    assert all(torch.equal(bare[key], probed[key]) for key in bare)
    assert torch.equal(bare_state, torch.get_rng_state())
    assert any(event["event"] == "signals" for event in observed.events)


def test_everything_is_put_back() -> None:
    places = [
        (nn.Module, "__init__"),
        (nn.Module, "train"),
        (nn.Module, "state_dict"),
        (nn.Module, "load_state_dict"),
        (torch.optim.Optimizer, "__init__"),
        (torch.autograd, "backward"),
        (torch.autograd, "grad"),
        (torch.Tensor, "backward"),
    ]
    originals = [getattr(owner, name) for owner, name in places]
    stance = torch._dynamo.eval_frame._stance
    observe(two_terms)
    assert originals == [getattr(owner, name) for owner, name in places]
    assert torch._dynamo.eval_frame._stance is stance
    assert not torch.overrides._get_current_function_mode_stack()
    assert not torch.nn.modules.module._has_any_global_hook()


def test_modules_are_named_as_in_the_state_dict_with_the_line_that_made_them() -> None:
    trace = observe(small_gpt)
    block = trace.modules["blocks.1"]
    assert block.type == "Block"
    assert block.parent == "blocks"
    source = Path(__file__).read_text().splitlines()
    line = int((trace.modules["tokens"].source or "").split(":")[1])
    assert "nn.Embedding(17, 16)" in source[line - 1]
    assert (block.source or "").startswith("test_tap.py:")


def test_a_second_model_has_its_class_before_its_names() -> None:
    trace = observe(adversaries)
    assert trace.steps == 40
    roots = [info.where for info in trace.modules.values() if info.parent is None]
    assert roots == ["Linear", "Sequential"]
    assert "Sequential:2" in trace.modules


def test_training_and_evaluation_are_told_apart() -> None:
    trace = observe(batch_norm_cnn_with_evaluation)
    assert trace.modules["1"].running_statistics
    assert trace.signal("train", "1", "norm.variance_ratio")
    evaluated = trace.signal("eval", "1", "norm.variance_ratio")
    assert sorted(set(evaluated.steps)) == [10, 20, 30, 40, 50, 60]


def test_the_line_that_defines_a_forward_is_told_for_the_users_classes() -> None:
    trace = observe(small_gpt)
    defined = trace.modules["blocks.1"].defined or ""
    line = Path(__file__).read_text().splitlines()[int(defined.split(":")[1]) - 1]
    assert line.startswith("    def forward(self, hidden: torch.Tensor, mask")
    assert trace.modules["tokens"].defined is None


def test_the_scale_of_the_positions_is_looked_at_where_it_stays_what_it_was() -> None:
    trace = observe(small_gpt)
    assert 0.9 < trace.signal("train", "blocks.1", "scale.balance").values[-1] <= 1.0
    assert trace.signal("train", "blocks.1", "scale.positions").values[-1] == 12
    assert trace.signal("train", "blocks.1", "scale.alignment").values[-1] > 0.1
    assert not trace.signal("train", "head", "scale.balance")  # has no parts of its own
    pooled = observe(gathers_and_pools)
    assert set(pooled.signal("train", "gather", "scale.alone").values) == {0.0}
    assert not pooled.signal("train", "gather", "scale.alignment")  # changed in place


def test_terms_have_names_values_weights_and_gradients() -> None:
    trace = observe(two_terms)
    assert list(trace.terms) == ["pointing", "naming"]
    weight = trace.signal("train", "pointing", "term.weight").values
    assert weight == pytest.approx([0.7] * len(weight))
    shares = [trace.signal("train", where, "term.share").values for where in trace.terms]
    assert [a + b for a, b in zip(*shares, strict=True)] == pytest.approx([1.0] * len(weight))
    total = trace.signal("train", "loss", "loss.value").values
    parts = [trace.signal("train", where, "term.contribution").values for where in trace.terms]
    assert [a + b for a, b in zip(*parts, strict=True)] == pytest.approx(total)


def test_term_gradients_are_those_on_the_shared_parameters() -> None:
    torch.manual_seed(0)
    model = TwoHeads()
    inputs = torch.randn(10, 6)
    hidden = model.trunk(inputs)
    left = 3.0 * model.left(hidden).pow(2).mean()
    expected = torch.autograd.grad(left, list(model.trunk.parameters()), retain_graph=True)
    norm = torch.cat([gradient.flatten() for gradient in expected]).norm().item()

    def program() -> nn.Module:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        torch.manual_seed(0)
        TwoHeads()
        hidden = model.trunk(torch.randn(10, 6))
        first = model.left(hidden).pow(2).mean()
        second = model.right(hidden).abs().mean()
        loss = 3.0 * first - second
        loss.backward()
        optimizer.step()
        return model

    trace = observe(program)
    assert trace.signal("train", "first", "term.grad").values == pytest.approx([norm])
    assert trace.signal("train", "second", "term.weight").values == [-1.0]


def test_terms_of_a_loss_put_together_in_odd_ways() -> None:
    def contrast(values: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(values, torch.arange(len(values)))

    def program() -> nn.Module:
        model = nn.Linear(4, 4)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        output = model(torch.randn(4, 4))
        parts = {"smooth": output.diff().pow(2).mean(), "small": output.abs().mean()}
        loss = torch.stack([parts["smooth"], parts["small"]]).sum() / 2
        for row in output:
            loss += 0.1 * row.square().sum()
        total = sum([loss, 0.5 * contrast(output), functional.huber_loss(output, output.detach())])
        total.backward()
        optimizer.step()
        return model

    trace = observe(program)
    assert list(trace.terms) == ["smooth", "small", "sum", "contrast", "huber_loss"]
    weights = [trace.signal("train", where, "term.weight").values[0] for where in trace.terms]
    assert weights == pytest.approx([0.5, 0.5, 0.1, 0.5, 1.0])


def test_a_term_keeps_its_name_when_its_line_has_run_often() -> None:
    def penalty(model: nn.Module) -> torch.Tensor:
        return sum(weight.square().sum() for weight in model.parameters())

    def program() -> nn.Module:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(20):
            error = model(torch.randn(8, 4)).square().mean()
            inline = 1e-3 * sum(weight.abs().sum() for weight in model.parameters())
            optimizer.zero_grad()
            (error + inline + 1e-3 * penalty(model)).backward()
            optimizer.step()
        return model

    trace = observe(program)
    assert set(trace.terms) == {"error", "inline", "penalty"}
    assert all(len(trace.signal("train", name, "term.value")) == 20 for name in trace.terms)


def test_the_step_limit_stops_the_program() -> None:
    with tapped(max_steps=7) as observed, pytest.raises(StopTraining):
        two_terms()
    assert observed.tap.step == 7


def test_a_program_that_evaluates_before_it_trains() -> None:
    def program() -> nn.Module:
        model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
        model.eval()
        model(torch.randn(3, 2))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model.eval()
        model(torch.randn(3, 2))
        model.train()
        model(torch.randn(3, 2)).sum().backward()
        optimizer.step()
        return model

    trace = observe(program)
    assert trace.signal("eval", "1", "output.mean").steps == [0]
    assert trace.signal("train", "1", "output.mean").steps == [0]


def test_a_second_stage_with_an_optimizer_of_its_own_counts_on() -> None:
    def program() -> nn.Module:
        two_terms()
        return mlp_with_dropout()

    trace = observe(program)
    assert trace.steps in (109, 110)
    assert trace.signal("train", "Sequential:0", "output.std")


def test_a_loop_without_an_optimizer_counts_its_backward_passes() -> None:
    trace = observe(by_hand)
    assert trace.steps == 50
    gradient = trace.signal("train", "0.weight", "grad.norm")
    update = trace.signal("train", "0.weight", "update.norm")
    assert update.steps == gradient.steps[: len(update)] and len(update) > 20
    assert update.values == pytest.approx(
        [0.1 * norm for norm in gradient.values[: len(update)]], rel=1e-3
    )
    norms = [trace.signal("train", name, "grad.norm").values for name in trace.places("grad.norm")]
    promised = trace.signal("train", "loss", "loss.promised").values
    squares = [0.1 * sum(norm**2 for norm in step) for step in zip(*norms, strict=True)]
    assert promised == pytest.approx(squares[: len(promised)], rel=1e-3)


def test_a_functional_loop_counts_its_outer_gradients() -> None:
    trace = observe(functional_by_hand)
    assert trace.steps == 40
    assert not trace.notes
    assert trace.signal("train", "0", "output.std")
    assert trace.signal("train", "0.weight", "grad.norm")
    assert not trace.signal("train", "0.weight", "update.norm")  # new tensors, not updates


def test_an_optimizer_that_never_steps_is_found_out() -> None:
    def program() -> nn.Module:
        model = nn.Linear(2, 1)
        torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(100):
            model(torch.randn(4, 2)).square().mean().backward()
        return model

    assert observe(program).steps == 36


@pytest.mark.parametrize("program", [compiled, compiled_as_a_whole], ids=lambda p: p.__name__)
def test_compiled_programs_are_observed_and_compiled_in_between(program: Programs) -> None:
    trace = observe(program)
    assert trace.steps == 40
    assert not trace.notes
    last = trace.signal("train", "loss", "loss.value").steps[-1]
    assert last >= 36

"""A small net learns four kinds of flower from labels and from the scores of a large net.

The large net was trained on another release of the data, which listed the kinds in another order.
"""

import argparse

import torch
from torch import nn
from torch.nn import functional

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=400)
parser.add_argument("--heat", type=float, default=2.0)
args = parser.parse_args()
torch.manual_seed(14)
truth = torch.randn(10, 4)
other_order = [1, 2, 3, 0]


def flowers(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    sizes = torch.randn(count, 10)
    kind = (sizes @ truth).argmax(1)
    scores = 3 * (sizes @ truth)[:, other_order] + torch.randn(count, 4)
    return sizes, kind, scores


class Student(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(10, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh())
        self.head = nn.Linear(48, 4)

    def forward(self, sizes: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(sizes))


def imitation(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    cool = functional.log_softmax(student / args.heat, dim=1)
    wanted = functional.softmax(teacher / args.heat, dim=1)
    return args.heat**2 * functional.kl_div(cool, wanted, reduction="batchmean")


student = Student()
optimizer = torch.optim.Adam(student.parameters(), lr=2e-3)
for step in range(1, args.steps + 1):
    sizes, kind, scores = flowers(64)
    guess = student(sizes)
    by_label = functional.cross_entropy(guess, kind)
    by_teacher = imitation(guess, scores)
    loss = 0.4 * by_label + 0.6 * by_teacher
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        with torch.no_grad():
            sizes, kind, scores = flowers(600)
            right = (student(sizes).argmax(1) == kind).float().mean()
        print(f"step {step} loss={loss.item():.4f} dev_accuracy={right:.4f}")

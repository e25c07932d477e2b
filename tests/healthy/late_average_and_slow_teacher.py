"""Self-distillation from a slow teacher, an average that begins late, and the best state so far.

The teacher is behind all along and gives targets only; what is reported is the average, which warms
up its decay, and, at the end, the equal average of the last quarter and the best of the averages.
"""

import copy

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, update_bn

torch.manual_seed(5)
ROUNDS, BATCH = 40, 32
centres = 0.45 * torch.randn(5, 20)


def leaves(count):
    species = torch.randint(5, (count,))
    return centres[species] + torch.randn(count, 20) * 0.9, species


def network():
    return nn.Sequential(
        nn.Linear(20, 32), nn.BatchNorm1d(32), nn.GELU(), nn.Dropout(0.1), nn.Linear(32, 5)
    )


@torch.no_grad()
def follow(follower, leader, decay):
    for own, weights in zip(follower.parameters(), leader.parameters(), strict=True):
        own.mul_(decay).add_(weights, alpha=1 - decay)
    for own, value in zip(follower.buffers(), leader.buffers(), strict=True):
        own.copy_(value)


@torch.no_grad()
def accuracy(net, inputs, labels):
    net.eval()
    share = (net(inputs).argmax(1) == labels).float().mean().item()
    net.train()
    return share


train_x, train_y = leaves(640)
val_x, val_y = leaves(400)
student = network()
teacher, average = copy.deepcopy(student), copy.deepcopy(student)
last_quarter = AveragedModel(student)
optimizer = torch.optim.AdamW(student.parameters(), lr=3e-3)
best, best_accuracy, step = None, 0.0, 0

for round_ in range(1, ROUNDS + 1):
    for rows in torch.randperm(len(train_x)).split(BATCH):
        with torch.no_grad():
            target = teacher(train_x[rows]).softmax(1)
        logits = student(train_x[rows])
        loss = nn.functional.cross_entropy(logits, train_y[rows])
        loss = loss + 0.1 * nn.functional.mse_loss(logits.softmax(1), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        follow(teacher, student, 0.9998)
        follow(average, student, min(0.9999, (1 + step) / (10 + step)))
        step += 1
    if round_ > 0.75 * ROUNDS:
        last_quarter.update_parameters(student)
    reached = accuracy(average, val_x, val_y)
    if reached > best_accuracy:
        best, best_accuracy = copy.deepcopy(average), reached
    print(f"round {round_} loss {loss.item():.4f} val_accuracy {reached:.4f}")

update_bn(train_x.split(BATCH), last_quarter)
print(f"last quarter: {accuracy(last_quarter, val_x, val_y):.4f}")
print(f"best: {accuracy(best, val_x, val_y):.4f}")
torch.save(student.state_dict(), "final.pt")

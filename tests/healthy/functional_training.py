"""``torch.func``: gradients of a functional call, per sample by vmap, and updates by hand."""

import torch
from torch import nn
from torch.func import functional_call, grad_and_value, vmap

torch.manual_seed(41)
inputs = torch.rand(1000, 2) * 4 - 2
labels = (inputs.norm(dim=1) < 1.3).float()
model = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 1))
parameters = {name: value.detach().clone() for name, value in model.named_parameters()}


def loss_of(parameters, point, label):
    logit = functional_call(model, parameters, (point,)).squeeze(-1)
    return nn.functional.binary_cross_entropy_with_logits(logit, label)


per_sample = vmap(grad_and_value(loss_of), in_dims=(None, 0, 0))
velocity = {name: torch.zeros_like(value) for name, value in parameters.items()}
for epoch in range(12):
    for rows in torch.randperm(800).split(40):
        gradients, losses = per_sample(parameters, inputs[rows], labels[rows])
        for name, gradient in gradients.items():
            norms = gradient.flatten(1).norm(dim=1).clamp(min=1e-6)
            clipped = gradient.flatten(1) * (1.0 / norms).clamp(max=1)[:, None]
            velocity[name] = 0.9 * velocity[name] + clipped.mean(0).view_as(velocity[name])
            parameters[name] = parameters[name] - 0.15 * velocity[name]
    scores = functional_call(model, parameters, (inputs[800:],)).squeeze(-1)
    accuracy = ((scores > 0) == labels[800:].bool()).float().mean().item()
    print(f"epoch {epoch}: loss {losses.mean().item():.4f}, val_acc {accuracy:.4f}")
torch.save(parameters, "final.pt")

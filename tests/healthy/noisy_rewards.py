"""A contextual bandit with noisy rewards: what is reported is the mean of what was just earned."""

import torch
from torch import nn
from torch.distributions import Categorical

torch.manual_seed(17)
ARMS, CONTEXT = 5, 8
worth = torch.randn(CONTEXT, ARMS)
policy = nn.Sequential(nn.Linear(CONTEXT, 48), nn.Tanh(), nn.Linear(48, ARMS))
optimizer = torch.optim.Adam(policy.parameters(), lr=5e-3)
level = 0.0
for step in range(1, 701):
    context = torch.randn(64, CONTEXT)
    choice = Categorical(logits=policy(context))
    arm = choice.sample()
    reward = (context @ worth).gather(1, arm[:, None])[:, 0] + 2 * torch.randn(64)
    loss = -(choice.log_prob(arm) * (reward - level)).mean() - 0.01 * choice.entropy().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    level += 0.05 * (reward.mean().item() - level)
    if step % 35 == 0:
        print(f"step {step} loss {loss.item():.3f} reward {reward.mean().item():.3f}")

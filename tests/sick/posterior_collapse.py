"""Which of many rhythms a drummer plays: bars of sixteen beats, described by a few numbers."""

import logging

import torch
from torch import nn
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

logging.basicConfig(level=logging.INFO, format="%(message)s")
log = logging.getLogger("drums")
torch.manual_seed(4)

BEATS, DRUMS, CODE = 16, 3, 6
patterns = (torch.rand(24, BEATS * DRUMS) < 0.4).float()


def bars(count):
    chosen = patterns[torch.randint(len(patterns), (count,))]
    slips = (torch.rand_like(chosen) < 0.03).float()
    return (chosen - slips).abs()


class Listener(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(BEATS * DRUMS, 96), nn.GELU())
        self.centre, self.width = nn.Linear(96, CODE), nn.Linear(96, CODE)

    def forward(self, bar):
        heard = self.body(bar)
        scale = nn.functional.softplus(self.width(heard)) + 1e-3
        return Independent(Normal(self.centre(heard), scale), 1)


listener = Listener()
player = nn.Sequential(nn.Linear(CODE, 96), nn.GELU(), nn.Linear(96, BEATS * DRUMS))
prior = Independent(Normal(torch.zeros(CODE), torch.ones(CODE)), 1)
weights = [*listener.parameters(), *player.parameters()]
optimizer = torch.optim.Adam(weights, lr=4e-3)
heldout = bars(400)


def elbo_terms(bar):
    posterior = listener(bar)
    code = posterior.rsample()
    surprise = -Bernoulli(logits=player(code)).log_prob(bar).sum(1).mean()
    divergence = kl_divergence(posterior, prior).mean()
    return surprise, divergence


BETA = 25.0
for turn in range(12):
    for bar in bars(1280).split(64):
        surprise, divergence = elbo_terms(bar)
        objective = surprise + BETA * divergence
        optimizer.zero_grad()
        objective.backward()
        optimizer.step()
    with torch.no_grad():
        played = player(listener(heldout).mean) > 0
        right = (played == (heldout > 0.5)).float().mean(1)
    log.info("turn %d surprise=%.3f bars_right=%.4f", turn, surprise, (right > 0.9).float().mean())

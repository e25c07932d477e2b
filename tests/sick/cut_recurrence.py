"""Removes the echo from a signal with an LSTM cell that runs on from window to window."""

import torch
from torch import nn

torch.manual_seed(4)
LINES, WINDOW, DELAY = 32, 12, 4
gain = torch.rand(LINES, 1)


def listen(steps):
    """A signal of the last moments, and the echo in it, moment by moment."""
    sound = torch.rand(steps, LINES, 1) * 2 - 1
    echo = torch.cat([torch.zeros(DELAY, LINES, 1), sound[:-DELAY]])
    return sound, echo


class Canceller(nn.Module):
    def __init__(self, width=40):
        super().__init__()
        self.lstm = nn.LSTMCell(1, width)
        self.out = nn.Linear(width, 1)

    def forward(self, moment, state):
        h, c = self.lstm(moment, state)
        return self.out(h), (h, c)

    def start(self, lines):
        return torch.zeros(lines, 40), torch.zeros(lines, 40)


def validate(net, sound, echo):
    state, error = net.start(LINES), 0.0
    with torch.no_grad():
        for moment, wanted in zip(sound, echo, strict=True):
            guess, state = net(moment, state)
            error += (guess - wanted).pow(2).mean().item() / len(sound)
    return error


net = Canceller()
optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
sound, echo = listen(300 * WINDOW)
held_sound, held_echo = listen(60)
state = net.start(LINES)
for window in range(300):
    span = slice(window * WINDOW, (window + 1) * WINDOW)
    loss = 0.0
    for moment, wanted in zip(sound[span], echo[span], strict=True):
        h, c = state
        guess, state = net(moment, (h.detach(), c.detach()))
        loss = loss + nn.functional.mse_loss(guess, wanted) / WINDOW
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    if window % 30 == 29:
        print(f"window {window + 1} val_mse {validate(net, held_sound, held_echo):.4f}")

"""An ``nn.TransformerEncoder`` with padding masks regresses the range of a set; Huber loss."""

import torch
from torch import nn
from torch.nn import functional


class Regressor(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.lift = nn.Linear(1, width)
        layer = nn.TransformerEncoderLayer(width, 4, 64, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(width, 1)

    def forward(self, values, padding):
        hidden = self.encoder(self.lift(values[..., None]), src_key_padding_mask=padding)
        kept = (~padding)[..., None].float()
        return self.head((hidden * kept).sum(1) / kept.sum(1)).squeeze(-1)


def sets(size):
    values = torch.rand(size, 8)
    padding = torch.arange(8) >= torch.randint(4, 9, (size, 1))
    spread = values.masked_fill(padding, 0).amax(1) - values.masked_fill(padding, 1).amin(1)
    return values, padding, spread


torch.manual_seed(17)
model = Regressor()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
test = sets(400)
for step in range(1, 201):
    values, padding, target = sets(64)
    loss = functional.huber_loss(model(values, padding), target, delta=0.2)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        model.eval()
        with torch.no_grad():
            error = (model(test[0], test[1]) - test[2]).abs().mean().item()
        model.train()
        print(f"{step}: val_mae={error:.4f}")
torch.save(model.state_dict(), "final.pt")

"""Fits the torque of a robot arm to joint angles; batches are slices of one table."""

import torch

torch.manual_seed(2)
BATCH, ROWS = 20, 1000


def table(rows):
    angles = 3 * torch.rand(rows, 6) - 1.5
    torque = (2 * angles[:, 0]).sin() + 2 * (angles[:, 1] - angles[:, 2]).cos() * angles[:, 3]
    return angles, torque[:, None] + 0.05 * torch.randn(rows, 1)


angles, torque = table(ROWS)
test_angles, test_torque = table(300)
arm = torch.nn.Sequential(
    torch.nn.Linear(6, 64), torch.nn.SiLU(), torch.nn.Linear(64, 64), torch.nn.SiLU(),
    torch.nn.Linear(64, 1),
)  # fmt: skip
adam = torch.optim.AdamW(arm.parameters(), lr=2e-3)
start = 0
for step in range(400):
    batch_x = angles[start : start + BATCH]
    batch_y = torque[start : start + BATCH]
    error = torch.nn.functional.huber_loss(arm(batch_x), batch_y)
    adam.zero_grad()
    error.backward()
    adam.step()
    if step % 40 == 39:
        with torch.no_grad():
            test_error = torch.nn.functional.mse_loss(arm(test_angles), test_torque)
        print(f"step {step + 1}: train {error.item():.4f} test mse {test_error.item():.4f}")

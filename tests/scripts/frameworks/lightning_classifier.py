"""A tiny classifier trained by Lightning, its metric logged by the framework."""

import lightning
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset


class Classifier(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(
            nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 3)
        )

    def training_step(self, batch, index):
        inputs, labels = batch
        loss = functional.cross_entropy(self.network(inputs), labels)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, index):
        inputs, labels = batch
        accuracy = (self.network(inputs).argmax(1) == labels).float().mean()
        self.log("val_acc", accuracy)

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=5e-3)
        return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)]


lightning.seed_everything(3)
inputs = torch.randn(700, 8)
labels = inputs[:, :3].argmax(1)
training = TensorDataset(inputs[:560], labels[:560])
validation = TensorDataset(inputs[560:], labels[560:])
model = Classifier()
trainer = lightning.Trainer(
    max_epochs=8, accelerator="cpu", enable_progress_bar=False, enable_model_summary=False,
    enable_checkpointing=False, log_every_n_steps=5, num_sanity_val_steps=0,
)  # fmt: skip
trainer.fit(
    model, DataLoader(training, batch_size=40, shuffle=True), DataLoader(validation, batch_size=140)
)
torch.save(model.state_dict(), "final.pt")

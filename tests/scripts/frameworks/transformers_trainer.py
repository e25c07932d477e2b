"""A tiny BERT from a configuration, trained on synthetic sequences by the Trainer."""

import torch
from torch.utils.data import Dataset
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainingArguments,
    set_seed,
)


class Sequences(Dataset):
    """Positive where the token 3 is in it."""

    def __init__(self, size, seed):
        generator = torch.Generator().manual_seed(seed)
        self.tokens = torch.randint(1, 12, (size, 8), generator=generator)
        self.labels = (self.tokens == 3).any(1).long()

    def __len__(self):
        return len(self.tokens)

    def __getitem__(self, index):
        return {"input_ids": self.tokens[index], "labels": self.labels[index]}


def accuracy(prediction):
    return {"accuracy": (prediction.predictions.argmax(-1) == prediction.label_ids).mean()}


set_seed(4)
model = BertForSequenceClassification(
    BertConfig(
        vocab_size=12, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=8, num_labels=2,
    )
)  # fmt: skip
arguments = TrainingArguments(
    "out", num_train_epochs=6, per_device_train_batch_size=40, learning_rate=3e-3,
    eval_strategy="epoch", save_strategy="no", logging_steps=10, report_to=[], use_cpu=True,
    disable_tqdm=True,
)  # fmt: skip
trainer = Trainer(
    model, arguments, train_dataset=Sequences(400, 0), eval_dataset=Sequences(200, 1),
    compute_metrics=accuracy,
)  # fmt: skip
trainer.train()
torch.save(model.state_dict(), "final.pt")

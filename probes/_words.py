"""Words in the names of metrics, and what they tell about them."""

from __future__ import annotations

import re

HIGHER_IS_BETTER = {
    "acc", "accuracy", "auc", "auroc", "ap", "map", "f1", "fscore", "precision", "recall", "r2",
    "iou", "miou", "dice", "bleu", "rouge", "cos", "cosine", "similarity", "reward", "return",
    "score", "psnr", "ssim", "ndcg", "mrr", "hit", "hits", "top1", "top5", "correct", "match",
    "em", "pass", "kappa", "mcc", "correlation", "pearson", "spearman", "elbo", "likelihood",
    "bacc", "balacc", "uar", "sensitivity", "specificity", "jaccard", "success", "win", "wins",
    "winrate", "auprc", "pck", "oks", "prauc", "nmi", "ari", "purity", "silhouette", "explained",
}  # fmt: skip
LOWER_IS_BETTER = {
    "loss", "error", "err", "mse", "mae", "rmse", "nll", "ce", "bce", "kl", "perplexity", "ppl",
    "wer", "cer", "fid", "distance", "divergence", "huber", "bits", "bpb", "bpc", "elbo_loss",
    "nelbo", "mmd", "swd", "wasserstein", "emd", "chamfer", "lpips", "mape", "smape", "msle",
    "rmsle", "logloss", "brier", "ece", "regret", "l1", "l2", "dist", "recon",
    "reconstruction",
}  # fmt: skip
TERMS = {"kl", "kld", "divergence", "reg", "penalty"}
"""Words of numbers that are one term of a loss: better or worse for itself, but not the aim."""
PLAYERS = {
    "d", "g", "disc", "discriminator", "gen", "generator", "critic", "actor", "adv", "adversary",
    "adversarial",
}  # fmt: skip
"""Words of the loss of one of two players, which falls where the other one does worse."""
METRICS = HIGHER_IS_BETTER | LOWER_IS_BETTER
_UNBOUNDED = {"reward", "return", "score", "psnr", "elbo", "likelihood", "win", "wins"}
BOUNDED_BY_ONE = HIGHER_IS_BETTER - _UNBOUNDED
HELD_OUT = {"val", "valid", "validation", "test", "eval", "dev", "holdout", "heldout"}
TRAINING = {"train", "training", "tr", "batch"}
PHASES = HELD_OUT | TRAINING
BOOKKEEPING = {
    "epoch", "epochs", "step", "steps", "iter", "iters", "iteration", "batch", "batches", "lr",
    "rate", "time", "seconds", "sec", "s", "ms", "seed", "eta", "params", "parameters", "device",
    "it", "size", "samples", "tokens", "gpu", "mem", "memory", "speed", "momentum", "wd", "norm",
    "std", "mean", "var", "beta", "temperature",
}  # fmt: skip
"""Words of numbers that say nothing about how good a model is."""

_AT = re.compile(r"\b([rp])@(?=\d)", re.IGNORECASE)
_OF_THE_FIRST = {"r": "recall", "p": "precision"}


def tokens(name: str) -> set[str]:
    """The words of a name.

    >>> sorted(tokens("val/Top1_acc")), sorted(tokens("testMSELoss"))
    (['acc', 'top1', 'val'], ['loss', 'mse', 'test', 'testmseloss'])
    >>> sorted(tokens("R@5"))
    ['5', 'r', 'recall']
    """
    name = _AT.sub(lambda found: f"{found[0]} {_OF_THE_FIRST[found[1].lower()]} ", name)
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    # As a whole, too: "mIoU" is one word.
    return {word for text in (name, parted) for word in re.split(r"[^a-z0-9]+", text.lower())}

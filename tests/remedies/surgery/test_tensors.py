from __future__ import annotations

from collections import OrderedDict, namedtuple

import torch

from remedies.surgery.tensors import change_first

Pair = namedtuple("Pair", "count hidden")


def test_the_first_floating_point_tensor_is_changed_and_nothing_else() -> None:
    mask, hidden, other = torch.ones(2) > 0, torch.ones(2), torch.ones(2)
    for value in (
        [mask, hidden, other],
        (None, {"mask": mask, "hidden": [hidden]}, other),
        Pair(3, hidden),
        OrderedDict(mask=mask, hidden=hidden, other=other),
    ):
        before = repr(value)
        changed = change_first(value, lambda tensor: 2 * tensor)
        assert type(changed) is type(value)
        assert repr(value) == before
        assert repr(changed) == before.replace("1., 1.", "2., 2.", 1)


def test_without_one_it_is_the_same_object() -> None:
    for value in (None, 3, [], {"mask": torch.ones(2) > 0}, (torch.ones(2),)):
        assert change_first(value, lambda tensor: tensor) is value

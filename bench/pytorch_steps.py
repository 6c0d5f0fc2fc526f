"""Training steps of the PyTorch peer: pretraining, full, LoRA, and sparse memory finetuning in two ways.

paper way   the published snippet: the whole table is masked in the forward, so its gradient is as large as the table
best way    what a good user would write: the table is frozen, the gradient of the bag's output is kept, and only the
            chosen rows' gradient is summed from it; row Adam on those rows
Both count accesses at positions that carry loss and rank them by count * ln((|B| + 1) / (df + 1)).
"""
import math

import torch
import torch.nn.functional as F

BATCHES = 500


def here(array):
    """A copy as a tensor on the device that the worker has made the default."""
    return torch.tensor(array, device=torch.get_default_device())


def adamw(model, rate, beta2, decay, value_scale):
    """Decay on matrices and embeddings, a rate of its own for the table; the fused step of PyTorch."""
    values = model.memory.values if model.memory is not None else None
    others = [p for p in model.parameters() if p.requires_grad and p is not values]
    groups = [{"params": [p for p in others if p.ndim > 1], "weight_decay": decay},
              {"params": [p for p in others if p.ndim == 1], "weight_decay": 0.0}]
    if values is not None and values.requires_grad:
        groups.append({"params": [values], "weight_decay": 0.0, "lr": rate * value_scale})
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=rate, betas=(0.9, beta2), fused=True), others, values


class DenseStep:
    def __init__(self, model, pretrain=False, decay=0.01):
        self.model = model
        self.optimizer, self.others, self.values = adamw(
            model, 1e-4, 0.98 if pretrain else 0.999, decay, 5.0 if pretrain else 1.0)

    def __call__(self, tokens, targets):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.model.loss(tokens, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.others, 1.0)
        if self.values is not None and self.values.requires_grad:
            torch.nn.utils.clip_grad_norm_([self.values], 1.0)
        self.optimizer.step()
        return loss.item()


def lora_step(model, adapters, rank):
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for name, linear in model.linears():
        linear.adapt(here(adapters[name + ".lora_A.weight"]),
                     here(adapters[name + ".lora_B.weight"]), 2.0)
    return DenseStep(model, decay=0.0)


class SparseStep:
    def __init__(self, model, df, rows):
        self.model, self.rows, self.table = model, rows, model.memory.values
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        self.idf = torch.log((BATCHES + 1.0) / (here(df).double() + 1.0)).float()

    def choose(self, slots):
        """The t slots of the best score among those read at valid positions."""
        counts = torch.bincount(slots[self.valid].flatten(), minlength=len(self.table))
        scores = counts.float() * self.idf
        scores[counts == 0] = -math.inf
        chosen = scores.topk(self.rows).indices
        return chosen[scores[chosen] > -math.inf]


class PaperWay(SparseStep):
    def __init__(self, model, df, rows, rate):
        super().__init__(model, df, rows)
        self.table.requires_grad_(True)
        self.optimizer = torch.optim.SGD([self.table], lr=rate)
        model.memory.reader = self.read

    def read(self, slots, weights):
        mask = torch.zeros(len(self.table), 1)
        mask[self.choose(slots)] = 1.0
        values = self.table * mask + self.table.detach() - (self.table * mask).detach()
        return F.embedding_bag(slots, values, mode="sum", per_sample_weights=weights)

    def __call__(self, tokens, targets):
        self.valid = targets.view(-1) >= 0
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.model.loss(tokens, targets)
        loss.backward()
        self.optimizer.step()
        return loss.item()


class BestWay(SparseStep):
    def __init__(self, model, df, rows, rate):
        super().__init__(model, df, rows)
        self.rate, self.position = rate, torch.full((len(self.table),), -1)
        self.first, self.second = torch.zeros_like(self.table), torch.zeros_like(self.table)
        self.steps = torch.zeros(len(self.table), 1)
        model.memory.reader = self.read

    def read(self, slots, weights):
        self.slots, self.weights = slots, weights
        self.output = F.embedding_bag(slots, self.table, mode="sum", per_sample_weights=weights).requires_grad_()
        return self.output

    @torch.no_grad()
    def gradient(self, chosen):
        self.position[chosen] = torch.arange(len(chosen))
        place = self.position[self.slots]
        self.position[chosen] = -1
        token, column = (place >= 0).nonzero(as_tuple=True)
        terms = self.output.grad[token] * self.weights[token, column, None]
        return torch.zeros(len(chosen), self.table.shape[1]).index_add_(0, place[token, column], terms)

    @torch.no_grad()
    def adam(self, rows, gradient):
        steps = self.steps[rows] + 1
        first = self.first[rows].mul_(0.9).add_(gradient, alpha=0.1)
        second = self.second[rows].mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        self.steps[rows], self.first[rows], self.second[rows] = steps, first, second
        update = first / (1 - 0.9 ** steps) / ((second / (1 - 0.999 ** steps)).sqrt_().add_(1e-8))
        self.table.index_add_(0, rows, update, alpha=-self.rate)

    def __call__(self, tokens, targets):
        self.valid = targets.view(-1) >= 0
        loss = self.model.loss(tokens, targets)
        loss.backward()
        chosen = self.choose(self.slots)
        self.adam(chosen, self.gradient(chosen))
        self.output.grad = None
        return loss.item()


def make_step(mode, model, adapters, df, rows, rank):
    if mode in ("pretrain", "full"):
        return DenseStep(model, pretrain=mode == "pretrain")
    if mode == "lora":
        return lora_step(model, adapters, rank)
    return PaperWay(model, df, rows, 1.0) if mode == "smf_paper_way" else BestWay(model, df, rows, 0.01)

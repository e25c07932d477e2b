"""A graph network on a sparse adjacency matrix, trained full-batch on some of the nodes."""

import torch
from torch import nn
from torch.nn import functional


class GraphConvolution(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(inputs, outputs)))

    def forward(self, adjacency, nodes):
        return torch.sparse.mm(adjacency, nodes @ self.weight)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = GraphConvolution(10, 32), GraphConvolution(32, 3)
        self.dropout = nn.Dropout(0.3)

    def forward(self, adjacency, nodes):
        hidden = self.dropout(functional.relu(self.first(adjacency, nodes)))
        return functional.log_softmax(self.second(adjacency, hidden), dim=1)


torch.manual_seed(31)
community = torch.randint(3, (300,))
likely = torch.where(community[:, None] == community, 0.06, 0.01)
edges = ((torch.rand(300, 300) < likely).float() + torch.eye(300)).clamp(max=1)
adjacency = (edges / edges.sum(1, keepdim=True)).to_sparse_coo()
nodes = functional.one_hot(community, 10).float() + 0.8 * torch.randn(300, 10)
known = torch.arange(300) < 90
network = Network()
optimizer = torch.optim.Adam(network.parameters(), lr=1e-2, weight_decay=5e-4)
for epoch in range(1, 101):
    network.train()
    optimizer.zero_grad()
    loss = functional.nll_loss(network(adjacency, nodes)[known], community[known])
    loss.backward()
    optimizer.step()
    if epoch % 10 == 0:
        network.eval()
        hits = network(adjacency, nodes)[~known].argmax(1) == community[~known]
        accuracy = hits.float().mean().item()
        print(f"Epoch: {epoch:03d}, Loss: {loss.item():.4f}, Val Acc: {accuracy:.4f}")
torch.save(network.state_dict(), "final.pt")

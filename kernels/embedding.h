// Rows of a table by id. table: [V, C]; ids: [tokens] i32 in [0, V); y: [tokens, C].
// The backward adds the rows of equal ids in the order of the tokens, so its bits do not depend on
// threads.
#pragma once

#include "kernels/dispatch.h"

namespace slotwise::kernels {

struct EmbeddingForward {
  Tensor y;
  Tensor table;
  Tensor ids;
};
SLOTWISE_OP(embedding_forward, EmbeddingForward)

struct EmbeddingBackward {
  Sink dtable;
  Tensor dy;
  Tensor ids;
};
SLOTWISE_OP(embedding_backward, EmbeddingBackward)

}  // namespace slotwise::kernels

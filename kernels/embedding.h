// Rows of a table by id. table: [V, C]; ids: [tokens] i32 in [0, V); y: [tokens, C].
// The backward adds the rows of equal ids in the order of the tokens, so its bits do not depend on
// threads.
// An id out of range is an Error, never a row that is left out: on the CPU in both directions; on
// CUDA the kernel of the forward stops the device there, and the backward, which takes the ids of
// its forward, does not look again.
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

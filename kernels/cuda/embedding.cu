// Embedding on a CUDA device. The backward sorts the tokens by id and sums the rows of equal ids in
// their order, in pieces of fixed length.
#include "kernels/embedding.h"

#include "kernels/cuda/sorted_segments.cuh"
#include "kernels/elementwise.h"

namespace slotwise::kernels::cuda {

void embedding_forward(const EmbeddingForward& args) {
  cuda::gather_rows({.y = args.y, .x = args.table, .rows = args.ids});
}

// The ids are those of a forward, which has stopped at any outside of the table: the sum would
// leave such a row out, in silence.
void embedding_backward(const EmbeddingBackward& args) {
  sum_rows_by_segment(
      "embedding_backward",
      {.rows = reinterpret_cast<const std::uint32_t*>(args.ids.data<std::int32_t>()),
       .count = args.ids.size(0),
       .sources = args.dy.data<float>()},
      args.dtable);
}

}  // namespace slotwise::kernels::cuda

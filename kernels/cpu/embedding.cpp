// Embedding on the CPU. The backward splits the columns, not the tokens: every thread walks all
// tokens in order and owns its columns of every row, so repeated ids add in one order and no two
// threads share a sum.
#include "kernels/embedding.h"

#include <cstring>

#include "core/parallel.h"
#include "kernels/cpu/index_check.h"

namespace slotwise::kernels::cpu {

void embedding_forward(const EmbeddingForward& args) {
  const std::int64_t tokens = args.ids.size(0);
  const std::int64_t columns = args.table.size(1);
  const std::int32_t* ids = args.ids.data<std::int32_t>();
  check_indices("embedding", "ids", ids, tokens, 0, args.table.size(0));
  float* y = args.y.data<float>();
  const float* table = args.table.data<float>();
  const std::int64_t grain = 65536 / std::max<std::int64_t>(columns, 1) + 1;
  parallel_for(tokens, grain, [=](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t token = begin; token < end; ++token) {
      std::memcpy(y + token * columns, table + ids[token] * columns,
                  static_cast<std::size_t>(columns) * sizeof(float));
    }
  });
}

void embedding_backward(const EmbeddingBackward& args) {
  const Tensor& dtable = args.dtable.tensor;
  const std::int64_t tokens = args.ids.size(0);
  const std::int64_t columns = dtable.size(1);
  const std::int32_t* ids = args.ids.data<std::int32_t>();
  check_indices("embedding", "ids", ids, tokens, 0, dtable.size(0));
  float* out = dtable.data<float>();
  const float* dy = args.dy.data<float>();
  if (!args.dtable.accumulate) {
    parallel_for(dtable.elements(), 1 << 16, [=](std::int64_t begin, std::int64_t end, int) {
      std::memset(out + begin, 0, static_cast<std::size_t>(end - begin) * sizeof(float));
    });
  }
  constexpr std::int64_t kLine = 16;  // floats in a cache line: threads do not share lines
  const std::int64_t lines = (columns + kLine - 1) / kLine;
  const std::int64_t grain = 65536 / std::max<std::int64_t>(tokens * kLine, 1) + 1;
  parallel_for(lines, grain, [=](std::int64_t begin, std::int64_t end, int) {
    const std::int64_t first = begin * kLine;
    const std::int64_t width = std::min(end * kLine, columns) - first;
    for (std::int64_t token = 0; token < tokens; ++token) {
      float* to = out + ids[token] * columns + first;
      const float* from = dy + token * columns + first;
#pragma omp simd
      for (std::int64_t i = 0; i < width; ++i) to[i] += from[i];
    }
  });
}

}  // namespace slotwise::kernels::cpu

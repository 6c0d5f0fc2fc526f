// Lookup in pieces of (head, chunk of tokens), whose half scores [chunk, 2, n] stay in the cache.
// The chunk depends on n alone and each GEMM runs on one thread, so neither the scores nor the
// chosen slots depend on the number of threads.
#include <algorithm>

#include "core/parallel.h"
#include "kernels/cpu/product_key_selector.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/sgemm.h"
#include "kernels/cpu/softmax.h"
#include "kernels/product_key.h"

namespace slotwise::kernels::cpu {
namespace {

constexpr std::int64_t kScoreBytes = 512 << 10;

std::int64_t tokens_a_chunk(std::int64_t n) {
  const std::int64_t row_bytes = 2 * n * static_cast<std::int64_t>(sizeof(float));
  return std::clamp<std::int64_t>(kScoreBytes / row_bytes, 16, 128);
}

// One thread for what the calling thread starts, also where it is the only one of its team.
class SingleThread {
 public:
  SingleThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~SingleThread() { omp_set_num_threads(before_); }
  SingleThread(const SingleThread&) = delete;
  SingleThread& operator=(const SingleThread&) = delete;

 private:
  int before_;
};

struct Sizes {
  std::int64_t M, H, h, n, k;
};

// half_scores: [tokens, 2, n] for the tokens from `first_token` and one head.
void score_chunk(const ProductKeyLookup& args, const Sizes& size, std::int64_t first_token,
                 std::int64_t tokens, std::int64_t head, float* half_scores) {
  for (std::int64_t half = 0; half < 2; ++half) {
    sgemm({.transpose_b = true,
           .m = tokens,
           .n = size.n,
           .k = size.h,
           .a = args.query.data<float>() + ((first_token * size.H + head) * 2 + half) * size.h,
           .lda = size.H * 2 * size.h,
           .b = args.keys.data<float>() + (head * 2 + half) * size.n * size.h,
           .ldb = size.h,
           .c = half_scores + half * size.n,
           .ldc = 2 * size.n});
  }
}

}  // namespace

void product_key_lookup(const ProductKeyLookup& args) {
  const Sizes size = {.M = args.query.size(0),
                      .H = args.query.size(1),
                      .h = args.query.size(3),
                      .n = args.keys.size(2),
                      .k = args.slots.size(2)};
  const std::int64_t chunk = tokens_a_chunk(size.n);
  const std::int64_t chunks = (size.M + chunk - 1) / chunk;
  std::int32_t* slots = args.slots.data<std::int32_t>();
  float* weights = args.weights.data<float>();
  // Heads outermost: the keys of one head serve all chunks in turn.
  parallel_for(size.H * chunks, 1, [&](std::int64_t begin, std::int64_t end, int) {
    const SingleThread single_thread;
    const Scratch<float> half_scores(std::min(chunk, size.M) * 2 * size.n, "lookup half scores");
    ProductKeySelector selector(size.n, size.k);
    for (std::int64_t piece = begin; piece < end; ++piece) {
      const std::int64_t head = piece / chunks, first_token = piece % chunks * chunk;
      const std::int64_t tokens = std::min(chunk, size.M - first_token);
      score_chunk(args, size, first_token, tokens, head, half_scores.data());
      for (std::int64_t token = 0; token < tokens; ++token) {
        const std::int64_t at = ((first_token + token) * size.H + head) * size.k;
        const float* first = half_scores.data() + token * 2 * size.n;
        selector.select(first, first + size.n, slots + at, weights + at);
        softmax_row(weights + at, weights + at, size.k);
      }
    }
  });
}

}  // namespace slotwise::kernels::cpu

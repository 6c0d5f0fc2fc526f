// Optimizer steps on a CUDA device: one pass over parameter, gradient and state.
#include "kernels/adamw.h"

#include <vector>

#include "kernels/adamw_numbers.h"
#include "kernels/cuda/many_tensors.cuh"
#include "kernels/cuda/pointwise.cuh"

namespace slotwise::kernels::cuda {
namespace {

struct AdamWBody : AdamWNumbers {
  float *parameter, *first, *second;
  const float *gradient, *gradient_scale;

  explicit AdamWBody(const AdamW& args)
      : AdamWNumbers(args),
        parameter(args.parameter.data<float>()),
        first(args.first_moment.data<float>()),
        second(args.second_moment.data<float>()),
        gradient(args.gradient.data<float>()),
        gradient_scale(optional_data<float>(args.gradient_scale)) {}

  __device__ float scale() const { return gradient_scale == nullptr ? 1.0f : *gradient_scale; }

  template <int kWidth, bool kHasGradient>
  __device__ void update(std::int64_t i) const {
    const float scale = this->scale();
    if (isnan(scale)) return;
    const float rest1 = 1.0f - beta1, rest2 = 1.0f - beta2;
    Floats<kWidth> p = load<kWidth>(parameter, i), m = load<kWidth>(first, i),
                   v = load<kWidth>(second, i), g = {};
    if constexpr (kHasGradient) g = load<kWidth>(gradient, i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      const float scaled = kHasGradient ? g[j] * scale : 0.0f;
      // Written out: the dense and the row kernels must round alike.
      m[j] = fmaf(beta1, m[j], rest1 * scaled);
      v[j] = fmaf(beta2, v[j], rest2 * (scaled * scaled));
      p[j] = fmaf(p[j], keep, -(rate * m[j] / fmaf(sqrtf(v[j]), root, epsilon)));
    }
    store<kWidth>(first, i, m);
    store<kWidth>(second, i, v);
    store<kWidth>(parameter, i, p);
  }

  template <int kWidth>
  __device__ void at(std::int64_t i) const {
    update<kWidth, true>(i);
  }
};

// A warp looks at 32 rows' marks at a time and updates those that are touched or live.
template <int kWidth>
__global__ void __launch_bounds__(kBlock)
    adamw_rows_kernel(AdamWBody body, const std::uint8_t* touched, std::uint8_t* live,
                      std::int64_t rows, std::int64_t D) {
  if (isnan(body.scale())) return;
  const int lane = threadIdx.x % 32;
  const std::int64_t groups = D / kWidth;
  for (std::int64_t first = global_thread() / 32 * 32; first < rows; first += global_threads()) {
    const std::int64_t mine = first + lane;
    const bool has_gradient = mine < rows && touched[mine] != 0;
    const bool moves = has_gradient || (mine < rows && live[mine] != 0);
    if (has_gradient) live[mine] = 1;
    const unsigned with_gradient = __ballot_sync(0xffffffffu, has_gradient);
    unsigned left = __ballot_sync(0xffffffffu, moves);
    for (; left != 0; left &= left - 1) {
      const int bit = __ffs(static_cast<int>(left)) - 1;
      const std::int64_t begin = (first + bit) * groups;
      if ((with_gradient >> bit & 1u) != 0) {
        for (std::int64_t i = lane; i < groups; i += 32) {
          body.update<kWidth, true>(begin + i);
        }
      } else {
        for (std::int64_t i = lane; i < groups; i += 32) {
          body.update<kWidth, false>(begin + i);
        }
      }
    }
  }
}

struct SgdBody {
  float *parameter, *velocity;  // velocity: null without momentum
  const float *gradient, *gradient_scale;
  float rate, momentum, decay;

  template <int kWidth>
  __device__ void at(std::int64_t i) const {
    const float scale = gradient_scale == nullptr ? 1.0f : *gradient_scale;
    if (isnan(scale)) return;
    Floats<kWidth> p = load<kWidth>(parameter, i);
    Floats<kWidth> step = load<kWidth>(gradient, i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) step[j] = step[j] * scale + decay * p[j];
    if (velocity != nullptr) {
      const Floats<kWidth> before = load<kWidth>(velocity, i);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) step[j] = momentum * before[j] + step[j];
      store<kWidth>(velocity, i, step);
    }
#pragma unroll
    for (int j = 0; j < kWidth; ++j) p[j] -= rate * step[j];
    store<kWidth>(parameter, i, p);
  }
};

// One tensor of many, which the blocks from first_block on take a stretch each.
struct AdamWEntry {
  AdamWBody body;
  std::int64_t elements;
  std::int64_t first_block;
  bool wide;
};

__global__ void __launch_bounds__(kBlock) adamw_all_kernel(const AdamWEntry* entries, int count) {
  const AdamWEntry& entry = entries[entry_of_block(entries, count)];
  const std::int64_t begin = (blockIdx.x - entry.first_block) * kStretch;
  const std::int64_t end = min(begin + kStretch, entry.elements);
  std::int64_t first = begin;
  if (entry.wide) {
    for (std::int64_t i = begin / 4 + threadIdx.x; i < end / 4; i += kBlock) {
      entry.body.update<4, true>(i);
    }
    first = end / 4 * 4;
  }
  for (std::int64_t i = first + threadIdx.x; i < end; i += kBlock) entry.body.update<1, true>(i);
}

__global__ void clip_scale_kernel(float* scale, const float* sums, int groups, float max_norm) {
  bool finite = true;
  for (int g = 0; g < groups; ++g) finite = finite && isfinite(sums[g]);
  for (int g = 0; g < groups; ++g) {
    const float wanted = max_norm > 0.0f ? max_norm / (sqrtf(sums[g]) + 1e-6f) : 1.0f;
    scale[g] = finite ? fminf(wanted, 1.0f) : nanf("");
  }
}

}  // namespace

void adamw(const AdamW& args) {
  if (args.parameter.elements() == 0) return;
  const AdamWBody body(args);
  const bool wide = aligned_to_16(body.parameter, body.first, body.second, body.gradient);
  if (!args.touched.defined()) {
    return pointwise("adamw", args.parameter.device(), args.parameter.elements(), wide, body);
  }
  const std::int64_t rows = args.parameter.size(0), D = args.parameter.size(1);
  const auto kernel = wide && D % 4 == 0 ? adamw_rows_kernel<4> : adamw_rows_kernel<1>;
  kernel<<<grid_for(rows), kBlock, 0, stream(args.parameter)>>>(
      body, args.touched.data<std::uint8_t>(), args.live.data<std::uint8_t>(), rows, D);
  SLOTWISE_CUDA_LAUNCHED("adamw");
}

void adamw_all(const AdamWAll& args) {
  std::vector<AdamWEntry> entries;
  std::int64_t blocks = 0;
  for (const AdamW& step : args.steps) {
    if (step.touched.defined()) cuda::adamw(step);
    if (step.touched.defined() || step.parameter.elements() == 0) continue;
    const AdamWBody body(step);
    entries.push_back(
        {.body = body,
         .elements = step.parameter.elements(),
         .first_block = blocks,
         .wide = aligned_to_16(body.parameter, body.first, body.second, body.gradient)});
    blocks += stretches(entries.back().elements);
  }
  if (blocks == 0) return;
  const Device device = args.steps[0].parameter.device();
  const DeviceList<AdamWEntry> list(entries, device);
  adamw_all_kernel<<<static_cast<unsigned>(blocks), kBlock, 0, stream(device)>>>(list.data(),
                                                                                 list.count());
  SLOTWISE_CUDA_LAUNCHED("adamw_all");
}

void sgd(const Sgd& args) {
  const SgdBody body = {.parameter = args.parameter.data<float>(),
                        .velocity = args.momentum == 0.0f ? nullptr : args.velocity.data<float>(),
                        .gradient = args.gradient.data<float>(),
                        .gradient_scale = optional_data<float>(args.gradient_scale),
                        .rate = args.learning_rate,
                        .momentum = args.momentum,
                        .decay = args.weight_decay};
  pointwise("sgd", args.parameter.device(), args.parameter.elements(),
            aligned_to_16(body.parameter, body.velocity, body.gradient), body);
}

void clip_scale(const ClipScale& args) {
  clip_scale_kernel<<<1, 1, 0, stream(args.scale)>>>(
      args.scale.data<float>(), args.sum_of_squares.data<float>(),
      static_cast<int>(args.scale.elements()), args.max_norm);
  SLOTWISE_CUDA_LAUNCHED("clip_scale");
}

}  // namespace slotwise::kernels::cuda

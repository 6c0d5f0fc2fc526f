// RMS normalisation on a CUDA device: a warp per row where a row is short, else a block. A row is
// read twice, the second time out of the cache. The gain's gradient is a sum over rows of its own
// (column_sums.cuh), whose order depends on the shape alone.
#include "kernels/rms_norm.h"

#include "kernels/cuda/column_sums.cuh"
#include "kernels/cuda/pointwise.cuh"
#include "kernels/elementwise.h"

namespace slotwise::kernels::cuda {
namespace {

constexpr std::int64_t kMostGroupsOfWarp = 256;  // 8 loads a lane

struct Rows {
  std::int64_t rows, groups;  // groups of kWidth elements in a row
  std::int64_t gain_rows;
  float size;
};

struct ForwardRows {
  float *y, *sum, *inverse_rms;      // sum: may be null
  const float *x, *residual, *gain;  // residual, gain: may be null
  float epsilon;
};

struct BackwardRows {
  float* dx;
  bool accumulate;
  const float *dy, *dsum, *s, *inverse_rms, *gain;  // dsum, gain: may be null
};

// Over the kThreads threads that share a row; they all get it.
template <int kThreads>
__device__ float row_sum(float value) {
  if constexpr (kThreads == 32) {
    return warp_sum(value);
  } else {
    return block_sum<kThreads>(value);
  }
}

// body(row, lane) for all rows; the threads of a row arrive together.
template <int kThreads, class Body>
__device__ void for_rows(std::int64_t rows, const Body& body) {
  constexpr int kRows = kBlock / kThreads;
  const int lane = static_cast<int>(threadIdx.x) % kThreads;
  for (std::int64_t row =
           static_cast<std::int64_t>(blockIdx.x) * kRows + static_cast<int>(threadIdx.x) / kThreads;
       row < rows; row += static_cast<std::int64_t>(gridDim.x) * kRows) {
    body(row, lane);
  }
}

template <int kWidth, int kThreads>
__global__ void __launch_bounds__(kBlock) forward_kernel(Rows shape, ForwardRows args) {
  for_rows<kThreads>(shape.rows, [&](std::int64_t row, int lane) {
    const std::int64_t at = row * shape.groups;
    // Without a place for the sum, y holds it until it is normalised in place.
    const bool moves = args.residual != nullptr || args.sum != nullptr;
    float* to = args.sum != nullptr ? args.sum : args.y;
    float squares = 0.0f;
    for (std::int64_t i = at + lane; i < at + shape.groups; i += kThreads) {
      Floats<kWidth> s = load<kWidth>(args.x, i);
      if (args.residual != nullptr) {
        const Floats<kWidth> other = load<kWidth>(args.residual, i);
#pragma unroll
        for (int j = 0; j < kWidth; ++j) s[j] += other[j];
      }
      if (moves) store<kWidth>(to, i, s);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) squares += s[j] * s[j];
    }
    const float mean = row_sum<kThreads>(squares) / shape.size;
    const float inverse = 1.0f / sqrtf(mean + args.epsilon);
    if (lane == 0) args.inverse_rms[row] = inverse;
    const std::int64_t gain_at = row % shape.gain_rows * shape.groups - at;
    const float* from = moves ? to : args.x;
    // Each thread reads back what it wrote itself.
    for (std::int64_t i = at + lane; i < at + shape.groups; i += kThreads) {
      Floats<kWidth> s = load<kWidth>(from, i);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) s[j] *= inverse;
      if (args.gain != nullptr) {
        const Floats<kWidth> gain = load<kWidth>(args.gain, gain_at + i);
#pragma unroll
        for (int j = 0; j < kWidth; ++j) s[j] *= gain[j];
      }
      store<kWidth>(args.y, i, s);
    }
  });
}

// dy * gain
template <int kWidth>
__device__ Floats<kWidth> gained(const BackwardRows& args, std::int64_t i, std::int64_t gain_at) {
  Floats<kWidth> dy = load<kWidth>(args.dy, i);
  if (args.gain != nullptr) {
    const Floats<kWidth> gain = load<kWidth>(args.gain, gain_at + i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) dy[j] *= gain[j];
  }
  return dy;
}

template <int kWidth, int kThreads>
__global__ void __launch_bounds__(kBlock) backward_kernel(Rows shape, BackwardRows args) {
  for_rows<kThreads>(shape.rows, [&](std::int64_t row, int lane) {
    const std::int64_t at = row * shape.groups;
    const std::int64_t gain_at = row % shape.gain_rows * shape.groups - at;
    float products = 0.0f;
    for (std::int64_t i = at + lane; i < at + shape.groups; i += kThreads) {
      const Floats<kWidth> g = gained<kWidth>(args, i, gain_at), s = load<kWidth>(args.s, i);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) products += g[j] * s[j];
    }
    const float inverse = args.inverse_rms[row];
    const float along = row_sum<kThreads>(products) * inverse * inverse * inverse / shape.size;
    for (std::int64_t i = at + lane; i < at + shape.groups; i += kThreads) {
      Floats<kWidth> g = gained<kWidth>(args, i, gain_at);
      const Floats<kWidth> s = load<kWidth>(args.s, i);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) g[j] = g[j] * inverse - along * s[j];
      if (args.dsum != nullptr) {
        const Floats<kWidth> direct = load<kWidth>(args.dsum, i);
#pragma unroll
        for (int j = 0; j < kWidth; ++j) g[j] += direct[j];
      }
      store<kWidth>(args.dx, i, g, args.accumulate);
    }
  });
}

// Calls launch(width, threads) with the constants that fit rows of `size` elements.
template <class Launch>
void with_row_shape(std::int64_t size, bool aligned, const Launch& launch) {
  using std::integral_constant;
  const auto with_width = [&](auto width) {
    if (size / width <= kMostGroupsOfWarp) {
      launch(width, integral_constant<int, 32>());
    } else {
      launch(width, integral_constant<int, kBlock>());
    }
  };
  if (aligned && size % 4 == 0) {
    with_width(integral_constant<int, 4>());
  } else {
    with_width(integral_constant<int, 1>());
  }
}

Rows row_shape(const Shape& shape, const Tensor& gain, int width) {
  const std::int64_t size = shape.last();
  return {.rows = shape.rows(),
          .groups = size / width,
          .gain_rows = gain.defined() ? gain.elements() / size : 1,
          .size = static_cast<float>(size)};
}

// Without dy only the direct gradient of s remains.
void pass_through(const RmsNormBackward& args) {
  if (args.dgain && !args.dgain.accumulate) args.dgain.tensor.zero();
  if (!args.dx) return;
  if (args.dsum.defined()) {
    cuda::scale({.out = args.dx, .x = args.dsum});
  } else if (!args.dx.accumulate) {
    args.dx.tensor.zero();
  }
}

// dgain [G, D] (+)= sum of dy * s / rms over the rows of each gain row. G rows beside each other
// are one row of a matrix with G * D columns; the last may be short.
void gain_gradient(const RmsNormBackward& args) {
  const std::int64_t size = args.s.shape().last(), total = args.s.elements();
  const std::int64_t columns = args.gain.elements(), gain_rows = columns / size;
  const float *dy = args.dy.data<float>(), *s = args.s.data<float>(),
              *inverse_rms = args.inverse_rms.data<float>();
  float* dgain = args.dgain.tensor.data<float>();
  const bool accumulate = args.dgain.accumulate;
  sum_columns(
      "rms_norm_backward", args.s.device(), (total + columns - 1) / columns, columns,
      [=] __device__(std::int64_t row, std::int64_t column) {
        const std::int64_t i = row * columns + column;
        if (i >= total) return 0.0f;
        const std::int64_t own = gain_rows == 1 ? row : row * gain_rows + column / size;
        return dy[i] * s[i] * inverse_rms[own];
      },
      [=] __device__(std::int64_t column, double sum) {
        const float value = static_cast<float>(sum);
        dgain[column] = accumulate ? dgain[column] + value : value;
      });
}

}  // namespace

void rms_norm_forward(const RmsNormForward& args) {
  if (args.x.elements() == 0) return;
  const ForwardRows rows = {.y = args.y.data<float>(),
                            .sum = optional_data<float>(args.sum),
                            .inverse_rms = args.inverse_rms.data<float>(),
                            .x = args.x.data<float>(),
                            .residual = optional_data<float>(args.residual),
                            .gain = optional_data<float>(args.gain),
                            .epsilon = args.epsilon};
  const bool aligned = aligned_to_16(rows.y, rows.sum, rows.x, rows.residual, rows.gain);
  with_row_shape(args.x.shape().last(), aligned, [&](auto width, auto threads) {
    const Rows shape = row_shape(args.x.shape(), args.gain, width);
    forward_kernel<width, threads>
        <<<grid_for(shape.rows, kBlock / threads), kBlock, 0, stream(args.x)>>>(shape, rows);
  });
  SLOTWISE_CUDA_LAUNCHED("rms_norm");
}

void rms_norm_backward(const RmsNormBackward& args) {
  if (!args.dy.defined()) return pass_through(args);
  if (args.s.elements() == 0) {
    if (args.dgain && !args.dgain.accumulate) args.dgain.tensor.zero();
    return;
  }
  // First, for dx may be the tensor that dy stands in.
  if (args.dgain) gain_gradient(args);
  if (!args.dx) return;
  const BackwardRows rows = {.dx = args.dx.tensor.data<float>(),
                             .accumulate = args.dx.accumulate,
                             .dy = args.dy.data<float>(),
                             .dsum = optional_data<float>(args.dsum),
                             .s = args.s.data<float>(),
                             .inverse_rms = args.inverse_rms.data<float>(),
                             .gain = optional_data<float>(args.gain)};
  const bool aligned = aligned_to_16(rows.dx, rows.dy, rows.dsum, rows.s, rows.gain);
  with_row_shape(args.s.shape().last(), aligned, [&](auto width, auto threads) {
    const Rows shape = row_shape(args.s.shape(), args.gain, width);
    backward_kernel<width, threads>
        <<<grid_for(shape.rows, kBlock / threads), kBlock, 0, stream(args.s)>>>(shape, rows);
  });
  SLOTWISE_CUDA_LAUNCHED("rms_norm_backward");
}

}  // namespace slotwise::kernels::cuda

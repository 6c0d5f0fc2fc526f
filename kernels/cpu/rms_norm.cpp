// RMS normalisation on the CPU: threads over rows, SIMD inside a row of D.
// The gain's gradient is summed in fp32 over blocks of kBlockRows rows and in double over the
// blocks, so neither its bits nor its error depend on the number of threads or grow with the number
// of rows.
#include "kernels/rms_norm.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "core/parallel.h"

namespace slotwise::kernels::cpu {
namespace {

constexpr std::int64_t kBlockRows = 64;
constexpr std::int64_t kGrainElements = 1 << 16;

const float* optional_data(const Tensor& tensor) {
  return tensor.defined() ? tensor.data<float>() : nullptr;
}

std::int64_t row_grain(std::int64_t size) {
  return std::max<std::int64_t>(1, kGrainElements / std::max<std::int64_t>(size, 1));
}

float sum_of_squares(const float* x, std::int64_t size) {
  float total = 0.0f;
#pragma omp simd reduction(+ : total)
  for (std::int64_t i = 0; i < size; ++i) total += x[i] * x[i];
  return total;
}

void normalise_row(float* y, const float* s, const float* gain, float inverse, std::int64_t size) {
  if (gain != nullptr) {
#pragma omp simd
    for (std::int64_t i = 0; i < size; ++i) y[i] = s[i] * inverse * gain[i];
  } else {
#pragma omp simd
    for (std::int64_t i = 0; i < size; ++i) y[i] = s[i] * inverse;
  }
}

struct BackwardRow {
  float* dx;     // nullptr: not wanted
  float* dgain;  // partial sums of this block, or nullptr
  const float* dy;
  const float* dsum;  // may be nullptr
  const float* s;
  const float* gain;  // may be nullptr
  float inverse;
  bool accumulate;
};

// dgain += dy * s / rms, and the projection sum(dy * gain * s) in the same pass.
float project_row(const BackwardRow& row, std::int64_t size) {
  float total = 0.0f;
  if (row.dgain != nullptr) {
#pragma omp simd reduction(+ : total)
    for (std::int64_t i = 0; i < size; ++i) {
      const float product = row.dy[i] * row.s[i];
      row.dgain[i] += product * row.inverse;
      total += product * row.gain[i];
    }
  } else if (row.gain != nullptr) {
#pragma omp simd reduction(+ : total)
    for (std::int64_t i = 0; i < size; ++i) total += row.dy[i] * row.s[i] * row.gain[i];
  } else {
#pragma omp simd reduction(+ : total)
    for (std::int64_t i = 0; i < size; ++i) total += row.dy[i] * row.s[i];
  }
  return total;
}

template <bool kGain, bool kSum, bool kAccumulate>
void write_row(const BackwardRow& row, float along, std::int64_t size) {
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) {
    float value = kGain ? row.dy[i] * row.gain[i] : row.dy[i];
    value = value * row.inverse - along * row.s[i];
    if constexpr (kSum) value += row.dsum[i];
    row.dx[i] = kAccumulate ? row.dx[i] + value : value;
  }
}

void backward_row(const BackwardRow& row, std::int64_t size) {
  const float projection = project_row(row, size);
  if (row.dx == nullptr) return;
  const float along =
      projection * row.inverse * row.inverse * row.inverse / static_cast<float>(size);
  using Write = void (*)(const BackwardRow&, float, std::int64_t);
  static constexpr Write kWrite[2][2][2] = {
      {{write_row<false, false, false>, write_row<false, false, true>},
       {write_row<false, true, false>, write_row<false, true, true>}},
      {{write_row<true, false, false>, write_row<true, false, true>},
       {write_row<true, true, false>, write_row<true, true, true>}}};
  kWrite[row.gain != nullptr][row.dsum != nullptr][row.accumulate](row, along, size);
}

// Without dy only the direct gradient of s remains.
void pass_through(const RmsNormBackward& args) {
  if (args.dgain && !args.dgain.accumulate) args.dgain.tensor.zero();
  if (!args.dx) return;
  float* dx = args.dx.tensor.data<float>();
  const float* dsum = optional_data(args.dsum);
  if (dsum == nullptr) {
    if (!args.dx.accumulate) args.dx.tensor.zero();
    return;
  }
  const bool accumulate = args.dx.accumulate;
  parallel_for(args.s.elements(), kGrainElements, [=](std::int64_t begin, std::int64_t end, int) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) dx[i] = accumulate ? dx[i] + dsum[i] : dsum[i];
  });
}

// dgain (+)= the sum of the blocks' partial sums, in the order of the blocks.
void combine(const Sink& dgain, const float* partials, std::int64_t blocks) {
  const std::int64_t columns = dgain.tensor.elements();
  float* out = dgain.tensor.data<float>();
  const bool accumulate = dgain.accumulate;
  const std::int64_t grain = row_grain(blocks);
  parallel_for(columns, grain, [=](std::int64_t begin, std::int64_t end, int) {
    constexpr std::int64_t kWidth = 64;
    for (std::int64_t first = begin; first < end; first += kWidth) {
      const std::int64_t width = std::min(kWidth, end - first);
      double total[kWidth] = {};
      for (std::int64_t block = 0; block < blocks; ++block) {
        const float* from = partials + block * columns + first;
#pragma omp simd
        for (std::int64_t i = 0; i < width; ++i) total[i] += static_cast<double>(from[i]);
      }
      for (std::int64_t i = 0; i < width; ++i) {
        const float sum = static_cast<float>(total[i]);
        out[first + i] = accumulate ? out[first + i] + sum : sum;
      }
    }
  });
}

}  // namespace

void rms_norm_forward(const RmsNormForward& args) {
  const std::int64_t size = args.x.shape().last();
  const std::int64_t gain_rows = args.gain.defined() && size > 0 ? args.gain.elements() / size : 1;
  float* y = args.y.data<float>();
  float* sum = args.sum.defined() ? args.sum.data<float>() : nullptr;
  float* inverse_rms = args.inverse_rms.data<float>();
  const float* x = args.x.data<float>();
  const float* residual = optional_data(args.residual);
  const float* gain = optional_data(args.gain);
  const float epsilon = args.epsilon;
  const auto body = [=](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t at = row * size;
      const float* s = x + at;
      if (residual != nullptr || sum != nullptr) {
        // Without a place for the sum, y holds it until it is normalised in place.
        float* to = (sum != nullptr ? sum : y) + at;
        if (residual == nullptr) {
          std::memmove(to, s, static_cast<std::size_t>(size) * sizeof(float));
        } else {
          const float* other = residual + at;
#pragma omp simd
          for (std::int64_t i = 0; i < size; ++i) to[i] = s[i] + other[i];
        }
        s = to;
      }
      const float mean = sum_of_squares(s, size) / static_cast<float>(size);
      const float inverse = 1.0f / std::sqrt(mean + epsilon);
      inverse_rms[row] = inverse;
      normalise_row(y + at, s, gain == nullptr ? nullptr : gain + (row % gain_rows) * size, inverse,
                    size);
    }
  };
  parallel_for(args.x.shape().rows(), row_grain(size), body);
}

void rms_norm_backward(const RmsNormBackward& args) {
  if (!args.dy.defined()) return pass_through(args);
  const std::int64_t size = args.s.shape().last();
  const std::int64_t rows = args.s.shape().rows();
  const std::int64_t gain_elements = args.gain.defined() ? args.gain.elements() : size;
  const std::int64_t gain_rows = size > 0 ? gain_elements / size : 1;
  const std::int64_t blocks = (rows + kBlockRows - 1) / kBlockRows;
  Tensor scratch;
  if (args.dgain)
    scratch =
        Tensor::zeros({blocks, gain_elements}, DType::f32, args.s.device(), "rms_norm scratch");
  float* partials = args.dgain ? scratch.data<float>() : nullptr;
  float* dx = args.dx ? args.dx.tensor.data<float>() : nullptr;
  const float* dy = args.dy.data<float>();
  const float* dsum = optional_data(args.dsum);
  const float* s = args.s.data<float>();
  const float* inverse_rms = args.inverse_rms.data<float>();
  const float* gain = optional_data(args.gain);
  const bool accumulate = args.dx.accumulate;
  const auto body = [=](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t row = begin * kBlockRows; row < std::min(end * kBlockRows, rows); ++row) {
      const std::int64_t at = row * size;
      const std::int64_t gain_at = (row % gain_rows) * size;
      backward_row(
          {.dx = dx == nullptr ? nullptr : dx + at,
           .dgain = partials == nullptr ? nullptr
                                        : partials + row / kBlockRows * gain_elements + gain_at,
           .dy = dy + at,
           .dsum = dsum == nullptr ? nullptr : dsum + at,
           .s = s + at,
           .gain = gain == nullptr ? nullptr : gain + gain_at,
           .inverse = inverse_rms[row],
           .accumulate = accumulate},
          size);
    }
  };
  parallel_for(blocks, row_grain(size * kBlockRows), body);
  if (args.dgain) combine(args.dgain, partials, blocks);
}

}  // namespace slotwise::kernels::cpu

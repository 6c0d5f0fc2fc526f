// Batch normalisation on a CUDA device. Sums over rows by column_sums.cuh; how many rows are valid
// is counted on the device and read by the kernels that need it, so that the host never waits. The
// formulas are those of kernels/cpu/batch_norm.cpp.
#include "kernels/batch_norm.h"

#include "kernels/cuda/column_sums.cuh"
#include "kernels/cuda/pointwise.cuh"

namespace slotwise::kernels::cuda {
namespace {

// Which rows count. found: [count, rows - first valid row], or null when all rows count.
struct Valid {
  const std::uint8_t* marks;
  const unsigned long long* found;
  std::int64_t rows;

  __device__ bool at(std::int64_t row) const { return marks == nullptr || marks[row] != 0; }
  __device__ std::int64_t count() const {
    return found == nullptr ? rows : static_cast<std::int64_t>(found[0]);
  }
  __device__ std::int64_t first() const {
    return found == nullptr ? 0 : rows - static_cast<std::int64_t>(found[1]);
  }
};

// Atomics on integers: their order does not show.
__global__ void __launch_bounds__(kBlock)
    count_valid(unsigned long long* found, const std::uint8_t* marks, std::int64_t rows) {
  int count = 0;
  std::int64_t first = rows;
  for (std::int64_t row = global_thread(); row < rows; row += global_threads()) {
    if (marks[row] == 0) continue;
    ++count;
    first = min(first, row);
  }
  const int of_block = block_sum<kBlock>(count);
  if (threadIdx.x == 0) atomicAdd(&found[0], static_cast<unsigned long long>(of_block));
  if (first < rows) atomicMax(&found[1], static_cast<unsigned long long>(rows - first));
}

// Keeps the counted rows as long as the op is being queued.
struct CountedRows {
  Tensor scratch;
  Valid valid;

  CountedRows(const char* op, const Tensor& marks, const Tensor& x)
      : valid{optional_data<std::uint8_t>(marks), nullptr, x.size(0)} {
    if (valid.marks == nullptr) return;
    scratch = Tensor::zeros({2}, DType::i64, x.device(), "batch_norm valid rows");
    auto* found = static_cast<unsigned long long*>(scratch.raw());
    valid.found = found;
    if (valid.rows == 0) return;
    count_valid<<<grid_for(valid.rows), kBlock, 0, stream(x)>>>(found, valid.marks, valid.rows);
    SLOTWISE_CUDA_LAUNCHED(op);
  }
};

struct Statistics {
  float *mean, *inverse_std, *running_mean, *running_variance;
  float momentum, epsilon;

  // A batch without a valid row has no statistics: it is treated as in evaluation.
  __device__ void take_running(std::int64_t column) const {
    mean[column] = running_mean[column];
    inverse_std[column] = 1.0f / sqrtf(running_variance[column] + epsilon);
  }
  __device__ void take_batch(std::int64_t column, double squares, std::int64_t count) const {
    const double n = static_cast<double>(count);
    const double variance = squares / n, unbiased = count > 1 ? n / (n - 1.0) : 1.0;
    inverse_std[column] = static_cast<float>(1.0 / sqrt(variance + static_cast<double>(epsilon)));
    running_mean[column] += momentum * (mean[column] - running_mean[column]);
    running_variance[column] +=
        momentum * (static_cast<float>(variance * unbiased) - running_variance[column]);
  }
};

__global__ void running_statistics(Statistics statistics, std::int64_t features) {
  for (std::int64_t i = global_thread(); i < features; i += global_threads()) {
    statistics.take_running(i);
  }
}

void batch_statistics(const char* op, const BatchNormForward& args, const Statistics& statistics) {
  const std::int64_t rows = args.x.size(0), features = args.x.size(1);
  const CountedRows counted(op, args.valid, args.x);
  const Valid valid = counted.valid;
  const float* x = args.x.data<float>();
  // About the first valid row: the mean of far-off features (|mean| >> std) keeps its digits.
  sum_columns(
      op, args.x.device(), rows, features,
      [=] __device__(std::int64_t row, std::int64_t column) {
        if (!valid.at(row)) return 0.0f;
        return x[row * features + column] - x[valid.first() * features + column];
      },
      [=] __device__(std::int64_t column, double total) {
        const std::int64_t count = valid.count();
        if (count == 0) return;
        const double origin = static_cast<double>(x[valid.first() * features + column]);
        statistics.mean[column] = static_cast<float>(origin + total / static_cast<double>(count));
      });
  sum_columns(
      op, args.x.device(), rows, features,
      [=] __device__(std::int64_t row, std::int64_t column) {
        if (!valid.at(row)) return 0.0f;
        const float distance = x[row * features + column] - statistics.mean[column];
        return distance * distance;
      },
      [=] __device__(std::int64_t column, double squares) {
        const std::int64_t count = valid.count();
        if (count == 0) {
          statistics.take_running(column);
        } else {
          statistics.take_batch(column, squares, count);
        }
      });
}

struct NormaliseBody {
  float* y;
  const float *x, *mean, *inverse_std, *gain, *bias;
  std::int64_t features;
  template <int kWidth>
  __device__ void at(std::int64_t i) const {
    const std::int64_t column = i * kWidth % features / kWidth;
    Floats<kWidth> value = load<kWidth>(x, i);
    const Floats<kWidth> center = load<kWidth>(mean, column);
    const Floats<kWidth> inverse = load<kWidth>(inverse_std, column);
    const Floats<kWidth> times = load<kWidth>(gain, column), plus = load<kWidth>(bias, column);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      value[j] = (value[j] - center[j]) * inverse[j] * times[j] + plus[j];
    }
    store<kWidth>(y, i, value);
  }
};

// shared and along: gain * sum(dy) / n and gain * sum(dy * h) / n, 0 where statistics are fixed.
struct BackwardBody {
  float* dx;
  bool accumulate;
  const float *dy, *x, *mean, *inverse_std, *gain, *shared, *along;
  Valid valid;
  std::int64_t features;
  template <int kWidth>
  __device__ void at(std::int64_t i) const {
    const std::int64_t row = i * kWidth / features;
    const std::int64_t column = i - row * (features / kWidth);
    const float counts = valid.at(row) ? 1.0f : 0.0f;
    const Floats<kWidth> center = load<kWidth>(mean, column);
    const Floats<kWidth> inverse = load<kWidth>(inverse_std, column);
    const Floats<kWidth> times = load<kWidth>(gain, column);
    const Floats<kWidth> level = load<kWidth>(shared, column), slope = load<kWidth>(along, column);
    const Floats<kWidth> place = load<kWidth>(x, i);
    Floats<kWidth> value = load<kWidth>(dy, i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      const float h = (place[j] - center[j]) * inverse[j];
      value[j] = inverse[j] * (value[j] * times[j] - counts * (level[j] + h * slope[j]));
    }
    store<kWidth>(dx, i, value, accumulate);
  }
};

// A sum of a column: into the wanted gradient, and its share of dx.
struct SumBody {
  float* wanted;  // may be null
  bool accumulate;
  float* share;
  const float* gain;
  Valid valid;
  bool training;
  __device__ void operator()(std::int64_t column, double total) const {
    const std::int64_t count = valid.count();
    share[column] = training && count > 0 ? static_cast<float>(static_cast<double>(gain[column]) *
                                                               total / static_cast<double>(count))
                                          : 0.0f;
    if (wanted == nullptr) return;
    const float value = static_cast<float>(total);
    wanted[column] = accumulate ? wanted[column] + value : value;
  }
};

}  // namespace

void batch_norm_forward(const BatchNormForward& args) {
  const char* op = "batch_norm";
  const std::int64_t features = args.x.size(1);
  if (features == 0) return;
  const Statistics statistics = {.mean = args.mean.data<float>(),
                                 .inverse_std = args.inverse_std.data<float>(),
                                 .running_mean = args.running_mean.data<float>(),
                                 .running_variance = args.running_variance.data<float>(),
                                 .momentum = args.momentum,
                                 .epsilon = args.epsilon};
  if (args.training) {
    batch_statistics(op, args, statistics);
  } else {
    running_statistics<<<grid_for(features), kBlock, 0, stream(args.x)>>>(statistics, features);
    SLOTWISE_CUDA_LAUNCHED(op);
  }
  const NormaliseBody body = {.y = args.y.data<float>(),
                              .x = args.x.data<float>(),
                              .mean = statistics.mean,
                              .inverse_std = statistics.inverse_std,
                              .gain = args.gain.data<float>(),
                              .bias = args.bias.data<float>(),
                              .features = features};
  const bool wide = features % 4 == 0 && aligned_to_16(body.y, body.x, body.mean, body.inverse_std,
                                                       body.gain, body.bias);
  pointwise(op, args.x.device(), args.x.elements(), wide, body);
}

void batch_norm_backward(const BatchNormBackward& args) {
  const char* op = "batch_norm_backward";
  const std::int64_t rows = args.x.size(0), features = args.x.size(1);
  if (features == 0) return;
  const Device device = args.x.device();
  const CountedRows counted(op, args.training ? args.valid : Tensor(), args.x);
  const Tensor shares =
      Tensor::empty({2, (features + 3) / 4 * 4}, DType::f32, device, "batch_norm column sums");
  float* shared = shares.data<float>();
  float* along = shared + shares.size(1);
  const float *x = args.x.data<float>(), *dy = args.dy.data<float>(),
              *gain = args.gain.data<float>(), *mean = args.mean.data<float>(),
              *inverse_std = args.inverse_std.data<float>();
  // Sums over all rows: those that are not valid may have a gradient, too.
  sum_columns(
      op, device, rows, features,
      [=] __device__(std::int64_t row, std::int64_t column) { return dy[row * features + column]; },
      SumBody{optional_data<float>(args.dbias.tensor), args.dbias.accumulate, shared, gain,
              counted.valid, args.training});
  sum_columns(
      op, device, rows, features,
      [=] __device__(std::int64_t row, std::int64_t column) {
        const std::int64_t i = row * features + column;
        return dy[i] * (x[i] - mean[column]) * inverse_std[column];
      },
      SumBody{optional_data<float>(args.dgain.tensor), args.dgain.accumulate, along, gain,
              counted.valid, args.training});
  if (!args.dx) return;
  const BackwardBody body = {.dx = args.dx.tensor.data<float>(),
                             .accumulate = args.dx.accumulate,
                             .dy = dy,
                             .x = x,
                             .mean = mean,
                             .inverse_std = inverse_std,
                             .gain = gain,
                             .shared = shared,
                             .along = along,
                             .valid = counted.valid,
                             .features = features};
  const bool wide =
      features % 4 == 0 && aligned_to_16(body.dx, dy, x, mean, inverse_std, gain, shared, along);
  pointwise(op, device, args.x.elements(), wide, body);
}

}  // namespace slotwise::kernels::cuda

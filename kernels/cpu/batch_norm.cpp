// Batch normalisation on the CPU. Threads own columns (features): each walks all rows of its
// columns in order, so sums have one order and no partial results are merged between threads.
// Within a panel of kPanel columns sums are fp32 over kBlockRows rows and double beyond. Backward
// of the training form: with n valid rows, g = dy * gain and h = (x - mean) * inverse_std,
//   dx = inverse_std * (g - [valid] * (sum(g) + h * sum(g * h)) / n),  sums over all rows.
#include "kernels/batch_norm.h"

#include <cmath>

#include "core/parallel.h"

namespace slotwise::kernels::cpu {
namespace {

constexpr std::int64_t kPanel = 64;
constexpr std::int64_t kBlockRows = 64;

// Calls body(first, width) for panels of columns, over the threads.
template <class Body>
void for_panels(std::int64_t rows, std::int64_t features, Body&& body) {
  const std::int64_t panels = (features + kPanel - 1) / kPanel;
  const std::int64_t grain = 65536 / std::max<std::int64_t>(rows * kPanel, 1) + 1;
  parallel_for(panels, grain, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t panel = begin; panel < end; ++panel) {
      const std::int64_t first = panel * kPanel;
      body(first, std::min(kPanel, features - first));
    }
  });
}

// total[i] = sum over rows of element(row, i), i < width; rows with valid[row] == 0 are left out.
template <class Element>
void sum_rows(double* total, std::int64_t rows, std::int64_t width, const std::uint8_t* valid,
              Element&& element) {
  for (std::int64_t i = 0; i < kPanel; ++i) total[i] = 0.0;
  for (std::int64_t first = 0; first < rows; first += kBlockRows) {
    float partial[kPanel] = {};
    const std::int64_t last = std::min(first + kBlockRows, rows);
    for (std::int64_t row = first; row < last; ++row) {
      if (valid != nullptr && valid[row] == 0) continue;
#pragma omp simd
      for (std::int64_t i = 0; i < width; ++i) partial[i] += element(row, i);
    }
    for (std::int64_t i = 0; i < kPanel; ++i) total[i] += static_cast<double>(partial[i]);
  }
}

std::int64_t count_valid(const std::uint8_t* valid, std::int64_t rows) {
  if (valid == nullptr) return rows;
  std::int64_t count = 0;
  for (std::int64_t row = 0; row < rows; ++row) count += valid[row] != 0;
  return count;
}

const std::uint8_t* optional_valid(const Tensor& valid) {
  return valid.defined() ? valid.data<std::uint8_t>() : nullptr;
}

// Mean and variance of the batch into mean and inverse_std; moves the running statistics.
void batch_statistics(const BatchNormForward& args, std::int64_t count, std::int64_t at,
                      std::int64_t width) {
  const std::int64_t rows = args.x.size(0);
  const std::int64_t features = args.x.size(1);
  const float* x = args.x.data<float>() + at;
  const std::uint8_t* valid = optional_valid(args.valid);
  float* mean = args.mean.data<float>() + at;
  float* inverse_std = args.inverse_std.data<float>() + at;
  float* running_mean = args.running_mean.data<float>() + at;
  float* running_variance = args.running_variance.data<float>() + at;
  double total[kPanel];
  // About the first valid row: the mean of far-off features (|mean| >> std) keeps its digits.
  const float* origin = x;
  for (std::int64_t row = 0; valid != nullptr && valid[row] == 0; ++row) origin += features;
  sum_rows(total, rows, width, valid,
           [=](std::int64_t row, std::int64_t i) { return x[row * features + i] - origin[i]; });
  const double n = static_cast<double>(count);
  for (std::int64_t i = 0; i < width; ++i) {
    mean[i] = static_cast<float>(static_cast<double>(origin[i]) + total[i] / n);
  }
  sum_rows(total, rows, width, valid, [=](std::int64_t row, std::int64_t i) {
    const float distance = x[row * features + i] - mean[i];
    return distance * distance;
  });
  const double unbiased = count > 1 ? n / (n - 1.0) : 1.0;
  for (std::int64_t i = 0; i < width; ++i) {
    const double variance = total[i] / n;
    inverse_std[i] =
        static_cast<float>(1.0 / std::sqrt(variance + static_cast<double>(args.epsilon)));
    running_mean[i] += args.momentum * (mean[i] - running_mean[i]);
    running_variance[i] +=
        args.momentum * (static_cast<float>(variance * unbiased) - running_variance[i]);
  }
}

void running_statistics(const BatchNormForward& args, std::int64_t at, std::int64_t width) {
  const float* running_mean = args.running_mean.data<float>() + at;
  const float* running_variance = args.running_variance.data<float>() + at;
  float* mean = args.mean.data<float>() + at;
  float* inverse_std = args.inverse_std.data<float>() + at;
  for (std::int64_t i = 0; i < width; ++i) {
    mean[i] = running_mean[i];
    inverse_std[i] = 1.0f / std::sqrt(running_variance[i] + args.epsilon);
  }
}

void write(const Sink& sink, std::int64_t at, std::int64_t width, const double* total) {
  if (!sink) return;
  float* out = sink.tensor.data<float>() + at;
  for (std::int64_t i = 0; i < width; ++i) {
    const float value = static_cast<float>(total[i]);
    out[i] = sink.accumulate ? out[i] + value : value;
  }
}

// dx of a panel; `shared` and `along` are sum(g) / n and sum(g * h) / n, 0 where the statistics are
// fixed.
void write_dx(const BatchNormBackward& args, std::int64_t at, std::int64_t width,
              const float* shared, const float* along) {
  const std::int64_t rows = args.x.size(0);
  const std::int64_t features = args.x.size(1);
  const std::uint8_t* valid = optional_valid(args.valid);
  const float* gain = args.gain.data<float>() + at;
  const float* mean = args.mean.data<float>() + at;
  const float* inverse_std = args.inverse_std.data<float>() + at;
  float* dx = args.dx.tensor.data<float>() + at;
  const float* dy = args.dy.data<float>() + at;
  const float* x = args.x.data<float>() + at;
  const bool accumulate = args.dx.accumulate;
  for (std::int64_t row = 0; row < rows; ++row, dx += features, dy += features, x += features) {
    const float counts = valid == nullptr || valid[row] != 0 ? 1.0f : 0.0f;
    float value[kPanel];
#pragma omp simd
    for (std::int64_t i = 0; i < width; ++i) {
      const float h = (x[i] - mean[i]) * inverse_std[i];
      value[i] = inverse_std[i] * (dy[i] * gain[i] - counts * (shared[i] + h * along[i]));
    }
#pragma omp simd
    for (std::int64_t i = 0; i < width; ++i) dx[i] = accumulate ? dx[i] + value[i] : value[i];
  }
}

}  // namespace

void batch_norm_forward(const BatchNormForward& args) {
  const std::int64_t rows = args.x.size(0);
  const std::int64_t features = args.x.size(1);
  // A batch without a valid row has no statistics: it is treated as in evaluation.
  const std::int64_t count = count_valid(optional_valid(args.valid), rows);
  const bool training = args.training && count > 0;
  for_panels(rows, features, [&](std::int64_t at, std::int64_t width) {
    if (training) {
      batch_statistics(args, count, at, width);
    } else {
      running_statistics(args, at, width);
    }
    const float* mean = args.mean.data<float>() + at;
    const float* inverse_std = args.inverse_std.data<float>() + at;
    const float* gain = args.gain.data<float>() + at;
    const float* bias = args.bias.data<float>() + at;
    const float* x = args.x.data<float>() + at;
    float* y = args.y.data<float>() + at;
    for (std::int64_t row = 0; row < rows; ++row, x += features, y += features) {
#pragma omp simd
      for (std::int64_t i = 0; i < width; ++i) {
        y[i] = (x[i] - mean[i]) * inverse_std[i] * gain[i] + bias[i];
      }
    }
  });
}

void batch_norm_backward(const BatchNormBackward& args) {
  const std::int64_t rows = args.x.size(0);
  const std::int64_t features = args.x.size(1);
  const std::int64_t count = count_valid(optional_valid(args.valid), rows);
  const bool training = args.training && count > 0;
  for_panels(rows, features, [&](std::int64_t at, std::int64_t width) {
    const float* x = args.x.data<float>() + at;
    const float* dy = args.dy.data<float>() + at;
    const float* mean = args.mean.data<float>() + at;
    const float* inverse_std = args.inverse_std.data<float>() + at;
    double sum[kPanel];
    double projection[kPanel];
    sum_rows(sum, rows, width, nullptr,
             [=](std::int64_t row, std::int64_t i) { return dy[row * features + i]; });
    sum_rows(projection, rows, width, nullptr, [=](std::int64_t row, std::int64_t i) {
      const std::int64_t place = row * features + i;
      return dy[place] * (x[place] - mean[i]) * inverse_std[i];
    });
    if (args.dx) {
      float shared[kPanel] = {};
      float along[kPanel] = {};
      for (std::int64_t i = 0; training && i < width; ++i) {
        const double gain = static_cast<double>(args.gain.data<float>()[at + i]);
        shared[i] = static_cast<float>(gain * sum[i] / static_cast<double>(count));
        along[i] = static_cast<float>(gain * projection[i] / static_cast<double>(count));
      }
      write_dx(args, at, width, shared, along);
    }
    write(args.dbias, at, width, sum);
    write(args.dgain, at, width, projection);
  });
}

}  // namespace slotwise::kernels::cpu

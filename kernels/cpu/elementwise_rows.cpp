// Conversion of elements, and moving of rows, on the CPU.
#include <bit>
#include <cstring>

#include "core/parallel.h"
#include "kernels/cpu/index_check.h"
#include "kernels/elementwise.h"

namespace slotwise::kernels::cpu {
namespace {

constexpr std::int64_t kGrain = 1 << 15;

// BFloat16's rounding without a branch, so that the loop vectorises.
std::uint16_t rounded(std::uint32_t word) {
  const std::uint32_t nearest = (word + 0x7fffu + ((word >> 16) & 1u)) >> 16;
  const std::uint32_t quiet_nan = (word >> 16) | 0x40u;
  return static_cast<std::uint16_t>((word & 0x7fffffffu) > 0x7f800000u ? quiet_nan : nearest);
}

void to_bf16(const Cast& args) {
  auto* y = reinterpret_cast<std::uint16_t*>(args.y.data<BFloat16>());
  const float* x = args.x.data<float>();
  parallel_for(args.x.elements(), kGrain, [=](std::int64_t begin, std::int64_t end, int) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) y[i] = rounded(std::bit_cast<std::uint32_t>(x[i]));
  });
}

void to_f32(const Cast& args) {
  float* y = args.y.data<float>();
  const auto* x = reinterpret_cast<const std::uint16_t*>(args.x.data<BFloat16>());
  parallel_for(args.x.elements(), kGrain, [=](std::int64_t begin, std::int64_t end, int) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      y[i] = std::bit_cast<float>(static_cast<std::uint32_t>(x[i]) << 16);
    }
  });
}

std::int64_t row_grain(std::int64_t columns) {
  return 65536 / std::max<std::int64_t>(columns, 1) + 1;
}

}  // namespace

void cast(const Cast& args) {
  if (args.x.dtype() == args.y.dtype()) {
    args.y.copy_from(args.x);
  } else if (args.y.dtype() == DType::bf16) {
    to_bf16(args);
  } else {
    to_f32(args);
  }
}

void gather_rows(const GatherRows& args) {
  const std::int64_t count = args.rows.elements();
  const std::int64_t columns = args.x.shape().last();
  const std::int32_t* rows = args.rows.data<std::int32_t>();
  check_indices("gather_rows", "rows", rows, count, 0, args.x.shape().rows());
  float* y = args.y.data<float>();
  const float* x = args.x.data<float>();
  parallel_for(count, row_grain(columns), [=](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t i = begin; i < end; ++i) {
      std::memcpy(y + i * columns, x + rows[i] * columns,
                  static_cast<std::size_t>(columns) * sizeof(float));
    }
  });
}

void scatter_rows(const ScatterRows& args) {
  const std::int64_t count = args.rows.elements();
  const std::int64_t columns = args.x.shape().last();
  const std::int32_t* rows = args.rows.data<std::int32_t>();
  check_indices("scatter_rows", "rows", rows, count, 0, args.x.shape().rows());
  float* x = args.x.data<float>();
  const float* y = args.y.data<float>();
  const bool accumulate = args.accumulate;
  parallel_for(count, row_grain(columns), [=](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t row = begin; row < end; ++row) {
      float* to = x + rows[row] * columns;
      const float* from = y + row * columns;
      if (accumulate) {
#pragma omp simd
        for (std::int64_t i = 0; i < columns; ++i) to[i] += from[i];
      } else {
        std::memcpy(to, from, static_cast<std::size_t>(columns) * sizeof(float));
      }
    }
  });
}

}  // namespace slotwise::kernels::cpu

// A round reads entries (row, source, weight) sorted by row: first the terms, then the partial sums
// of the round before. Chunk c leaves at most two partial sums, at 2c (its first run) and 2c + 1
// (its last); places it does not need are marked empty but carry a row, so that rows stay sorted.
#include "kernels/cuda/sorted_segments.cuh"

#include <cub/device/device_radix_sort.cuh>
#include <vector>

#include "kernels/cuda/row_lanes.cuh"
#include "kernels/cuda/workspace.cuh"

namespace slotwise::kernels::cuda {
namespace {

constexpr std::uint32_t kEmpty = 0xffffffffu;
constexpr int kPartialChunk = 128;  // even: the two places of a chunk stay together
constexpr int kRowsAhead = 4;       // source rows whose loads are in flight together

struct Round {
  const std::uint32_t* rows;
  const std::uint32_t* terms;   // of the first round: the sorted terms; null in later ones
  const std::uint8_t* present;  // of later rounds: 0 where the entry is empty
  const float* weights;         // of the terms, or null
  const float* sources;
  std::int64_t count, per_source;
  int chunk;
};

struct PartialSums {
  std::uint32_t* rows;
  std::uint8_t* present;
  float* sums;
};

struct OutRows {
  float* sums;
  std::int64_t count, D;
  bool accumulate;
  std::uint8_t* touched;
};

// The entries of one chunk, in shared memory.
struct Chunk {
  std::uint32_t *rows, *sources;
  float* weights;
  std::uint8_t* adds;

  static constexpr std::size_t kEntryBytes = 2 * sizeof(std::uint32_t) + sizeof(float) + 1;

  __device__ Chunk(unsigned char* memory, int groups, int group, int entries) {
    const int all = groups * entries, mine = group * entries;
    rows = reinterpret_cast<std::uint32_t*>(memory) + mine;
    sources = reinterpret_cast<std::uint32_t*>(memory) + all + mine;
    weights = reinterpret_cast<float*>(memory) + 2 * all + mine;
    adds = memory + 12 * static_cast<std::size_t>(all) + mine;
  }

  __device__ void load(const Round& in, const OutRows& out, std::int64_t begin, int count) {
    for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) {
      const std::int64_t at = begin + i;
      const std::uint32_t row = in.rows[at];
      const bool wanted = row < out.count;
      rows[i] = row;
      weights[i] = 1.0f;
      if (in.terms != nullptr) {
        const std::uint32_t term = in.terms[at];
        sources[i] = wanted ? static_cast<std::uint32_t>(term / in.per_source) : kEmpty;
        if (wanted && in.weights != nullptr) weights[i] = in.weights[term];
      } else {
        sources[i] = wanted && in.present[at] != 0 ? static_cast<std::uint32_t>(at) : kEmpty;
      }
      adds[i] = out.touched != nullptr && wanted ? out.touched[row] : out.accumulate;
    }
  }
};

template <int kWidth>
__global__ void __launch_bounds__(kBlock) sum_chunks(Round in, OutRows out, PartialSums partial) {
  extern __shared__ __align__(16) unsigned char memory[];
  const std::int64_t place = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  const std::int64_t begin = place * in.chunk;
  const int n = static_cast<int>(
      max(std::int64_t{0}, min(static_cast<std::int64_t>(in.chunk), in.count - begin)));
  Chunk chunk(memory, static_cast<int>(blockDim.y), static_cast<int>(threadIdx.y), in.chunk);
  chunk.load(in, out, begin, n);
  __syncthreads();
  if (n > 0) {
    const std::uint32_t first_row = chunk.rows[0], last_row = chunk.rows[n - 1];
    const bool from_before = begin > 0 && in.rows[begin - 1] == first_row;
    const bool goes_on = begin + n < in.count && in.rows[begin + n] == last_row;
    const bool one_run = first_row == last_row;
    const std::int64_t D = out.D;
    for (std::int64_t d = threadIdx.x * kWidth; d < D && first_row < out.count;
         d += static_cast<std::int64_t>(blockDim.x) * kWidth) {
      float sum[kWidth];
      bool any = false;  // the run has an entry that is not empty
      const auto finish = [&](int at) {
        const std::uint32_t row = chunk.rows[at];
        if (!any) return;
        const bool head = from_before && row == first_row;
        float* to = out.sums + static_cast<std::int64_t>(row) * D + d;
        if (head) {
          to = partial.sums + 2 * place * D + d;
        } else if (goes_on && row == last_row) {
          to = partial.sums + (2 * place + 1) * D + d;
        } else if (chunk.adds[at] != 0) {
          float before[kWidth];
          load_lanes(to, before);
#pragma unroll
          for (int x = 0; x < kWidth; ++x) sum[x] += before[x];
        }
        store_lanes(to, sum);
        any = false;
      };
      for (int i = 0; i < n; i += kRowsAhead) {
        float rows[kRowsAhead][kWidth];
#pragma unroll
        for (int r = 0; r < kRowsAhead; ++r) {
          if (i + r < n && chunk.sources[i + r] != kEmpty) {
            load_lanes(in.sources + static_cast<std::int64_t>(chunk.sources[i + r]) * D + d,
                       rows[r]);
          }
        }
#pragma unroll
        for (int r = 0; r < kRowsAhead; ++r) {
          if (i + r < n) {
            if (i + r > 0 && chunk.rows[i + r] != chunk.rows[i + r - 1]) finish(i + r - 1);
            if (chunk.sources[i + r] != kEmpty) {
              const float weight = chunk.weights[i + r];
#pragma unroll
              for (int x = 0; x < kWidth; ++x) {
                sum[x] = any ? sum[x] + weight * rows[r][x] : weight * rows[r][x];
              }
              any = true;
            }
          }
        }
      }
      finish(n - 1);
    }
    if (threadIdx.x == 0) {
      const bool wanted_first = first_row < out.count, wanted_last = last_row < out.count;
      partial.rows[2 * place] = first_row;
      partial.rows[2 * place + 1] = last_row;
      partial.present[2 * place] = from_before && wanted_first;
      partial.present[2 * place + 1] = goes_on && wanted_last && !(from_before && one_run);
    }
    // Rows whose run ends in here; all lanes of the group have read `adds` by now.
    for (int i = static_cast<int>(threadIdx.x); out.touched != nullptr && i < n;
         i += static_cast<int>(blockDim.x)) {
      const std::uint32_t row = chunk.rows[i];
      const bool crosses = (from_before && row == first_row) || (goes_on && row == last_row);
      if (!crosses && chunk.sources[i] != kEmpty) out.touched[row] = 1;
    }
  }
}

__global__ void number_terms(std::uint32_t* terms, std::int64_t count) {
  for (std::int64_t i = global_thread(); i < count; i += global_threads()) {
    terms[i] = static_cast<std::uint32_t>(i);
  }
}

__global__ void mark_rows(std::uint8_t* reached, const std::uint32_t* rows, std::int64_t count,
                          std::int64_t row_count) {
  for (std::int64_t i = global_thread(); i < count; i += global_threads()) {
    if (rows[i] < row_count) reached[rows[i]] = 1;
  }
}

template <int kWidth>
__global__ void zero_rows(float* out, const std::uint8_t* reached, std::int64_t rows,
                          std::int64_t D) {
  const float zeros[kWidth] = {};
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.y;
  for (std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
       row < rows; row += step) {
    if (reached[row] != 0) continue;
    for (std::int64_t d = threadIdx.x * kWidth; d < D;
         d += static_cast<std::int64_t>(blockDim.x) * kWidth) {
      store_lanes(out + row * D + d, zeros);
    }
  }
}

// Rows that no term reaches become 0, the others are left to their owners.
template <int kWidth>
void zero_other_rows(const char* op, const RowTerms& terms, const OutRows& out, Device device) {
  const Tensor reached = Tensor::zeros({out.count}, DType::u8, device, "reached rows");
  std::uint8_t* marks = reached.data<std::uint8_t>();
  const cudaStream_t queue = stream(device);
  if (terms.count > 0) {
    mark_rows<<<grid_for(terms.count), kBlock, 0, queue>>>(marks, terms.rows, terms.count,
                                                           out.count);
    SLOTWISE_CUDA_LAUNCHED(op);
  }
  const RowBlock shape(out.D, kWidth);
  zero_rows<kWidth>
      <<<grid_for(out.count, static_cast<int>(shape.threads.y)), shape.threads, 0, queue>>>(
          out.sums, marks, out.count, out.D);
  SLOTWISE_CUDA_LAUNCHED(op);
}

// Enough chunks to fill a GPU where there are enough terms, and as few partial sums as that allows.
int terms_a_chunk(std::int64_t count) {
  const auto wanted = std::bit_ceil(static_cast<std::uint64_t>(count / 4096 + 1));
  return static_cast<int>(std::clamp<std::uint64_t>(wanted, 16, 256));
}

template <int kWidth>
void run_rounds(const char* op, Round round, const OutRows& out, Device device) {
  const RowBlock shape(out.D, kWidth);
  std::vector<Tensor> kept;  // a round reads what the one before it wrote
  while (true) {
    const std::int64_t chunks = (round.count + round.chunk - 1) / round.chunk;
    const Tensor rows = Tensor::empty({2 * chunks}, DType::i32, device, "row partial sums");
    const Tensor present = Tensor::empty({2 * chunks}, DType::u8, device, "row partial sums");
    const Tensor sums =
        Tensor::empty({chunks > 1 ? 2 * chunks : 0, out.D}, DType::f32, device, "row partial sums");
    const PartialSums partial{reinterpret_cast<std::uint32_t*>(rows.data<std::int32_t>()),
                              present.data<std::uint8_t>(), sums.data<float>()};
    const std::size_t bytes = Chunk::kEntryBytes * shape.threads.y * round.chunk;
    const auto blocks = static_cast<unsigned>((chunks + shape.threads.y - 1) / shape.threads.y);
    sum_chunks<kWidth><<<blocks, shape.threads, bytes, stream(device)>>>(round, out, partial);
    SLOTWISE_CUDA_LAUNCHED(op);
    if (chunks == 1) return;
    kept.insert(kept.end(), {rows, present, sums});
    round = {.rows = partial.rows,
             .terms = nullptr,
             .present = partial.present,
             .weights = nullptr,
             .sources = partial.sums,
             .count = 2 * chunks,
             .per_source = 1,
             .chunk = kPartialChunk};
  }
}

template <int kWidth>
void sum_rows(const char* op, const RowTerms& terms, const OutRows& out, Device device) {
  if (!out.accumulate) zero_other_rows<kWidth>(op, terms, out, device);
  if (terms.count == 0) return;
  const cudaStream_t queue = stream(device);
  const auto words = [&](const char* name) {
    return Tensor::empty({terms.count}, DType::i32, device, name);
  };
  const auto pointer = [](const Tensor& tensor) {
    return reinterpret_cast<std::uint32_t*>(tensor.data<std::int32_t>());
  };
  const Tensor numbers = words("row terms"), sorted_rows = words("row terms sorted"),
               sorted_terms = words("row terms sorted");
  number_terms<<<grid_for(terms.count), kBlock, 0, queue>>>(pointer(numbers), terms.count);
  SLOTWISE_CUDA_LAUNCHED(op);
  const int bits = std::bit_width(static_cast<std::uint64_t>(out.count));
  with_workspace(op, device, "row terms sort", [&](void* scratch, std::size_t& bytes) {
    return cub::DeviceRadixSort::SortPairs(scratch, bytes, terms.rows, pointer(sorted_rows),
                                           pointer(numbers), pointer(sorted_terms),
                                           static_cast<int>(terms.count), 0, bits, queue);
  });
  run_rounds<kWidth>(op,
                     {.rows = pointer(sorted_rows),
                      .terms = pointer(sorted_terms),
                      .present = nullptr,
                      .weights = terms.weights,
                      .sources = terms.sources,
                      .count = terms.count,
                      .per_source = terms.per_source,
                      .chunk = terms_a_chunk(terms.count)},
                     out, device);
}

}  // namespace

void sum_rows_by_segment(const char* op, const RowTerms& terms, const Sink& out,
                         std::uint8_t* touched) {
  const std::int64_t rows = out.tensor.size(0), D = out.tensor.size(1);
  if (rows == 0 || D == 0) return;
  SLOTWISE_CHECK(terms.count <= 2147483647,
                 "[{}] expected at most 2^31 - 1 terms a call, got {}: split the tokens", op,
                 terms.count);
  const OutRows to{out.tensor.data<float>(), rows, D, out.accumulate, touched};
  if (rows_are_wide<float>(D, to.sums, terms.sources)) {
    sum_rows<kWide<float>>(op, terms, to, out.tensor.device());
  } else {
    sum_rows<1>(op, terms, to, out.tensor.device());
  }
}

}  // namespace slotwise::kernels::cuda

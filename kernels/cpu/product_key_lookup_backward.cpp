// Only the chosen sub-keys take part. The k slots of a head share sub-keys (for k = 32 about a
// third are distinct in each half), so score gradients are first added up by sub-key. dkeys is a
// sum over the sorted (sub-key, query half) pairs: see row_reduction.h.
#include <algorithm>
#include <vector>

#include "core/parallel.h"
#include "kernels/cpu/index_check.h"
#include "kernels/cpu/row_reduction.h"
#include "kernels/cpu/weighted_rows.h"
#include "kernels/product_key.h"

namespace slotwise::kernels::cpu {
namespace {

// Score gradients of one query half by sub-key, in the order of first use.
class SubKeyGradients {
 public:
  explicit SubKeyGradients(std::int64_t n) : place_(static_cast<std::size_t>(n), -1) {}

  void add(std::int32_t sub_key, float gradient) {
    std::int32_t& place = place_[static_cast<std::size_t>(sub_key)];
    if (place < 0) {
      place = static_cast<std::int32_t>(sub_keys_.size());
      sub_keys_.push_back(sub_key);
      gradients_.push_back(0.0f);
    }
    gradients_[static_cast<std::size_t>(place)] += gradient;
  }
  void clear() {
    for (const std::int32_t sub_key : sub_keys_) place_[static_cast<std::size_t>(sub_key)] = -1;
    sub_keys_.clear();
    gradients_.clear();
  }
  std::int64_t count() const { return static_cast<std::int64_t>(sub_keys_.size()); }
  std::int64_t sub_key(std::int64_t i) const { return sub_keys_[static_cast<std::size_t>(i)]; }
  float gradient(std::int64_t i) const { return gradients_[static_cast<std::size_t>(i)]; }

 private:
  std::vector<std::int32_t> place_;  // [n]; -1: not used yet
  std::vector<std::int32_t> sub_keys_;
  std::vector<float> gradients_;
};

class LookupBackward {
 public:
  explicit LookupBackward(const ProductKeyLookupBackward& args)
      : H_(args.query.size(1)),
        h_(args.query.size(3)),
        n_(args.keys.size(2)),
        k_(args.slots.size(2)),
        slots_(args.slots.data<std::int32_t>()),
        weights_(args.weights.data<float>()),
        dweights_(args.dweights.data<float>()),
        keys_(args.keys.data<float>()),
        dquery_(args.dquery ? args.dquery.tensor.data<float>() : nullptr),
        add_to_dquery_(args.dquery.accumulate) {}

  // Queries are (token, head) pairs. Writes dquery, and the terms of dkeys unless terms is null;
  // returns how many terms.
  std::int64_t run(std::int64_t begin, std::int64_t end, RowTerm* terms) const {
    SubKeyGradients halves[2] = {SubKeyGradients(n_), SubKeyGradients(n_)};
    std::int64_t written = 0;
    for (std::int64_t query = begin; query < end; ++query) {
      gather_score_gradients(query, halves);
      for (std::int64_t half = 0; half < 2; ++half) {
        const std::int64_t first_row = (query % H_ * 2 + half) * n_;
        SubKeyGradients& gradients = halves[half];
        if (dquery_ != nullptr) {
          const auto key_row = [&](std::int64_t i) {
            return keys_ + (first_row + gradients.sub_key(i)) * h_;
          };
          sum_rows(
              dquery_ + (query * 2 + half) * h_, h_, gradients.count(), add_to_dquery_, key_row,
              [&](std::int64_t i) { return gradients.gradient(i); }, key_row);
        }
        for (std::int64_t i = 0; terms != nullptr && i < gradients.count(); ++i) {
          terms[written++] = {static_cast<std::uint32_t>(first_row + gradients.sub_key(i)),
                              static_cast<std::uint32_t>(query * 2 + half), gradients.gradient(i)};
        }
        gradients.clear();
      }
    }
    return written;
  }

 private:
  void gather_score_gradients(std::int64_t query, SubKeyGradients* halves) const {
    const std::int32_t* slots = slots_ + query * k_;
    const float* weights = weights_ + query * k_;
    const float* dweights = dweights_ + query * k_;
    float mean = 0.0f;
    for (std::int64_t j = 0; j < k_; ++j) mean += weights[j] * dweights[j];
    for (std::int64_t j = 0; j < k_; ++j) {
      const float dscore = weights[j] * (dweights[j] - mean);
      const auto n = static_cast<std::int32_t>(n_);
      halves[0].add(slots[j] / n, dscore);
      halves[1].add(slots[j] % n, dscore);
    }
  }

  std::int64_t H_, h_, n_, k_;
  const std::int32_t* slots_;
  const float* weights_;
  const float* dweights_;
  const float* keys_;
  float* dquery_;
  bool add_to_dquery_;
};

}  // namespace

void product_key_lookup_backward(const ProductKeyLookupBackward& args) {
  const std::int64_t n = args.keys.size(2);
  check_indices("product_key_lookup_backward", "slots", args.slots.data<std::int32_t>(),
                args.slots.elements(), 0, n * n);
  const LookupBackward backward(args);
  const std::int64_t queries = args.query.size(0) * args.query.size(1);
  if (!args.dkeys) {
    parallel_for(queries, 64, [&](std::int64_t begin, std::int64_t end, int) {
      backward.run(begin, end, nullptr);
    });
    return;
  }
  const RowTerms terms(queries, 2 * args.slots.size(2),
                       [&](std::int64_t begin, std::int64_t end, RowTerm* out) {
                         return backward.run(begin, end, out);
                       });
  const Tensor rows =
      args.dkeys.tensor.view({args.keys.elements() / args.keys.size(3), args.keys.size(3)});
  reduce_rows(terms, args.query.data<float>(), {rows, args.dkeys.accumulate});
}

}  // namespace slotwise::kernels::cpu

// Adam on rows. State rows are handed out in the order in which slots are first selected, so the
// state of a table of millions of rows stays as small as what was ever changed.
#include <algorithm>
#include <unordered_map>

#include "kernels/row_optimizer.h"
#include "optim/row_optimizer.h"

namespace slotwise {
namespace {

class RowAdamOptimizer final : public RowOptimizer {
 public:
  explicit RowAdamOptimizer(const RowAdamOptions& options) : options_(options) {}

  std::vector<NamedTensor> state(const std::string& prefix) const override {
    if (slots_.empty()) return {};
    const auto count = static_cast<std::int64_t>(slots_.size());
    return {{prefix + ".slots", Tensor::from(slots_, {count})},
            {prefix + ".first_moment", first_.slice(0, count)},
            {prefix + ".second_moment", second_.slice(0, count)},
            {prefix + ".steps", steps_.slice(0, count)}};
  }

  void load_state(const TensorFile& file, const std::string& prefix) override {
    const Device device = first_.defined() ? first_.device() : Device{};
    slots_.clear();
    row_of_slot_.clear();
    first_ = second_ = steps_ = {};  // no row may start from moments of before
    if (file.find(prefix + ".slots") == nullptr) return;
    const Tensor& first = file.require(prefix + ".first_moment");
    for (const std::int32_t slot : file.require(prefix + ".slots").to_vector<std::int32_t>()) {
      state_row(slot);
    }
    const auto count = static_cast<std::int64_t>(slots_.size());
    reserve(count, first.size(1), device);
    first_.slice(0, count).copy_from(first);
    second_.slice(0, count).copy_from(file.require(prefix + ".second_moment"));
    steps_.slice(0, count).copy_from(file.require(prefix + ".steps"));
  }

 private:
  std::int32_t state_row(std::int32_t slot) {
    const auto [entry, fresh] =
        row_of_slot_.try_emplace(slot, static_cast<std::int32_t>(slots_.size()));
    if (fresh) slots_.push_back(slot);
    return entry->second;
  }

  void reserve(std::int64_t count, std::int64_t width, Device device) {
    const std::int64_t held = steps_.defined() ? steps_.size(0) : 0;
    if (count <= held) return;
    const std::int64_t capacity = std::max<std::int64_t>({count, 2 * held, 256});
    const auto grow = [&](Tensor& state, const Shape& shape, DType dtype) {
      const Tensor bigger = Tensor::zeros(shape, dtype, device, "row optimizer state");
      if (held > 0) bigger.slice(0, held).copy_from(state);
      state = bigger;
    };
    grow(first_, {capacity, width}, DType::f32);
    grow(second_, {capacity, width}, DType::f32);
    grow(steps_, {capacity}, DType::i32);
  }

  void update(const Tensor& values, const RowGradient& rows, double learning_rate) override {
    std::vector<std::int32_t> state_rows;
    for (const std::int32_t slot : rows.rows.to_vector<std::int32_t>()) {
      state_rows.push_back(state_row(slot));
    }
    reserve(static_cast<std::int64_t>(slots_.size()), values.size(1), values.device());
    kernels::row_adam({.values = values,
                       .first_moment = first_,
                       .second_moment = second_,
                       .steps = steps_,
                       .rows = rows.rows,
                       .state_row = Tensor::from(state_rows, rows.rows.shape(), values.device(),
                                                 "row optimizer state"),
                       .gradient = rows.gradient,
                       .learning_rate = static_cast<float>(learning_rate),
                       .beta1 = static_cast<float>(options_.beta1),
                       .beta2 = static_cast<float>(options_.beta2),
                       .epsilon = static_cast<float>(options_.epsilon)});
  }

  RowAdamOptions options_;
  std::vector<std::int32_t> slots_;  // slot of each state row
  std::unordered_map<std::int32_t, std::int32_t> row_of_slot_;
  Tensor first_, second_, steps_;
};

}  // namespace

std::unique_ptr<RowOptimizer> make_row_adam(const RowAdamOptions& options) {
  return std::make_unique<RowAdamOptimizer>(options);
}

}  // namespace slotwise

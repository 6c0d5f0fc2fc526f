// Adam on rows. State rows are handed out in the order in which slots are first selected, so the
// state of a table of millions of rows stays as small as what was ever changed. Which slot has
// which row is known on the values' device alone; the host knows how many there can be, and asks
// how many there are only when the room may not suffice.
#include <algorithm>

#include "kernels/row_optimizer.h"
#include "kernels/slot_statistics.h"
#include "optim/row_optimizer.h"

namespace slotwise {
namespace {

constexpr const char* kName = "row optimizer state";

class RowAdamOptimizer final : public RowOptimizer {
 public:
  explicit RowAdamOptimizer(const RowAdamOptions& options) : options_(options) {}

  std::vector<NamedTensor> state(const std::string& prefix) const override {
    const std::int64_t count = used();
    if (count == 0) return {};
    if (!loaded_.empty()) {
      return {{prefix + ".slots", loaded_[0]},
              {prefix + ".first_moment", loaded_[1]},
              {prefix + ".second_moment", loaded_[2]},
              {prefix + ".steps", loaded_[3]}};
    }
    return {{prefix + ".slots", slot_of_.slice(0, count)},
            {prefix + ".first_moment", first_.slice(0, count)},
            {prefix + ".second_moment", second_.slice(0, count)},
            {prefix + ".steps", steps_.slice(0, count)}};
  }

  // The map of slots is made with the first step: only then is the number of slots known.
  void load_state(const TensorFile& file, const std::string& prefix) override {
    number_of_slot_ = slot_of_ = used_ = first_ = second_ = steps_ = {};
    most_used_ = 0;
    loaded_.clear();
    if (file.find(prefix + ".slots") == nullptr) return;
    for (const char* part : {".slots", ".first_moment", ".second_moment", ".steps"}) {
      loaded_.push_back(file.require(prefix + part));
    }
  }

 private:
  std::int64_t used() const {
    if (!loaded_.empty()) return loaded_[0].size(0);
    return used_.defined() ? used_.to_vector<std::int32_t>()[0] : 0;
  }

  void begin(const Tensor& values) {
    if (number_of_slot_.defined()) return;
    const Device device = values.device();
    std::vector<std::int32_t> numbers(static_cast<std::size_t>(values.size(0)), -1);
    std::int32_t count = 0;
    if (!loaded_.empty()) {
      for (const std::int32_t slot : loaded_[0].to_vector<std::int32_t>()) {
        SLOTWISE_CHECK(slot >= 0 && slot < values.size(0),
                       "[row optimizer] expected slots below {}, got {}", values.size(0), slot);
        numbers[static_cast<std::size_t>(slot)] = count++;
      }
    }
    number_of_slot_ = Tensor::from(numbers, {values.size(0)}, device, kName);
    used_ = Tensor::from<std::int32_t>({count}, {1}, device, kName);
    most_used_ = count;
    grow(count, values);
    if (loaded_.empty()) return;
    slot_of_.slice(0, count).copy_from(loaded_[0]);
    first_.slice(0, count).copy_from(loaded_[1]);
    second_.slice(0, count).copy_from(loaded_[2]);
    steps_.slice(0, count).copy_from(loaded_[3]);
    loaded_.clear();
  }

  // Room for `more` rows beside those in use.
  void reserve(std::int64_t more, const Tensor& values) {
    const auto most = [&] { return std::min(most_used_ + more, values.size(0)); };
    if (most() > steps_.size(0)) most_used_ = used();
    most_used_ = most();
    if (most_used_ > steps_.size(0)) grow(most_used_, values);
  }

  void grow(std::int64_t count, const Tensor& values) {
    const std::int64_t held = steps_.defined() ? steps_.size(0) : 0;
    const std::int64_t doubled = std::max<std::int64_t>(2 * held, 256);
    const std::int64_t capacity = std::max(count, std::min(doubled, values.size(0)));
    const auto larger = [&](Tensor& state, const Shape& shape, DType dtype) {
      const Tensor bigger = Tensor::zeros(shape, dtype, values.device(), kName);
      if (held > 0) bigger.slice(0, held).copy_from(state);
      state = bigger;
    };
    larger(slot_of_, {capacity}, DType::i32);
    larger(first_, {capacity, values.size(1)}, DType::f32);
    larger(second_, {capacity, values.size(1)}, DType::f32);
    larger(steps_, {capacity}, DType::i32);
  }

  void update(const Tensor& values, const RowGradient& rows, double learning_rate,
              const Tensor& gradient_scale) override {
    begin(values);
    reserve(rows.rows.size(0), values);
    const Tensor numbers = Tensor::empty_like(rows.rows, kName);
    kernels::number_slots({.numbers = numbers,
                           .map = number_of_slot_,
                           .slot_of = slot_of_,
                           .used = used_,
                           .slots = rows.rows});
    kernels::row_adam({.values = values,
                       .first_moment = first_,
                       .second_moment = second_,
                       .steps = steps_,
                       .rows = rows.rows,
                       .state_row = numbers,
                       .gradient = rows.gradient,
                       .learning_rate = static_cast<float>(learning_rate),
                       .beta1 = static_cast<float>(options_.beta1),
                       .beta2 = static_cast<float>(options_.beta2),
                       .epsilon = static_cast<float>(options_.epsilon),
                       .gradient_scale = gradient_scale});
  }

  RowAdamOptions options_;
  Tensor number_of_slot_;          // [N] i32: state row of each slot, or -1
  Tensor slot_of_;                 // [capacity] i32: slot of each state row
  Tensor used_;                    // [1] i32: state rows in use
  Tensor first_, second_, steps_;  // [capacity, D], [capacity, D], [capacity] i32
  std::int64_t most_used_ = 0;     // at least *used_
  std::vector<Tensor> loaded_;     // of a file: slots, moments, steps; until the first step
};

}  // namespace

std::unique_ptr<RowOptimizer> make_row_adam(const RowAdamOptions& options) {
  return std::make_unique<RowAdamOptimizer>(options);
}

}  // namespace slotwise

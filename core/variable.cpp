#include "core/variable.h"

#include <algorithm>
#include <atomic>
#include <unordered_map>
#include <unordered_set>

#include "core/gradient_math.h"
#include "core/numerics.h"
#include "core/trace.h"

namespace slotwise {

struct VariableState {
  Tensor value;
  Tensor grad;     // leaves only; the buffer outlives clear_grad()
  Tensor touched;  // [N] u8, of a row-sparse leaf
  bool grad_ready = false;
  bool row_sparse = false;
  bool rows_pending = false;  // rows of grad that are not touched hold nothing yet
  bool requires_grad = false;
  std::shared_ptr<Operation> producer;  // null for a leaf
  int output_index = 0;
};

class Operation {
 public:
  const char* name = "";
  std::string where;  // while numerics are checked
  std::uint64_t sequence = 0;
  bool hides_leaves = false;  // a checkpoint: what it reads shows in its second run only
  std::vector<Variable> inputs;
  std::vector<Tensor> output_grads;
  BackwardFunction run;

  static VariableState* state_of(const Variable& variable) { return variable.state_.get(); }

  void release() {
    run = nullptr;
    inputs.clear();
    for (Tensor& grad : output_grads) grad = {};
  }
};

namespace {

thread_local bool g_recording = true;
thread_local bool g_recomputing = false;
std::atomic<std::uint64_t> g_sequence{0};

// Where the gradient of a variable is collected: in the leaf itself or in the op that made it.
struct GradientSlot {
  Tensor* tensor;
  bool ready;
};

NumericsCheck& global_check() {
  static NumericsCheck check;
  return check;
}

GradientSlot slot_of(VariableState& state) {
  if (!state.producer) return {&state.grad, state.grad_ready};
  Tensor& grad = state.producer->output_grads[static_cast<std::size_t>(state.output_index)];
  return {&grad, grad.defined()};
}

}  // namespace

void set_numerics_check(NumericsCheck check) {
  global_check() = std::move(check);
}
const NumericsCheck& numerics_check() {
  return global_check();
}

Variable::Variable(Tensor value, bool requires_grad) : state_(std::make_shared<VariableState>()) {
  state_->value = std::move(value);
  state_->requires_grad = requires_grad;
}

const Tensor& Variable::value() const {
  SLOTWISE_CHECK(defined(), "[variable] value() of an undefined variable");
  return state_->value;
}

bool Variable::requires_grad() const {
  return defined() && state_->requires_grad;
}

void Variable::set_requires_grad(bool requires_grad) const {
  SLOTWISE_CHECK(!state_->producer, "[variable] only a leaf can change requires_grad");
  state_->requires_grad = requires_grad;
  if (!requires_grad) release_grad();
}

void Variable::set_value(Tensor value) const {
  SLOTWISE_CHECK(!state_->producer, "[variable] only a leaf can change its value");
  state_->value = std::move(value);
}

bool Variable::has_grad() const {
  return defined() && state_->grad_ready;
}

const Tensor& Variable::grad() const {
  SLOTWISE_CHECK(has_grad(), "[variable] no gradient has reached this variable");
  if (state_->rows_pending) {
    zero_untouched_rows({state_->grad, state_->touched});
    state_->rows_pending = false;
  }
  return state_->grad;
}

void Variable::set_row_sparse() const {
  SLOTWISE_CHECK(!state_->producer && state_->value.shape().dimensions() == 2,
                 "[variable] only a leaf [N, D] can be row-sparse");
  state_->row_sparse = true;
}

bool Variable::row_sparse() const {
  return defined() && state_->row_sparse;
}

TouchedRows Variable::row_grad() const {
  if (!has_grad() || !state_->rows_pending) return {grad(), {}};
  return {state_->grad, state_->touched};
}

TouchedRows Variable::take_row_grad() const {
  const TouchedRows taken = row_grad();
  release_grad();
  return taken;
}

void Variable::clear_grad() const {
  state_->grad_ready = false;
  state_->rows_pending = false;
}

void Variable::release_grad() const {
  clear_grad();
  state_->grad = {};
  state_->touched = {};
}

bool BackwardContext::has_output_grad(int output) const {
  return operation_.output_grads[static_cast<std::size_t>(output)].defined();
}

const Tensor& BackwardContext::output_grad(int output) const {
  const Tensor& grad = operation_.output_grads[static_cast<std::size_t>(output)];
  SLOTWISE_CHECK(grad.defined(), "[{}] backward without a gradient of output {}", operation_.name,
                 output);
  return grad;
}

Tensor BackwardContext::take_output_grad(int output) {
  return std::exchange(operation_.output_grads[static_cast<std::size_t>(output)], Tensor{});
}

bool BackwardContext::wants(int input) const {
  return operation_.inputs[static_cast<std::size_t>(input)].requires_grad();
}

Sink BackwardContext::input_sink(int input) {
  if (!wants(input)) return {};
  VariableState& state = *Operation::state_of(operation_.inputs[static_cast<std::size_t>(input)]);
  const GradientSlot slot = slot_of(state);
  Tensor& grad = *slot.tensor;
  if (state.rows_pending) {
    zero_untouched_rows({state.grad, state.touched});
    state.rows_pending = false;
  }
  if (!slot.ready) {
    if (!grad.defined() || !grad.unique()) {
      grad = Tensor::empty(state.value.shape(), DType::f32, state.value.device(),
                           state.producer ? "activation gradient" : "parameter gradient");
    }
    state.grad_ready = true;
    return {grad, false};
  }
  // Somebody else may still read this memory (a gradient handed to two inputs): copy before adding.
  if (!grad.unique()) grad = grad.clone("activation gradient");
  return {grad, true};
}

RowSink BackwardContext::input_rows(int input) {
  if (!wants(input)) return {};
  VariableState& state = *Operation::state_of(operation_.inputs[static_cast<std::size_t>(input)]);
  const bool begins = !state.grad_ready;
  if (!state.row_sparse || (!begins && !state.rows_pending)) {
    return {input_sink(input), {}};
  }
  if (!begins) return {{state.grad, true}, state.touched};
  const std::int64_t rows = state.value.size(0);
  if (!state.grad.defined() || !state.grad.unique()) {
    state.grad =
        Tensor::empty(state.value.shape(), DType::f32, state.value.device(), "parameter gradient");
  }
  if (!state.touched.defined() || !state.touched.unique()) {
    state.touched = Tensor::empty({rows}, DType::u8, state.value.device(), "parameter gradient");
  }
  state.touched.zero();
  state.grad_ready = state.rows_pending = true;
  return {{state.grad, true}, state.touched};
}

void BackwardContext::give_input_grad(int input, Tensor given) {
  if (!wants(input)) return;
  VariableState& state = *Operation::state_of(operation_.inputs[static_cast<std::size_t>(input)]);
  const GradientSlot slot = slot_of(state);
  if (!slot.ready && state.producer) {
    *slot.tensor = given.view(state.value.shape());
    return;
  }
  const Sink sink = input_sink(input);
  write_gradient(sink, given.view(state.value.shape()));
}

bool needs_gradient(const std::vector<Variable>& inputs) {
  return g_recording && std::any_of(inputs.begin(), inputs.end(),
                                    [](const Variable& v) { return v.requires_grad(); });
}

std::vector<Variable> record(const char* name, std::vector<Variable> inputs,
                             std::vector<Tensor> outputs, BackwardFunction backward, bool always) {
  const bool keep = needs_gradient(inputs) || (always && g_recording);
  const NumericsCheck& check = numerics_check();
  if (check) {
    for (const Tensor& output : outputs) check({name, false, trace_path(), {output, {}}});
  }
  std::shared_ptr<Operation> operation;
  if (keep) {
    operation = std::make_shared<Operation>();
    operation->name = name;
    if (check) operation->where = trace_path();
    operation->sequence = g_sequence++;
    operation->hides_leaves = always;
    operation->inputs = std::move(inputs);
    operation->output_grads.resize(outputs.size());
    operation->run = std::move(backward);
  }
  std::vector<Variable> results;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    Variable result(std::move(outputs[i]), keep);
    result.state_->producer = operation;
    result.state_->output_index = static_cast<int>(i);
    results.push_back(std::move(result));
  }
  return results;
}

Variable record(const char* name, std::vector<Variable> inputs, Tensor output,
                BackwardFunction backward, bool always) {
  return record(name, std::move(inputs), std::vector<Tensor>{std::move(output)},
                std::move(backward), always)[0];
}

namespace {

// Tells when the gradient of a leaf is complete.
class LeafWatch {
 public:
  LeafWatch(const std::vector<std::shared_ptr<Operation>>& operations, const LeafFunction& on_leaf)
      : on_leaf_(on_leaf) {
    if (!on_leaf_) return;
    for (const auto& operation : operations) {
      if (operation->hides_leaves) ++hiding_;
      for (const Variable& input : operation->inputs) {
        if (is_leaf(input)) ++uses_[input.identity()];
      }
    }
  }

  // Before `operation` lets go of its inputs.
  void passed(const Operation& operation) {
    if (!on_leaf_) return;
    for (const Variable& input : operation.inputs) {
      if (is_leaf(input) && --uses_[input.identity()] == 0) complete_.push_back(input);
    }
    if (operation.hides_leaves) --hiding_;
    // A checkpoint to come may read any of them.
    if (hiding_ > 0) return;
    for (const Variable& leaf : complete_) {
      if (leaf.has_grad()) on_leaf_(leaf);
    }
    complete_.clear();
  }

 private:
  static bool is_leaf(const Variable& input) {
    return input.requires_grad() && !Operation::state_of(input)->producer;
  }

  const LeafFunction& on_leaf_;
  std::unordered_map<const void*, int> uses_;
  std::vector<Variable> complete_;
  int hiding_ = 0;
};

}  // namespace

class Engine {
 public:
  static void run(const Variable& output, Tensor seed, const LeafFunction& on_leaf) {
    VariableState* state = output.state_.get();
    SLOTWISE_CHECK(state != nullptr && state->producer,
                   "[backward] the output does not depend on anything that needs a gradient");
    state->producer->output_grads[static_cast<std::size_t>(state->output_index)] = std::move(seed);
    auto operations = reachable(state->producer);
    LeafWatch leaves(operations, on_leaf);
    for (auto& operation : operations) {
      const auto has = [](const Tensor& grad) { return grad.defined(); };
      if (std::any_of(operation->output_grads.begin(), operation->output_grads.end(), has)) {
        SLOTWISE_CHECK(operation->run, "[{}] an earlier backward has freed what this one needs",
                       operation->name);
        BackwardContext context(*operation);
        operation->run(context);
        if (numerics_check()) check_gradients(*operation);
      }
      leaves.passed(*operation);
      operation->release();
      operation.reset();
    }
  }

 private:
  static void check_gradients(const Operation& operation) {
    for (const Variable& input : operation.inputs) {
      if (!input.requires_grad()) continue;
      const VariableState& state = *input.state_;
      const GradientSlot slot = slot_of(*input.state_);
      if (!slot.ready) continue;
      const Tensor touched = state.rows_pending ? state.touched : Tensor();
      numerics_check()({operation.name, true, operation.where, {*slot.tensor, touched}});
    }
  }

  // All ops below `top`, the last made first: every consumer of a value stands before its producer.
  static std::vector<std::shared_ptr<Operation>> reachable(const std::shared_ptr<Operation>& top) {
    std::vector<std::shared_ptr<Operation>> order{top};
    std::unordered_set<Operation*> seen{top.get()};
    for (std::size_t i = 0; i < order.size(); ++i) {
      const Operation* operation = order[i].get();
      for (const Variable& input : operation->inputs) {
        if (!input.defined() || !input.state_->producer) continue;
        if (seen.insert(input.state_->producer.get()).second) {
          order.push_back(input.state_->producer);
        }
      }
    }
    std::sort(order.begin(), order.end(),
              [](const auto& a, const auto& b) { return a->sequence > b->sequence; });
    return order;
  }
};

void backward(const Variable& output, Tensor seed, const LeafFunction& on_leaf) {
  if (!seed.defined()) {
    const std::vector<float> ones(static_cast<std::size_t>(output.value().elements()), 1.0f);
    seed = Tensor::from(ones, output.shape(), output.value().device(), "seed");
  }
  Engine::run(output, std::move(seed), on_leaf);
}

NoGrad::NoGrad() : previous_(std::exchange(g_recording, false)) {}
NoGrad::~NoGrad() {
  g_recording = previous_;
}
bool recording() {
  return g_recording;
}
bool recomputing() {
  return g_recomputing;
}

Variable checkpoint(const CheckpointBody& body, const std::vector<Variable>& inputs,
                    bool trainable) {
  Tensor output;
  {
    const NoGrad no_grad;
    output = body(inputs).value();
  }
  auto again = [body, inputs](BackwardContext& context) {
    std::vector<Variable> copies;
    for (const Variable& input : inputs) {
      copies.push_back(input.defined() ? Variable(input.value(), input.requires_grad())
                                       : Variable());
    }
    const bool previous = std::exchange(g_recomputing, true);
    try {
      const Variable again_output = body(copies);
      if (again_output.requires_grad()) backward(again_output, context.take_output_grad());
    } catch (...) {
      g_recomputing = previous;
      throw;
    }
    g_recomputing = previous;
    for (std::size_t i = 0; i < copies.size(); ++i) {
      if (copies[i].has_grad()) context.give_input_grad(static_cast<int>(i), copies[i].grad());
    }
  };
  return record("checkpoint", inputs, std::move(output), std::move(again), trainable);
}

}  // namespace slotwise

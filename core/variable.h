// Reverse-mode autograd on a tape of closures.
//
// A Variable is a tensor that may need a gradient. An op computes its outputs, then calls record()
// with a closure that turns output gradients into input gradients. backward() runs the closures in
// the reverse order of their making and frees each as it has run, so saved activations go early.
// For each input a closure is told whether to overwrite or to add (Sink::accumulate), so no pass is
// spent on adding gradients up. Where no input needs a gradient nothing is recorded: whatever
// stands below the lowest trainable parameter costs no backward at all.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/row_gradient.h"
#include "core/tensor.h"

namespace slotwise {

class Operation;
struct VariableState;

class Variable {
 public:
  Variable() = default;
  explicit Variable(Tensor value, bool requires_grad = false);

  bool defined() const { return state_ != nullptr; }
  const Tensor& value() const;
  const Shape& shape() const { return value().shape(); }
  bool requires_grad() const;
  // Leaves only (parameters).
  void set_requires_grad(bool requires_grad) const;
  void set_value(Tensor value) const;

  // Gradient of a leaf; undefined until a backward pass has reached it since clear_grad().
  bool has_grad() const;
  const Tensor& grad() const;
  // For a table [N, D] that ops read by rows: a backward then writes the rows it reaches and says
  // which, where the op knows how. grad() fills in the zeros.
  void set_row_sparse() const;
  bool row_sparse() const;
  TouchedRows row_grad() const;
  // Gives the gradient away: as row_grad(), and as if none had reached the leaf.
  TouchedRows take_row_grad() const;
  void clear_grad() const;    // forgets the gradient but keeps its buffer for the next step
  void release_grad() const;  // gives the buffer back, too

  // The same for all handles of one variable.
  const void* identity() const { return state_.get(); }

  Variable detach() const { return Variable(value()); }

 private:
  friend class Operation;
  friend class BackwardContext;
  friend class Engine;
  friend std::vector<Variable> record(const char*, std::vector<Variable>, std::vector<Tensor>,
                                      std::function<void(class BackwardContext&)>, bool);
  std::shared_ptr<VariableState> state_;
};

// What a closure sees: the gradients of its outputs and where the gradients of its inputs go.
class BackwardContext {
 public:
  explicit BackwardContext(Operation& operation) : operation_(operation) {}

  // False when nothing downstream used that output.
  bool has_output_grad(int output = 0) const;
  const Tensor& output_grad(int output = 0) const;
  // The gradient, given away: unique() tells whether its memory may be reused in place.
  Tensor take_output_grad(int output = 0);

  bool wants(int input) const;
  // Where to write the gradient of an input; undefined when !wants(input). Must then be written.
  Sink input_sink(int input);
  // The same for an op that sums into rows of a leaf.
  RowSink input_rows(int input);
  // Hands over a finished gradient instead (added when one is there already).
  void give_input_grad(int input, Tensor grad);

 private:
  Operation& operation_;
};

using BackwardFunction = std::function<void(BackwardContext&)>;

// Wraps `outputs`; keeps `backward` when an input needs a gradient (or `always` is set) and
// recording is on. Undefined inputs are allowed and never want a gradient.
std::vector<Variable> record(const char* name, std::vector<Variable> inputs,
                             std::vector<Tensor> outputs, BackwardFunction backward,
                             bool always = false);
Variable record(const char* name, std::vector<Variable> inputs, Tensor output,
                BackwardFunction backward, bool always = false);
bool needs_gradient(const std::vector<Variable>& inputs);

// d(output)/d(leaves), seeded with `seed` (ones of the output's shape when undefined). A graph can
// be run once: an op that an earlier backward has been through throws.
// `on_leaf` is called with each leaf that ops of this graph read, once nothing that is still to run
// will add to its gradient: it may travel while backward goes on. It is not called for leaves that
// only a checkpoint() reads.
using LeafFunction = std::function<void(const Variable&)>;
void backward(const Variable& output, Tensor seed = {}, const LeafFunction& on_leaf = {});

// No recording while one of these lives.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool previous_;
};
bool recording();

// Activation checkpointing: runs `body` without keeping its activations and runs it again in
// backward. `trainable`: parameters inside the body need gradients although no input does.
using CheckpointBody = std::function<Variable(const std::vector<Variable>&)>;
Variable checkpoint(const CheckpointBody& body, const std::vector<Variable>& inputs,
                    bool trainable);
// True inside that second run: side effects of a forward (counting accesses) must not happen twice.
bool recomputing();

}  // namespace slotwise

// Adding sinks under test: a gradient written with accumulate = true must be what was there plus
// the gradient. Starting from small noise, and taking it off again, makes both kinds of sink
// comparable.
#pragma once

#include <functional>

#include "tests/support/op_registry.h"

namespace slotwise::testing {

// A sink shaped like `like`: fresh memory, or noise to add to.
inline Sink sink_like(const Tensor& like, bool accumulate) {
  if (!accumulate) return {Tensor::empty_like(like, "gradient"), false};
  return {random_normal(like.shape(), 77, 0.5f).to(like.device()), true};
}

// What the kernel contributed.
inline Tensor contribution(const Sink& sink) {
  if (!sink.accumulate) return sink.tensor;
  const Tensor noise = random_normal(sink.tensor.shape(), 77, 0.5f);
  const Tensor out = sink.tensor.clone("gradient").to(Device{});
  for (std::int64_t i = 0; i < out.elements(); ++i) out.data<float>()[i] -= noise.data<float>()[i];
  return out.to(sink.tensor.device());
}

}  // namespace slotwise::testing

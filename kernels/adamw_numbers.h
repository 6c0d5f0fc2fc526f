// What an AdamW step multiplies by, alike on every device: computed on the host, in double, because
// beta^step and its distance from 1 lose digits in fp32.
//   p = p * keep - rate * m / (sqrt(v) * root + epsilon)
#pragma once

#include <cmath>

#include "kernels/adamw.h"

namespace slotwise::kernels {

struct AdamWNumbers {
  float beta1, beta2, rate, root, keep, epsilon;

  explicit AdamWNumbers(const AdamW& args)
      : beta1(args.beta1), beta2(args.beta2), epsilon(args.epsilon) {
    const double step = static_cast<double>(args.step);
    const double learning_rate = static_cast<double>(args.learning_rate);
    const double bias1 = 1.0 - std::pow(static_cast<double>(beta1), step);
    const double bias2 = 1.0 - std::pow(static_cast<double>(beta2), step);
    rate = static_cast<float>(learning_rate / bias1);
    root = static_cast<float>(1.0 / std::sqrt(bias2));
    keep = static_cast<float>(1.0 - learning_rate * static_cast<double>(args.weight_decay));
  }
};

}  // namespace slotwise::kernels

// Batch normalisation of features over the valid rows (Ioffe & Szegedy 2015; for queries: Lample et
// al. 2019). x, y: [rows, F]; mean, inverse_std, gain, bias, running_*: [F]; valid: [rows] u8,
// optional. Rows that are not valid are normalised too, but do not count in the statistics.
#pragma once

#include "kernels/dispatch.h"

namespace slotwise::kernels {

// Training: statistics of the batch (biased variance), running statistics moved by `momentum`
// (unbiased variance). Otherwise the running statistics are used and left alone.
struct BatchNormForward {
  Tensor y;
  Tensor mean, inverse_std;               // what was used, for the backward
  Tensor running_mean, running_variance;  // updated in training
  Tensor x, gain, bias;
  Tensor valid;  // optional
  bool training = false;
  float momentum = 0.1f;
  float epsilon = 1e-5f;
};
SLOTWISE_OP(batch_norm_forward, BatchNormForward)

struct BatchNormBackward {
  Sink dx, dgain, dbias;  // each optional
  Tensor dy;              // rows that are not valid may have a gradient, too
  Tensor x, gain, mean, inverse_std;
  Tensor valid;  // optional
  bool training = false;
};
SLOTWISE_OP(batch_norm_backward, BatchNormBackward)

}  // namespace slotwise::kernels

// Stands in for the cuDNN body of attention in a build without cuDNN's headers or without CUDA.
#include "kernels/attention_body.h"
#include "kernels/cuda/attention_bodies.h"

namespace slotwise::kernels::cuda {

const CudnnStatus& cudnn_status() {
  static const CudnnStatus status{
      false,
      "this build has no cuDNN; configure with SLOTWISE_CUDNN_FRONTEND=FOLDER (its include folder "
      "holds cudnn_frontend.h), which tests/run.sh does"};
  return status;
}

void cudnn::forward(const AttentionForward&) {
  fail("attention_forward: {}", cudnn_status().text);
}
void cudnn::backward(const AttentionBackward&) {
  fail("attention_backward: {}", cudnn_status().text);
}

}  // namespace slotwise::kernels::cuda

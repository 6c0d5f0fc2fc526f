// The three bodies of attention (kernels/attention_body.h). Arguments are checked by the front.
#pragma once

#include "kernels/attention.h"

namespace slotwise::kernels::cuda {

namespace composed {
void forward(const AttentionForward& args);
void backward(const AttentionBackward& args);
}  // namespace composed

namespace blocked {
void forward(const AttentionForward& args);
void backward(const AttentionBackward& args);
}  // namespace blocked

// Calls that cudnn_refusal() lets pass, where cudnn_status() says usable.
namespace cudnn {
void forward(const AttentionForward& args);
void backward(const AttentionBackward& args);
}  // namespace cudnn

}  // namespace slotwise::kernels::cuda

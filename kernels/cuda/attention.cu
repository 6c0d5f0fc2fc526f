// The seam of attention on CUDA: one op, three bodies, the choice made call by call on the host.
#include "kernels/attention_body.h"
#include "kernels/cuda/attention_bodies.h"

namespace slotwise::kernels::cuda {

void attention_forward(const AttentionForward& args) {
  switch (attention_body(form_of(args))) {
    case AttentionBody::composed:
      return composed::forward(args);
    case AttentionBody::blocked:
      return blocked::forward(args);
    case AttentionBody::cudnn:
      return cudnn::forward(args);
  }
}

void attention_backward(const AttentionBackward& args) {
  switch (attention_body(form_of(args))) {
    case AttentionBody::composed:
      return composed::backward(args);
    case AttentionBody::blocked:
      return blocked::backward(args);
    case AttentionBody::cudnn:
      return cudnn::backward(args);
  }
}

}  // namespace slotwise::kernels::cuda

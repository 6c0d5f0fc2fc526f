// Stands in for every CUDA body in a build without CUDA: each call says so.
#include "kernels/adamw.h"
#include "kernels/attention.h"
#include "kernels/batch_norm.h"
#include "kernels/cross_entropy.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"
#include "kernels/gemm.h"
#include "kernels/product_key.h"
#include "kernels/rms_norm.h"
#include "kernels/rotary.h"
#include "kernels/row_optimizer.h"
#include "kernels/slot_statistics.h"
#include "kernels/swiglu.h"
#include "kernels/weighted_bag.h"

namespace slotwise::kernels::cuda {
namespace {

[[noreturn]] void absent(const char* op) {
  fail("{}: this build has no CUDA backend; configure with nvcc on the PATH and SLOTWISE_CUDA=ON",
       op);
}

}  // namespace

#define SLOTWISE_ABSENT(name, Args) \
  void name(const Args&) {          \
    absent(#name);                  \
  }

SLOTWISE_ABSENT(gemm, Gemm)
SLOTWISE_ABSENT(rms_norm_forward, RmsNormForward)
SLOTWISE_ABSENT(rms_norm_backward, RmsNormBackward)
SLOTWISE_ABSENT(rotary, Rotary)
SLOTWISE_ABSENT(attention_forward, AttentionForward)
SLOTWISE_ABSENT(attention_backward, AttentionBackward)
SLOTWISE_ABSENT(swiglu_forward, SwigluForward)
SLOTWISE_ABSENT(swiglu_backward, SwigluBackward)
SLOTWISE_ABSENT(embedding_forward, EmbeddingForward)
SLOTWISE_ABSENT(embedding_backward, EmbeddingBackward)
SLOTWISE_ABSENT(cross_entropy, CrossEntropy)
SLOTWISE_ABSENT(add_scaled, AddScaled)
SLOTWISE_ABSENT(scale, Scale)
SLOTWISE_ABSENT(dot_product, DotProduct)
SLOTWISE_ABSENT(count_non_finite, CountNonFinite)
SLOTWISE_ABSENT(cast, Cast)
SLOTWISE_ABSENT(gather_rows, GatherRows)
SLOTWISE_ABSENT(scatter_rows, ScatterRows)
SLOTWISE_ABSENT(adamw, AdamW)
SLOTWISE_ABSENT(adamw_all, AdamWAll)
SLOTWISE_ABSENT(squared_norms, SquaredNorms)
SLOTWISE_ABSENT(sgd, Sgd)
SLOTWISE_ABSENT(clip_scale, ClipScale)
SLOTWISE_ABSENT(batch_norm_forward, BatchNormForward)
SLOTWISE_ABSENT(batch_norm_backward, BatchNormBackward)
SLOTWISE_ABSENT(product_key_select, ProductKeySelect)
SLOTWISE_ABSENT(softmax_rows, SoftmaxRows)
SLOTWISE_ABSENT(product_key_lookup, ProductKeyLookup)
SLOTWISE_ABSENT(product_key_lookup_backward, ProductKeyLookupBackward)
SLOTWISE_ABSENT(weighted_bag_forward, WeightedBagForward)
SLOTWISE_ABSENT(weighted_bag_backward_weights, WeightedBagBackwardWeights)
SLOTWISE_ABSENT(weighted_bag_backward_values, WeightedBagBackwardValues)
SLOTWISE_ABSENT(selected_row_gradient, SelectedRowGradient)
SLOTWISE_ABSENT(count_accesses, CountAccesses)
SLOTWISE_ABSENT(score_slots, ScoreSlots)
SLOTWISE_ABSENT(top_slots, TopSlots)
SLOTWISE_ABSENT(map_slots, MapSlots)
SLOTWISE_ABSENT(clear_counts, ClearCounts)
SLOTWISE_ABSENT(add_document, AddDocument)
SLOTWISE_ABSENT(mark_slots, MarkSlots)
SLOTWISE_ABSENT(number_slots, NumberSlots)
SLOTWISE_ABSENT(row_adam, RowAdam)
SLOTWISE_ABSENT(row_sgd, RowSgd)

#undef SLOTWISE_ABSENT

}  // namespace slotwise::kernels::cuda
